"""What the services can do for apps, tenants, users and tokens, an operator can do."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.init import make_installation
from streamhub_orm.services import memberships, users
from tests.support.installations.commands import CHECKOUT, COMMAND, Outcome, run_in_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return make_installation(tmp_path / "data").root


def run(data_dir: Path, *words: str) -> Outcome:
    return run_in_process("--data-dir", data_dir, *words)


def test_app_is_shown_and_renamed(data_dir: Path) -> None:
    run(data_dir, "tokens", "issue", "deploy", "--app", "live")
    assert run(data_dir, "apps", "rename", "live", "Main stage").status == 0
    shown = run(data_dir, "--json", "apps", "show", "live").report
    assert (shown["app"], shown["display_name"], shown["tokens"]) == ("live", "Main stage", 1)
    assert shown["db_bytes"] == (data_dir / "apps/live/app.db").stat().st_size
    assert "display_name\tMain stage" in run(data_dir, "apps", "show", "live").stdout
    (data_dir / "apps/live/app.db").write_bytes(b"no database " * 500)
    damaged = run(data_dir, "apps", "show", "live")
    assert damaged.status == 1
    assert "Error: live: " in damaged.stderr
    for words in (("show",), ("rename", "X")):
        refused = run(data_dir, "apps", words[0], "liev", *words[1:])
        assert "similar names: live" in refused.stderr


def test_tenant_is_made_for_a_user_and_listed(data_dir: Path) -> None:
    with Databases(data_dir) as databases, databases.global_session() as session:
        ann = users.create(session, "ann@example.com", status="active").id
    words = ("tenants", "create", "Ann's", "--owner", "ANN@example.com", "--id", "anns")
    made = run(data_dir, "--json", *words).report
    assert (made["id"], made["name"], made["owner"]) == ("anns", "Ann's", ann)
    with Databases(data_dir) as databases, databases.global_session() as session:
        assert memberships.find_role(session, "anns", ann) == "owner"
    listed = run(data_dir, "--json", "tenants", "list").report["items"]
    assert {"anns", "platform"} <= {item["id"] for item in listed}
    assert run(data_dir, *words).status == 3
    assert run(data_dir, "tenants", "create", "B", "--owner", "no@example.com").status == 3


def test_users_are_listed_without_what_they_sign_in_with(data_dir: Path) -> None:
    with Databases(data_dir) as databases, databases.global_session() as session:
        users.create(session, "ann@example.com", status="active")
    outcome = run(data_dir, "--json", "users", "list")
    (item,) = (it for it in outcome.report["items"] if it["email"] == "ann@example.com")
    assert item["status"] == "active"
    assert not {"password_hash", "totp_secret"} & item.keys()
    assert "user" in run(data_dir, "users", "list").stdout.splitlines()[-1]


def test_token_is_revoked_by_its_name_where_that_is_one(data_dir: Path) -> None:
    for name in ("deploy", "twice", "twice"):
        run(data_dir, "tokens", "issue", name)
    assert run(data_dir, "--json", "tokens", "revoke", "--name", "deploy").report["id"] == 1
    twice = run(data_dir, "tokens", "revoke", "--name", "twice")
    assert twice.status == 2
    assert "found 2, 3. Pass an ID." in twice.stderr
    assert "found none" in run(data_dir, "tokens", "revoke", "--name", "deploy").stderr
    assert run(data_dir, "tokens", "revoke", "2", "--name", "twice").status == 2
    listed = run(data_dir, "--json", "tokens", "list").report["tokens"]
    assert [it["revoked"] for it in listed] == [True, False, False]


def test_issued_token_is_explained_on_a_terminal(data_dir: Path) -> None:
    """The token alone is on stdout; also with -q, since nobody could ask for it again."""
    for options in ((), ("-q",)):
        master, terminal = os.openpty()
        done = subprocess.run(
            [*COMMAND, "--data-dir", str(data_dir), *options, "tokens", "issue", "deploy"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            check=True,
        )
        os.close(terminal)
        with os.fdopen(master, "rb") as shown:
            try:
                said = shown.read1(65536).decode()
            except OSError:  # nothing was written, and nobody has it open
                said = ""
        assert len(done.stdout.split()) == 1
        assert done.stdout.startswith("sk_")
        assert ("token 1, deploy, opens everything; it is shown this once." in said) is (
            not options
        )

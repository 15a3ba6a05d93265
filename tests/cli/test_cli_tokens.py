"""`streamhub-db tokens`: one token in plain text, once; the first one from standard input."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.init import make_installation as init
from streamhub_orm.services.tokens import check_request
from tests.support.installations.commands import CHECKOUT, COMMAND, Outcome, run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation

BOOTSTRAP = "sk_" + "b" * 43


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return init(tmp_path / "fresh").root


def seed(data_dir: Path, text: bytes, *options: str) -> Outcome:
    """Run the command as a set-up script does."""
    command = [*COMMAND, "--data-dir", str(data_dir), "tokens", "seed", *options]
    done = subprocess.run(command, cwd=CHECKOUT, input=text, capture_output=True, check=False)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def opens(data_dir: Path, token: str, app: str | None = None, address: str = "10.0.0.1") -> bool:
    with Databases(data_dir) as databases:
        return bool(check_request(databases, token, address=address, app=app))


def test_issue_prints_a_token_that_opens(fresh: Path) -> None:
    outcome = run_in_process("--data-dir", fresh, "tokens", "issue", "deploy")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert opens(fresh, outcome.stdout.strip())


def test_command_on_an_outdated_database_names_the_command_that_cures_it(fresh: Path) -> None:
    """An operator opens nothing by a keyword argument."""
    assert run_in_process("--data-dir", fresh, "downgrade", "g0013").status == 0
    outcome = run_in_process("--data-dir", fresh, "tokens", "list")
    assert outcome.status == 3
    assert outcome.stderr.endswith("Run `streamhub-db upgrade`.\n")


def test_issue_for_an_app_and_networks_opens_just_these(fresh: Path) -> None:
    arguments = ("issue", "deploy", "--app", "live", "--allow", "10.0.0.0/8", "--allow", "::1")
    report = run_in_process("--data-dir", fresh, "--json", "tokens", *arguments).report
    assert (report["ok"], report["name"], report["app"]) == (True, "deploy", "live")
    assert opens(fresh, report["token"], "live")
    assert opens(fresh, report["token"], "live", "::1")
    assert not opens(fresh, report["token"])
    assert not opens(fresh, report["token"], "live", "192.0.2.1")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("issue", "x", "--app", "nope"), "no app 'nope'"),
        (("issue", "x", "--allow", "nonsense"), "'nonsense'"),
        (("revoke", "99"), "found no API token 99"),
        (("list", "--app", "nope"), "no app 'nope'"),
    ],
)
def test_refusal_is_exit_3_with_nothing_changed(
    fresh: Path, arguments: tuple[str, ...], word: str
) -> None:
    before = fingerprint_files(fresh)
    outcome = run_in_process("--data-dir", fresh, "--json", "tokens", *arguments)
    assert (outcome.status, outcome.report["ok"]) == (3, False)
    assert word in outcome.report["error"]
    assert fingerprint_files(fresh) == before


def test_list_shows_state_and_never_the_token(fresh: Path) -> None:
    token = run_in_process("--data-dir", fresh, "tokens", "issue", "deploy").stdout.strip()
    assert opens(fresh, token)
    assert run_in_process("--data-dir", fresh, "tokens", "revoke", "1").status == 0
    assert not opens(fresh, token)
    outcome = run_in_process("--data-dir", fresh, "--json", "tokens", "list")
    (info,) = outcome.report["tokens"]
    assert (info["name"], info["scope"], info["revoked"]) == ("deploy", "global", True)
    assert info["last_used_at"].endswith("Z")
    plain = run_in_process("--data-dir", fresh, "tokens", "list").stdout
    assert plain.splitlines()[1].split("\t")[-1] == "revoked"
    assert token not in outcome.stdout + plain


def test_seed_twice_stores_one_token_and_changes_nothing_the_second_time(fresh: Path) -> None:
    first = seed(fresh, BOOTSTRAP.encode() + b"\n", "--json")
    assert first.report == {"ok": True, "id": 1, "new": True, "revoked": False, "other": False}
    before = fingerprint_files(fresh)
    again = seed(fresh, BOOTSTRAP.encode(), "--json")
    assert again.report == {"ok": True, "id": 1, "new": False, "revoked": False, "other": False}
    assert fingerprint_files(fresh) == before
    assert opens(fresh, BOOTSTRAP)


def test_seed_beside_another_global_token_stores_nothing_and_says_so(fresh: Path) -> None:
    run_in_process("--data-dir", fresh, "tokens", "issue", "deploy")
    before = fingerprint_files(fresh)
    outcome = seed(fresh, BOOTSTRAP.encode())
    assert outcome.stdout == "token 1: another one, in use; nothing was stored\n"
    assert outcome.status == 0
    assert fingerprint_files(fresh) == before
    assert not opens(fresh, BOOTSTRAP)


def test_network_of_ipv6_is_warned_of(fresh: Path) -> None:
    command = [*COMMAND, "--data-dir", str(fresh), "tokens", "issue", "x", "--json"]
    command += ["--allow", "2001:db8::/32", "--allow", "10.0.0.0/8"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["unmatched"] == ["2001:db8::/32"]
    assert done.stderr == "token 1: the Node core matches no network of IPv6: 2001:db8::/32\n"
    assert opens(fresh, json.loads(done.stdout)["token"], address="2001:db8::7")


def test_seed_of_a_revoked_token_says_so(fresh: Path) -> None:
    seed(fresh, BOOTSTRAP.encode())
    run_in_process("--data-dir", fresh, "tokens", "revoke", "1")
    assert seed(fresh, BOOTSTRAP.encode()).stdout == "token 1: revoked\n"
    assert not opens(fresh, BOOTSTRAP)


@pytest.mark.parametrize("text", [b"", b"TOKEN=" + BOOTSTRAP.encode(), b"sk_\xff" + b"b" * 50])
def test_seed_of_what_is_no_token_is_refused_without_showing_it(fresh: Path, text: bytes) -> None:
    outcome = seed(fresh, text, "--json")
    assert (outcome.status, json.loads(outcome.stdout)["ok"]) == (3, False)
    assert outcome.stderr.startswith("Error: standard input: found ")
    assert "bbbb" not in outcome.stdout + outcome.stderr


def test_database_that_is_behind_is_refused_untouched(make_installation: MakeInstallation) -> None:
    """It is brought to head by `upgrade`, which makes a backup and a report."""
    data_dir = make_installation("node_head").data_dir
    before = fingerprint_files(data_dir)
    outcome = run_in_process("--data-dir", data_dir, "tokens", "list")
    assert outcome.status == 3
    assert "Run `streamhub-db upgrade`" in outcome.stderr
    assert fingerprint_files(data_dir) == before


def test_locked_database_is_told_in_words(fresh: Path) -> None:
    with Databases(fresh) as databases, databases.global_session() as session:
        session.connection()
        outcome = run_in_process("--data-dir", fresh, "tokens", "issue", "x")
    assert outcome.status == 3
    assert "database is locked" in outcome.stderr
    assert "Stop the process that writes to it" in outcome.stderr

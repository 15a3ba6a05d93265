"""`streamhub-db global`, as an operator types it: its documents, exit statuses and words."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.installations.commands import run_command, run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer
    from tests.support.installations.commands import Outcome

_NUMBERS: Final = itertools.count(1)
_REFERENCE: Final = Path(__file__).parents[2] / "docs/CLI.md"


@pytest.fixture
def url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database, without the password, which a password file holds."""
    name = f"cli_global_{os.getpid()}_{next(_NUMBERS)}"
    postgres.create(name)
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:*:{postgres.password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    yield postgres.url(name, password=False)
    postgres.drop(name)


def run(place: DataDir, *arguments: str) -> Outcome:
    return run_in_process("--data-dir", place.root, "--json", "global", *arguments)


def keys_of(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: keys_of(value) if isinstance(value, dict) else None for key, value in document.items()
    }


def documented(command: str) -> dict[str, Any]:
    section = _REFERENCE.read_text(encoding="utf-8").partition(f"## global {command}\n")[2]
    found = re.search(r"^```json\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found
    return keys_of(json.loads(found[1]))


def test_there_and_back(
    streamhub_place: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = streamhub_place
    rehearsed = run(place, "promote", url, "--dry-run")
    assert (rehearsed.status, rehearsed.report["ok"], rehearsed.stderr) == (0, True, "")
    promoted = run(place, "promote", url)
    assert promoted.status == 0
    assert keys_of(promoted.report) == documented("promote")
    assert promoted.report["tables"] == rehearsed.report["tables"]
    found = run(place, "status").report
    assert (found["where"], found["file"]["move"], found["server"]) == ("server", "promoted", None)
    assert "STREAMHUB_GLOBAL_URL" in found["todo"]

    seen = run_in_process("--data-dir", place.root, "--json", "status")
    assert (seen.status, seen.report["global"]["server"]) == (0, None)
    assert seen.report["global"]["promoted"].startswith("promoted to postgresql://")
    assert "global: what this file holds is old; it was promoted to postgresql://" in seen.stderr
    refused = run_in_process("--data-dir", place.root, "--json", "upgrade")
    assert refused.status == 3
    assert "promoted to postgresql://" in refused.report["error"]

    monkeypatch.setenv("STREAMHUB_GLOBAL_URL", url)
    assert not run(place, "promote").report["changed"]
    found = run(place, "status").report
    assert (found["ok"], found["where"], found["server"]["move"]) == (True, "server", "promoted")
    demoted = run(place, "demote")
    assert demoted.status == 0
    assert keys_of(demoted.report) == documented("demote")
    found = run(place, "status").report
    assert (found["where"], found["under_way"]) == ("file", None)
    assert found["todo"] == "unset STREAMHUB_GLOBAL_URL"
    monkeypatch.delenv("STREAMHUB_GLOBAL_URL")
    assert run_in_process("--data-dir", place.root, "--json", "upgrade").status == 0


def test_password_in_an_argument_is_refused(
    streamhub_place: DataDir, postgres: PostgresServer
) -> None:
    refused = run(streamhub_place, "promote", postgres.url("x"))
    assert refused.status == 2
    assert postgres.password not in refused.stdout + refused.stderr
    assert "PGPASSFILE" in refused.stderr


def test_without_a_url_it_is_a_usage_error(streamhub_place: DataDir) -> None:
    for command in ("promote", "demote"):
        refused = run(streamhub_place, command)
        assert refused.status == 2
        assert "STREAMHUB_GLOBAL_URL" in refused.stderr


def test_server_that_is_down_is_refused(streamhub_place: DataDir) -> None:
    refused = run(streamhub_place, "promote", "postgresql+psycopg://u@127.0.0.1:1/x")
    assert refused.status == 3
    assert "Connection refused" in refused.report["error"]


def test_rehearsal_of_what_is_refused_ends_with_3_and_says_all(
    streamhub_place: DataDir, url: str
) -> None:
    run_in_process("--data-dir", streamhub_place.root, "global", "promote", url)
    rehearsed = run(streamhub_place, "promote", url, "--dry-run")
    assert (rehearsed.status, rehearsed.report["ok"]) == (0, True)  # it is there already


def test_lines_for_people(streamhub_place: DataDir, url: str) -> None:
    words = ("--data-dir", streamhub_place.root, "global")
    rehearsed = run_in_process(*words, "promote", url, "--dry-run")
    assert "would move the global database to postgresql://" in rehearsed.stdout
    promoted = run_in_process(*words, "promote", url)
    assert "set STREAMHUB_GLOBAL_URL for all programs" in promoted.stdout
    assert "apps\t1\t" in promoted.stdout
    assert "Nothing to do" in run_in_process(*words, "promote", url).stdout
    assert "on the server" in run_in_process(*words, "status").stdout
    assert run_in_process(*words, "promote", url, "-q").stdout == ""


@pytest.mark.slow
def test_command_of_its_own_process(streamhub_place: DataDir, url: str) -> None:
    done = run_command("--data-dir", streamhub_place.root, "--json", "global", "promote", url)
    assert done.status == 0
    assert done.report["changed"]


_LISTS: Final = (
    *("apps list", "tokens list", "users list", "tenants list", "nodes list", "logs list"),
    *("apps show live", "sizes", "status"),
)


def lists_of(root: Path) -> dict[str, dict[str, Any]]:
    """Return what each command says, but for what says where the global database is."""
    found = {}
    for words in _LISTS:
        outcome = run_in_process("--data-dir", root, "--json", *words.split())
        assert outcome.status == 0, (words, outcome)
        found[words] = outcome.report
        found[words].pop("global", None)
        found[words].pop("total", None)  # of sizes: a server's are others
    return found


@pytest.mark.slow
def test_promoted_demo_says_what_the_file_said_and_works_on(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "demo"
    assert run_in_process("demo", root).status == 0
    assert run_in_process("--data-dir", root, "upgrade").status == 0
    in_file = lists_of(root)
    promoted = run_in_process("--data-dir", root, "--json", "global", "promote", url)
    assert promoted.status == 0, promoted
    assert {it["what"] for it in promoted.report["left"]} >= {"table streams", "table vods"}
    monkeypatch.setenv("STREAMHUB_GLOBAL_URL", url)
    assert lists_of(root) == in_file
    for words in (
        "upgrade",
        "check",
        "apps create tv-2 --display-name TV",
        "tokens issue deploy --app tv-2",
        "apps delete tv-2 --yes",
    ):
        outcome = run_in_process("--data-dir", root, "--json", *words.split())
        assert outcome.status == 0, (words, outcome)
    assert run_in_process("--data-dir", root, "--json", "global", "demote").status == 0
    monkeypatch.delenv("STREAMHUB_GLOBAL_URL")
    back = lists_of(root)
    assert back["apps list"] == in_file["apps list"]
    assert back["users list"] == in_file["users list"]
    assert run_in_process("--data-dir", root, "--json", "check").status == 0

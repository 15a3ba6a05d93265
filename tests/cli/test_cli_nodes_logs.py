"""`nodes list`, `logs list` and `logs purge` as an operator calls them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.init import make_installation
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """An installation with three lines of the log: old, yesterday's and today's."""
    place = make_installation(tmp_path / "fresh")
    now = datetime.now(UTC)
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        for days, level, app_id, message in (
            (40, "info", None, "old"),
            (1, "warn", 1, "upload took 41 s"),
            (0, "error", None, "red \x1b[31malert\nsecond line"),
        ):
            ts = (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            insert = "INSERT INTO server_logs (ts, level, app_id, message) VALUES (?, ?, ?, ?)"
            connection.execute(insert, (ts, level, app_id, message))
        connection.execute(
            "INSERT INTO nodes (id, name, status, last_seen_at, stats_json)"
            " VALUES ('n-1', 'edge', 'active', datetime('now', '-2 minutes'),"
            ' \'{"cpu":1,"role":"edge"}\')'
        )
    return place.root


def messages(data_dir: Path, *options: str) -> list[str]:
    report = run_in_process("--data-dir", data_dir, "--json", "logs", "list", *options).report
    return [entry["message"].split()[0] for entry in report["logs"]]


def test_nodes_list_shows_who_is_stale(fresh: Path) -> None:
    outcome = run_in_process("--data-dir", fresh, "nodes", "list", "--json")
    assert outcome.status == 0
    (node,) = outcome.report["nodes"]
    assert (node["id"], node["status"], node["stale"]) == ("n-1", "active", True)
    assert (node["stats"], node["stats_error"]) == ({"cpu": 1, "role": "edge"}, None)
    assert node["last_seen_at"].endswith("Z")
    plain = run_in_process("--data-dir", fresh, "nodes", "list").stdout.splitlines()
    assert plain[1].split("\t")[:7] == ["n-1", "edge", "-", "-", "edge", "active", "stale"]
    assert plain[1].endswith("\t2 min ago")


def test_nodes_list_shows_a_node_whose_statistics_are_malformed(fresh: Path) -> None:
    with closing(sqlite3.connect(fresh / "data" / "streamhub.db")) as connection, connection:
        connection.execute("UPDATE nodes SET stats_json = '{\"SECRET'")
    outcome = run_in_process("--data-dir", fresh, "nodes", "list", "--json")
    (node,) = outcome.report["nodes"]
    assert (outcome.status, node["stats"], node["role"]) == (0, None, None)
    assert "JSON text in stats_json" in node["stats_error"]
    plain = run_in_process("--data-dir", fresh, "nodes", "list")
    assert "n-1: its statistics cannot be read" in plain.stderr
    assert "SECRET" not in outcome.stdout + plain.stdout + plain.stderr


def test_node_is_renamed_pinned_and_deleted(fresh: Path) -> None:
    base = ("--data-dir", fresh, "--json", "nodes")
    (taken,) = run_in_process(*base, "list").report["nodes"]
    assert run_in_process(*base, "rename", "n-1", "main").report["name"] == "main"
    assert run_in_process(*base, "set-status", "n-1", "draining").report["status"] == "draining"
    (node,) = run_in_process(*base, "list").report["nodes"]
    assert node == {**taken, "name": "main", "status": "draining"}
    assert run_in_process(*base, "rename", "n-1", "no name").status == 3
    assert run_in_process(*base, "set-status", "n-1", "down").status == 2
    assert run_in_process(*base, "delete", "n-1").status == 0
    gone = run_in_process(*base, "delete", "n-1")
    assert (gone.status, gone.report["ok"]) == (3, False)
    assert run_in_process(*base, "list").report["nodes"] == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["red", "upload", "old"]),
        (("--level", "warn", "--level", "info"), ["upload", "old"]),
        (("--app", "live"), ["upload"]),
        (("--text", "TOOK"), ["upload"]),
        (("--until", "2020-01-01"), []),
        (("--since", "2020-01-01T00:00:00Z", "--limit", "1"), ["red"]),
        (("--source", "egress"), []),
    ],
)
def test_logs_list_shows_what_was_asked_for(
    fresh: Path, options: tuple[str, ...], expected: list[str]
) -> None:
    assert messages(fresh, *options) == expected


def test_logs_list_leads_to_the_next_page(fresh: Path) -> None:
    base = ("--data-dir", fresh, "logs", "list", "--limit", "2")
    first = run_in_process(*base, "--json").report
    second = run_in_process(*base, "--json", "--after", first["next"]).report
    assert [entry["message"] for entry in second["logs"]] == ["old"]
    assert second["next"] is None
    assert f"More: --after {first['next']}" in run_in_process(*base).stderr


def test_logs_list_prints_a_line_per_line_and_nothing_that_steers_a_terminal(fresh: Path) -> None:
    outcome = run_in_process("--data-dir", fresh, "logs", "list")
    assert len(outcome.stdout.splitlines()) == 5
    assert r"red \x1b[31malert\nsecond line" in outcome.stdout
    assert "\x1b" not in outcome.stdout


@pytest.mark.parametrize(
    "options", [("--since", "soon"), ("--after", "x"), ("--limit", "0")], ids=lambda it: it[0]
)
def test_logs_list_of_nonsense_is_wrong_usage(fresh: Path, options: tuple[str, ...]) -> None:
    outcome = run_in_process("--data-dir", fresh, "logs", "list", *options)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert options[0] in outcome.stderr


def test_logs_purge_deletes_what_is_older_and_a_dry_run_says_so_before(fresh: Path) -> None:
    base = ("--data-dir", fresh, "--json", "logs", "purge")
    rehearsed = run_in_process(*base, "--dry-run").report
    assert (rehearsed["deleted"], rehearsed["days"], rehearsed["dry_run"]) == (1, 30, True)
    assert messages(fresh) == ["red", "upload", "old"]
    assert run_in_process(*base).report["deleted"] == 1
    assert run_in_process(*base).report["deleted"] == 0
    assert messages(fresh) == ["red", "upload"]


def test_logs_purge_takes_its_days_from_the_setting(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 keeps everything; the option comes before the variable."""
    monkeypatch.setenv("LOG_RETENTION_DAYS", "0")
    outcome = run_in_process("--data-dir", fresh, "--json", "logs", "purge")
    assert (outcome.report["days"], outcome.report["before"]) == (0, None)
    assert len(messages(fresh)) == 3
    plain = run_in_process("--data-dir", fresh, "logs", "purge", "--days", "60")
    assert plain.stdout.startswith("deleted 0 lines, from before ")
    monkeypatch.setenv("LOG_RETENTION_DAYS", "-1")
    assert run_in_process("--data-dir", fresh, "logs", "purge").status == 2
    assert len(messages(fresh)) == 3


@pytest.mark.parametrize("command", [("nodes", "list"), ("logs", "list"), ("logs", "purge")])
def test_database_that_is_not_at_head_is_refused(
    make_installation: MakeInstallation, command: tuple[str, ...]
) -> None:
    """To upgrade it is another command's job, which the message names."""
    data_dir = make_installation("monolith").data_dir
    outcome = run_in_process("--data-dir", data_dir, "--json", *command)
    assert (outcome.status, outcome.report["ok"]) == (3, False)
    assert "streamhub-db upgrade" in outcome.report["error"]

"""Racers that write at once, what they leave beside the databases, and whom a refusal names."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.faults.starting_line import StartingLine
from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.commands import run_in_process
from tests.support.installations.expectation import expect_apps
from tests.support.installations.node_core import assert_usable_by_node_core
from tests.support.installations.snapshot import fingerprint_databases, load_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations.snapshot import Snapshot

RUNS: Final = 8
OPENERS: Final = 6
COLUMNS: Final = {"streams": "stream_id", "vods": "name"}


@pytest.fixture(scope="module")
def line() -> Iterator[StartingLine]:
    with StartingLine() as started:
        yield started


def assert_perfect(before: Snapshot, data_dir: Path) -> None:
    """Fail unless every row is accounted for, nothing is left over, and nothing is left to do."""
    assert_accounted(before, load_snapshot(data_dir))
    assert_usable_by_node_core(data_dir)
    assert not [it for it in data_dir.rglob("*") if ".streamhub-tmp" in it.name]
    files = fingerprint_databases(data_dir)
    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")
    assert outcome.status == 0, outcome
    assert fingerprint_databases(data_dir) == files


def backups_of(data_dir: Path) -> Counter[str]:
    names = (it.relative_to(data_dir).as_posix() for it in data_dir.rglob("*.bak-*"))
    return Counter(name.partition(".bak-")[0] for name in names)


def delete(path: Path, table: str, texts: list[str]) -> int:
    """Take the racers' own rows out again, so that the oracle sees those of the installation."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return sum(
            connection.execute(f"DELETE FROM {table} WHERE {COLUMNS[table]} = ?", (it,)).rowcount
            for it in texts
        )


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy"])
def test_one_of_eight_upgrades_works_and_makes_one_backup_of_each_file(
    line: StartingLine, make_installation: MakeInstallation, era: str
) -> None:
    """The others name lock and holder, or find nothing to do where they come after its end."""
    data_dir = make_installation(era).data_dir
    before = load_snapshot(data_dir)
    lock = next(data_dir.rglob("streamhub.db")).with_name("streamhub.db.lock")

    outcomes = line.start([("cli", "--data-dir", str(data_dir), "--json", "upgrade")] * RUNS)

    workers = [it.report for it in outcomes.values() if it.report.get("global", {}).get("changed")]
    assert len(workers) == 1
    assert_report(workers[0], before)
    known = {f"process {process}" for process in outcomes}
    named: list[str] = []
    for outcome in outcomes.values():
        assert outcome.status in (0, 3), outcome
        assert outcome.report["ok"] is (outcome.status == 0)
        if outcome.status == 3:
            assert f"{lock}: found it held by " in outcome.report["error"]
            assert outcome.report["error"] in outcome.stderr
            named.append(outcome.stderr.partition("held by ")[2].partition(";")[0])
    assert all(it in known for it in named), named
    assert set(backups_of(data_dir).values()) == {1}
    assert_perfect(before, data_dir)


def test_lock_that_changes_hands_names_a_process_that_holds_it(
    line: StartingLine, tmp_path: Path
) -> None:
    """Whoever is refused learns of another process, never of none and never of itself."""
    outcomes = line.start([("contend", str(tmp_path / "lock"), "0.7")] * 4)

    counts = [it.report for it in outcomes.values()]
    assert sum(it["held"] > 0 for it in counts) > 1
    assert sum(it["refused"] for it in counts) > 0
    assert [(it["nobody"], it["itself"]) for it in counts] == [(0, 0)] * 4


@pytest.mark.parametrize(
    ("era", "app", "restored"),
    [
        pytest.param("monolith", "live", False, id="new app with rows elsewhere"),
        pytest.param("pre_tenancy", "tv-2", False, id="old app"),
        pytest.param("pre_tenancy", "tv-2", True, id="old app restored from a backup"),
    ],
)
def test_app_that_many_processes_open_at_once_has_its_rows_and_theirs(
    line: StartingLine, make_installation: MakeInstallation, era: str, app: str, *, restored: bool
) -> None:
    """Each opener finds the app's legacy rows there, and what it commits stays."""
    installation = make_installation(era, options=Options(killed_writers=not restored))
    data_dir, path = installation.data_dir, installation.app_db(app)
    if restored:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    before = load_snapshot(data_dir)
    expected = expect_apps(before)[app]
    labels = [f"opener {number}" for number in range(OPENERS)]

    outcomes = line.start([("open", str(data_dir), app, label) for label in labels])

    assert [(it.status, it.stderr) for it in outcomes.values()] == [(0, "")] * OPENERS
    for table in ("streams", "vods"):
        rows = len(expected.held[table]) + len(expected.added[table])
        found = sorted(it.report[table] for it in outcomes.values())
        assert found == list(range(rows, rows + OPENERS))
        assert delete(path, table, labels) == OPENERS
    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")
    assert outcome.status == 0, outcome
    assert_perfect(before, data_dir)


def test_processes_that_open_one_new_app_at_once_leave_nothing_but_the_app(
    line: StartingLine, make_installation: MakeInstallation
) -> None:
    """Nothing held data before, so there is nothing to back up."""
    installation = make_installation("monolith")
    path = installation.app_db("live")
    for number in range(8):
        line.start([("open", str(installation.data_dir), "live", f"{it}") for it in range(OPENERS)])
        assert [it.name for it in path.parent.glob("*.bak-*")] == [], f"round {number}"
        for file in path.parent.glob("app.db*"):
            file.unlink()

"""Services at work while an upgrade runs, and while each other's files are opened and evicted."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.support import figures
from tests.support.faults import fork_server
from tests.support.faults.core_writer import PREFIX, CoreWriter
from tests.support.faults.scenarios import assert_rows_accounted
from tests.support.faults.starting_line import StartingLine
from tests.support.installations import build_installation
from tests.support.installations.facts import app_db_path, find_global_path
from tests.support.installations.snapshot import fingerprint_databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import ForkServer
    from tests.support.installations.commands import Outcome

APPS: Final = 5
TURNS: Final = 12


@pytest.fixture(scope="module")
def line() -> Iterator[StartingLine]:
    with StartingLine() as started:
        yield started


def build(memory: Path, era: str) -> tuple[Path, Path]:
    built = build_installation(memory / "original", era=era, apps=APPS, rows=20)
    return built.data_dir, built.copy_to(memory / "data").data_dir


def take_out(data_dir: Path, outcomes: dict[int, Outcome]) -> tuple[Counter[str], Counter[str]]:
    """Delete what the services wrote; return what was there and what they had been told."""
    found, told = Counter[str](), Counter[str]()
    for path in sorted(data_dir.glob("apps/*/app.db")):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            where = f"WHERE stream_id LIKE '{PREFIX}%'"
            rows = connection.execute(f"SELECT stream_id FROM streams {where}").fetchall()
            found.update(f"{path.parent.name}/{key}" for (key,) in rows)
            connection.execute(f"DELETE FROM streams {where}")
    for outcome in outcomes.values():
        if outcome.stdout and "written" in outcome.report:
            told.update(outcome.report["written"])
    return found, told


def assert_finished(server: ForkServer, original: Path, data_dir: Path) -> None:
    assert server.run(fork_server.upgrade(data_dir)).status == 0
    assert_rows_accounted(original, data_dir)
    assert not list(data_dir.rglob("*.streamhub-tmp*"))
    before = fingerprint_databases(data_dir)
    assert server.run(fork_server.upgrade(data_dir)).status == 0
    assert fingerprint_databases(data_dir) == before


@pytest.mark.parametrize("era", ["monolith", "vods_db", "pre_tenancy"])
def test_services_that_open_every_app_while_the_upgrade_runs_lose_no_row(
    line: StartingLine, server: ForkServer, memory: Path, era: str
) -> None:
    """Whoever comes to a file first brings it to head; each commit that was told of is there."""
    original, data_dir = build(memory, era)
    runs: list[tuple[str, ...]] = [("cli", "--data-dir", str(data_dir), "--json", "upgrade")]
    runs += [("serve", str(data_dir), f"{PREFIX}{number}", "2", str(TURNS)) for number in range(3)]

    outcomes = line.start(runs)

    assert [(it.status, it.stderr) for it in outcomes.values()] == [(0, "")] * len(runs)
    found, told = take_out(data_dir, outcomes)
    assert told.total() == 3 * TURNS * APPS
    assert found == told
    assert_finished(server, original, data_dir)


def test_services_of_two_processes_that_evict_and_create_lose_no_row(
    line: StartingLine, server: ForkServer, memory: Path
) -> None:
    """Each keeps one engine of five apps that neither has made yet."""
    original, data_dir = build(memory, "monolith")
    runs = [("serve", str(data_dir), f"{PREFIX}{number}", "1", str(TURNS)) for number in range(4)]

    outcomes = line.start(runs)

    assert [(it.status, it.stderr) for it in outcomes.values()] == [(0, "")] * len(runs)
    found, told = take_out(data_dir, outcomes)
    assert (found, told.total()) == (told, 4 * TURNS * APPS)
    assert_finished(server, original, data_dir)


@pytest.mark.parametrize("era", ["pre_tenancy", "node_head"])
def test_core_that_writes_while_a_service_adopts_its_app_loses_no_row_and_sees_no_error(
    line: StartingLine, server: ForkServer, memory: Path, era: str
) -> None:
    """The lazy open takes no lock but the file's own, in turn with the core's autocommits."""
    built = build_installation(memory / "original", era=era, apps=APPS, rows=400)
    data_dir = built.copy_to(memory / "data").data_dir
    app_db, global_db = app_db_path(data_dir, "tv-2"), find_global_path(data_dir)

    with CoreWriter(app_db, global_db) as writer:
        outcomes = line.start([("open", str(data_dir), "tv-2", f"opener {n}") for n in range(3)])
        written = writer.stop()

    assert written.errors == []
    assert [(it.status, it.stderr) for it in outcomes.values()] == [(0, "")] * 3
    for path, table, column in (
        (app_db, "streams", "stream_id"),
        (app_db, "vods", "stream_id"),
        (global_db, "server_logs", "message"),
    ):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            where = f"WHERE {column} LIKE '{PREFIX}%'"
            rows = connection.execute(f"SELECT {column} FROM {table} {where}").fetchall()
            assert Counter(key for (key,) in rows) == Counter(written.keys[table])
            figures.count("rows of racing writers found", len(rows))
            connection.execute(f"DELETE FROM {table} {where}")
            if table != "server_logs":
                name = {"streams": "stream_id", "vods": "name"}[table]
                gone = connection.execute(f"DELETE FROM {table} WHERE {name} LIKE 'opener %'")
                assert gone.rowcount == 3
    assert_finished(server, built.data_dir, data_dir)


def test_serving_process_tells_what_it_committed(line: StartingLine, memory: Path) -> None:
    """The answer that the races are judged by holds one entry per commit."""
    _, data_dir = build(memory, "node_head")
    [outcome] = line.start([("serve", str(data_dir), f"{PREFIX}x", "2", "2")]).values()
    assert len(json.loads(outcome.stdout)["written"]) == 2 * APPS

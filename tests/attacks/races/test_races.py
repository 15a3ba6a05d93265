"""Many at once: upgrades, lazy opens, threads with eviction, and the Node core still writing."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from tests.support.faults import fork_server
from tests.support.faults.core_writer import PREFIX, CoreWriter
from tests.support.faults.scenarios import assert_rows_accounted
from tests.support.faults.state import Reader, shared_inodes
from tests.support.installations import build_installation
from tests.support.installations.facts import app_db_path, find_global_path
from tests.support.installations.snapshot import fingerprint_databases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.faults.fork_server import ForkServer

RACERS = 8


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy", "node_split"])
def test_eight_upgrades_at_once_leave_one_at_work_and_refuse_the_others(
    server: ForkServer, memory: Path, era: str
) -> None:
    """Who is refused reads the lock's path and its holder; the end is as if one had run."""
    original, data_dir = _build(memory, era)

    ended = server.race(fork_server.upgrade(data_dir), RACERS)

    winners = {it.pid for it in ended if it.status == 0}
    assert winners
    for loser in ended:
        if loser.status == 0:
            assert loser.report["ok"] is True
            continue
        assert loser.status == 3, loser
        error = loser.report["error"]
        assert f"{find_global_path(data_dir)}.lock: found it held by " in error
        assert any(f"process {pid};" in error for pid in winners) or "another process" in error
    _assert_finished(server, original, data_dir)
    assert find_global_path(data_dir).with_name("streamhub.db.lock").exists()


def test_eight_upgrades_that_wait_for_the_lock_all_succeed(
    server: ForkServer, memory: Path
) -> None:
    """One does the work, the others find nothing to do."""
    original, data_dir = _build(memory, "vods_db")

    ended = server.race(fork_server.upgrade(data_dir, "--lock-timeout", "50"), RACERS)

    assert [it.status for it in ended] == [0] * RACERS, ended
    changed = [it for it in ended if it.report["global"]["changed"]]
    assert len(changed) == 1
    _assert_finished(server, original, data_dir)


@pytest.mark.parametrize(("era", "app"), [("monolith", "live"), ("pre_tenancy", "live")])
def test_processes_that_open_the_same_app_at_once_all_get_it_whole(
    server: ForkServer, memory: Path, era: str, app: str
) -> None:
    """A new file is made once, an old one upgraded once; each has its rows once."""
    original, data_dir = _build(memory, era)
    path = app_db_path(data_dir, app)
    reader = Reader()
    before = reader.read(path)

    ended = server.race(fork_server.open_app(data_dir, app), RACERS)

    assert [it.status for it in ended] == [0] * RACERS, ended
    after = reader.read(path)
    assert after is not None
    assert not after.damage
    backups = [it for it in path.parent.glob("app.db.bak-*") if "-wal" not in it.name]
    assert all(_is_copy_of(reader.read(it), before, after) for it in backups)
    assert before is None or any(_is_copy_of(reader.read(it), before) for it in backups)
    assert shared_inodes(data_dir) == []
    _assert_finished(server, original, data_dir)


def _is_copy_of(copy: object, *origins: object) -> bool:
    return any(it is not None and copy.is_like(it) for it in origins)  # type: ignore[attr-defined]


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy"])
def test_threads_that_share_few_engines_write_every_row_once(
    server: ForkServer, memory: Path, era: str
) -> None:
    """Engines are opened and evicted under their feet, and no thread notices."""
    original, data_dir = _build(memory, era, apps=6)
    apps = ["live", "tv-2", "000", "radio--x", "studio9"]
    faults: list[BaseException] = []
    barrier = threading.Barrier(RACERS)

    def write(databases: Databases, thread: int) -> None:
        try:
            barrier.wait()
            for turn in range(25):
                name = apps[(thread + turn) % len(apps)] if thread % 2 else apps[turn % len(apps)]
                with databases.app_connection(name) as connection:
                    connection.exec_driver_sql(
                        "INSERT INTO streams (app_id, stream_id, type) VALUES (1, ?, 'webrtc')",
                        (f"{PREFIX}{thread}/{turn}",),
                    )
        except BaseException as fault:  # noqa: BLE001 - the main thread raises it
            faults.append(fault)

    with Databases(data_dir, max_open_apps=2) as databases:
        threads = [
            threading.Thread(target=write, args=(databases, number)) for number in range(RACERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counters = databases.counters

    assert faults == []
    assert counters.evictions > 0
    found = Counter[str]()
    for name in apps:
        found.update(_take_out(app_db_path(data_dir, name), "streams", "stream_id"))
    assert found == Counter(
        f"{PREFIX}{thread}/{turn}" for thread in range(RACERS) for turn in range(25)
    )
    _assert_finished(server, original, data_dir)


@pytest.mark.parametrize("era", ["pre_tenancy", "node_head"])
def test_core_that_writes_during_the_upgrade_loses_no_row_and_sees_no_error(
    server: ForkServer, memory: Path, era: str
) -> None:
    """Streams, VODs and log lines that SQLite took are there once, beside every older row."""
    original, data_dir = _build(memory, era, rows=600)
    app_db, global_db = app_db_path(data_dir, "tv-2"), find_global_path(data_dir)

    with CoreWriter(app_db, global_db) as writer:
        ended = server.run(fork_server.upgrade(data_dir))
        again = server.run(fork_server.upgrade(data_dir))
        written = writer.stop()

    assert written.errors == []
    assert (ended.status, again.status) == (0, 0), (ended, again)
    assert again.report["global"]["changed"] is False
    for path, table, column in (
        (app_db, "streams", "stream_id"),
        (app_db, "vods", "stream_id"),
        (global_db, "server_logs", "message"),
    ):
        assert Counter(_take_out(path, table, column)) == Counter(written.keys[table])
    _assert_finished(server, original, data_dir)


def _take_out(path: Path, table: str, column: str) -> list[str]:
    """Delete the rows that a test added, so that the oracle can judge the rest."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        sql = f"FROM {table} WHERE {column} LIKE '{PREFIX}%'"
        found = [str(key) for (key,) in connection.execute(f"SELECT {column} {sql}")]
        connection.execute(f"DELETE {sql}")
    return found


def _build(memory: Path, era: str, *, apps: int = 3, rows: int = 30) -> tuple[Path, Path]:
    built = build_installation(memory / "original", era=era, apps=apps, rows=rows)
    return built.data_dir, built.copy_to(memory / "data").data_dir


def _assert_finished(server: ForkServer, original: Path, data_dir: Path) -> None:
    """Check the rows after one more upgrade, and that yet another changes nothing."""
    assert server.run(fork_server.upgrade(data_dir)).status == 0
    assert_rows_accounted(original, data_dir)
    assert not list(data_dir.rglob("*.streamhub-tmp*"))
    before = fingerprint_databases(data_dir)
    assert server.run(fork_server.upgrade(data_dir)).status == 0
    assert fingerprint_databases(data_dir) == before

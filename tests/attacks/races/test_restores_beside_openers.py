"""A service opens an app at any instant of a restore or an undo: no acknowledged row is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.restore import Restored, restore_archive, undo_restore
from streamhub_orm.errors import DatabaseInUseError, HalfDoneError
from tests.support import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeInstallation

SECONDS: Final = 8

# Opens as the Node core does: WAL on every handle, 5 s of patience (here less, to try oftener).
OPENER: Final = """
import random, sqlite3, sys, time
from pathlib import Path
path, log, patience = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1), float(sys.argv[3])
number = 0
print("ready", flush=True)
while not Path(sys.argv[4]).exists():
    number += 1
    try:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
        time.sleep(random.choice([0, 0, 0.001, 0.004]))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (row TEXT)")
        row = f"{sys.argv[5]}-{number}"
        connection.execute("INSERT INTO acknowledged VALUES (?)", (row,))
        print(row, file=log)
        time.sleep(random.choice([0, 0.001, 0.003]))
        connection.close()
    except sqlite3.Error as error:
        print("error", type(error).__name__, error, file=sys.stderr, flush=True)
        connection.close()
    time.sleep(random.choice([0, 0.002, 0.01, 0.02]))
"""


@contextmanager
def openers(path: Path, folder: Path, count: int) -> Iterator[Callable[[], set[str]]]:
    """Let processes write rows into a database; what they say is acknowledged is theirs to find."""
    stop, logs, processes = folder / "stop", [], []
    for number in range(count):
        log = folder / f"acknowledged-{number}"
        logs.append(log)
        patience = ("0.05", "5")[number % 2]
        command = [sys.executable, "-c", OPENER, *map(str, (path, log, patience, stop, number))]
        with (folder / f"errors-{number}").open("wb") as errors:
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    try:
        yield lambda: {row for log in logs for row in log.read_text().split()}
    finally:
        stop.touch()
        for process in processes:
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(timeout=30) == 0


def rows_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), path
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'acknowledged'")
        if found.fetchone() is None:
            return set()
        return {row for (row,) in connection.execute("SELECT row FROM acknowledged")}


@pytest.mark.parametrize("born_by_restore", [False, True], ids=["there before", "not there before"])
def test_row_acknowledged_beside_restores_and_undos_is_live_or_set_aside(
    make_installation: MakeInstallation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    born_by_restore: bool,
) -> None:
    """Both files are whole, too, whoever opened which of them when.

    The look at who has the file open is blind here: everybody comes just after it.
    """
    monkeypatch.setattr("streamhub_orm.archives.restore.require_unused", lambda _: None)
    data_dir = make_installation("pre_tenancy", rows=12).data_dir
    live = data_dir / "apps/live/app.db"
    archive = create_archive(data_dir, tmp_path / "backups").archive
    if born_by_restore:
        for suffix in ("", "-wal", "-shm"):
            live.with_name(live.name + suffix).unlink(missing_ok=True)
    done: list[Restored] = []
    refused = 0
    with openers(live, tmp_path, 3) as acknowledged:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                done.append(restore_archive(archive, data_dir, app="live"))
                aside = done[-1].set_aside
                assert aside is not None
                done.append(undo_restore(aside, data_dir))
            except (DatabaseInUseError, HalfDoneError):
                refused += 1
    rows = acknowledged()
    files = [live, *data_dir.glob("pre-restore-*/data/apps/live/app.db")]
    found = {path: rows_of(path) for path in files if path.exists()}
    lost = rows - set().union(*found.values())
    assert not lost, f"{len(lost)} of {len(rows)} rows are nowhere, {len(done)} restores"
    errors = "".join(it.read_text() for it in tmp_path.glob("errors-*"))
    assert "malformed" not in errors
    assert len(done) > 3, f"{refused} refused"
    assert len(rows) > 50
    figures.count("rows acknowledged beside restores", len(rows))
    figures.count("restores and undos beside writers", len(done))

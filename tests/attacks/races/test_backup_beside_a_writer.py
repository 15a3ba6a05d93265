"""A backup beside a server that writes: nobody is locked out, and the copy is of one moment."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.engine.backups import back_up, copy_to_scratch, copy_verified
from tests.support.faults.steady_writer import Steady, SteadyWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEBIBYTE: Final = 1024 * 1024
ROWS: Final = 200_000
GENEROUS_SECONDS: Final = 2.0
"""Far from the busy timeout of 5 s; what is reached on a quiet machine is a benchmark's matter."""


def make(path: Path, *, mode: str) -> Path:
    """Make a database of about 200 MB whose vods and streams are equal in number."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE streams (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        connection.execute(
            "CREATE TABLE vods (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, key TEXT, more)"
        )
        connection.execute("CREATE INDEX idx_vods_key ON vods (key)")
        connection.execute("BEGIN")
        connection.execute(
            """WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number
                                             WHERE n < ?)
               INSERT INTO vods (name, key, more)
               SELECT 'first', hex(randomblob(8)), randomblob(850) FROM number""",
            (ROWS,),
        )
        connection.execute("INSERT INTO streams (name) SELECT name FROM vods")
        connection.execute("COMMIT")
    assert path.stat().st_size > 180 * MEBIBYTE
    return path


def pairs(path: Path) -> int:
    """Return the number of pairs in an intact file, in which none is halved."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        streams = connection.execute("SELECT count(*), max(id) FROM streams").fetchone()
        vods = connection.execute("SELECT count(*), max(id) FROM vods").fetchone()
        assert streams == vods == (streams[0], streams[0])
    return int(streams[0])


def names(folder: Path) -> set[str]:
    """Return what lies in a folder, without what any reader leaves beside a database."""
    return {it.name for it in folder.iterdir()} - {"app.db-shm", "app.db-wal"}


def beside_a_writer(path: Path, work: Callable[[], Path]) -> tuple[Path, Steady]:
    """Do the work while the writer writes, and let it go on for a moment afterwards."""
    with SteadyWriter(path) as writer:
        copy = work()
        time.sleep(0.2)
        return copy, writer.stop()


def assert_unharmed(path: Path, copy: Path, steady: Steady) -> None:
    """The writer met no lock; the copy has what it saw of it, and nothing halved or later."""
    assert steady.errors == []
    assert steady.longest_wait < GENEROUS_SECONDS
    assert pairs(path) == ROWS + steady.committed
    assert ROWS < pairs(copy) < pairs(path)
    assert not [it for it in copy.parent.iterdir() if it.name.startswith(f"{copy.name}-")]


def test_backup_beside_a_busy_writer_locks_it_out_for_no_moment(tmp_path: Path) -> None:
    """One file in rollback mode under a dated name, mode 0600, and nothing temporary is left."""
    path = make(tmp_path / "app.db", mode="WAL")

    backup, steady = beside_a_writer(path, lambda: back_up(path))

    assert re.fullmatch(r"app\.db\.bak-[\dT-]+Z", backup.name)
    assert backup.stat().st_mode & 0o7777 == 0o600
    assert backup.read_bytes()[18:20] == b"\x01\x01"  # a reader makes no -wal beside it
    assert_unharmed(path, backup, steady)
    assert names(tmp_path) == {"app.db", backup.name}


def test_copies_for_archive_and_rehearsal_lock_no_writer_out(tmp_path: Path) -> None:
    """`backup create` and a dry run copy by the same road."""
    path = make(tmp_path / "app.db", mode="WAL")
    packed, scratch = tmp_path / "packed", tmp_path / "scratch"

    def copy() -> Path:
        counts.update(copy_verified(path, packed))
        copy_to_scratch(path, scratch)
        return packed

    counts: dict[str, int] = {}
    _, steady = beside_a_writer(path, copy)

    assert_unharmed(path, packed, steady)
    assert counts == {"streams": pairs(packed), "vods": pairs(packed)}
    assert pairs(packed) < pairs(scratch) < pairs(path)


def test_backup_of_a_file_in_rollback_mode_lets_a_writer_in_before_its_timeout(
    tmp_path: Path,
) -> None:
    """Any reader of such a file holds its writers off, so the backup reads it as fast as it can."""
    path = make(tmp_path / "app.db", mode="DELETE")

    with SteadyWriter(path, patience_seconds=5) as writer:
        backup = back_up(path)
        time.sleep(0.2)
        steady = writer.stop()

    assert_unharmed(path, backup, steady)
    assert names(tmp_path) == {"app.db", backup.name}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_backup_of_an_idle_file_is_found_again_by_the_next_run(tmp_path: Path, mode: str) -> None:
    """Whichever way it is copied, the same bytes come out, and no second backup is kept."""
    path = make(tmp_path / "app.db", mode=mode)
    first = back_up(path)
    assert back_up(path) == first
    assert pairs(first) == ROWS

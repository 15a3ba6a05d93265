"""Backups: a verified copy under a dated name, or no file at all."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import back_up, list_backups, size_bytes
from streamhub_orm.engine.connections import open_read_only
from streamhub_orm.engine.integrity import is_intact, require_intact, row_counts
from streamhub_orm.errors import (
    CorruptDatabaseError,
    DatabaseFileError,
    NotADatabaseError,
    SpaceError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
ROWS = 2000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with a table, an index and a name that a shell or a URI would trip over."""
    folder = tmp_path / "a folder #1 with ümlaut?"
    folder.mkdir()
    path = folder / "app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE vods (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        connection.execute("CREATE INDEX idx_vods_name ON vods (name)")
        rows = [(f"nagranie {number} ż",) for number in range(ROWS)]
        connection.executemany("INSERT INTO vods (name) VALUES (?)", rows)
    return path


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(("-shm", "-wal"))}


def count(path: Path) -> int:
    with closing(open_read_only(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT count(*) FROM vods").fetchone()[0])


def test_backup_is_a_verified_copy_under_a_dated_name(path: Path) -> None:
    """Same tables and counts, mode 0600, beside its source, `:` and `.` of the time as `-`."""
    source = path.read_bytes()
    backup = back_up(path)
    assert backup.parent == path.parent
    assert re.fullmatch(r"app\.db\.bak-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z", backup.name), (
        backup.name
    )
    assert backup.stat().st_mode & 0o7777 == 0o600
    assert count(backup) == ROWS
    assert is_intact(backup)
    assert path.read_bytes() == source
    assert names(path.parent) == {"app.db", backup.name}


def test_backup_of_an_unchanged_file_is_the_one_that_is_there(path: Path) -> None:
    """A resumed run makes no second copy of the same bytes."""
    first = back_up(path)
    before = first.stat()
    assert back_up(path) == first
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert list_backups(path) == [first]


@pytest.mark.parametrize("damage", ["changed source", "damaged backup", "emptied backup"])
def test_backup_is_made_anew_where_the_newest_one_does_not_match(path: Path, damage: str) -> None:
    """Only a backup that is byte for byte the same is taken for this one."""
    first = back_up(path)
    if damage == "changed source":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO vods (name) VALUES ('new')")
    elif damage == "damaged backup":
        with first.open("r+b") as file:
            file.seek(5000)
            file.write(b"\xff" * 64)
    else:
        first.write_bytes(b"")
    second = back_up(path)
    assert second != first
    assert list_backups(path) == [first, second]
    assert count(second) == ROWS + (damage == "changed source")


def test_backup_whose_name_another_process_takes_first_gets_the_next_one(path: Path) -> None:
    """Names count milliseconds; every one of the next second is taken by another file."""
    now = datetime.now(UTC)
    taken = set()
    for milliseconds in range(1000):
        moment = now + timedelta(milliseconds=milliseconds)
        stamp = moment.strftime("%Y-%m-%dT%H-%M-%S-%f")[:-3]
        taken.add(path.with_name(f"{path.name}.bak-{stamp}Z"))
    for other in taken:
        other.write_bytes(b"of another process")

    backup = back_up(path)

    assert backup not in taken
    assert is_intact(backup)
    assert {it.read_bytes() for it in taken} == {b"of another process"}
    assert set(list_backups(path)) == {*taken, backup}


def test_backup_holds_the_rows_of_a_wal_that_a_killed_writer_left(path: Path) -> None:
    """Committed rows that never reached the main file are in the copy, and the -wal stays whole."""
    script = f"""
import os, signal, sqlite3
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("INSERT INTO vods (name) VALUES ('in the wal')")
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM vods")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    wal = path.with_name("app.db-wal")
    before = (path.read_bytes(), wal.read_bytes())
    assert before[1]
    assert size_bytes(path) == len(before[0]) + len(before[1])

    backup = back_up(path)

    assert count(backup) == ROWS + 1
    assert (path.read_bytes(), wal.read_bytes()) == before


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
print("ready", flush=True)
while True:
    connection.execute("INSERT INTO vods (name) VALUES ('more')")
    connection.execute("INSERT INTO vods (name) SELECT name FROM vods LIMIT 20")
"""


@pytest.fixture
def writing_process(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.poll() is None, "the writer met an error"
        process.kill()


@pytest.fixture
def writing_thread(path: Path) -> Iterator[None]:
    stop = threading.Event()
    errors: list[sqlite3.Error] = []

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            while not stop.is_set():
                try:
                    connection.execute("INSERT INTO vods (name) VALUES ('more')")
                except sqlite3.Error as error:
                    errors.append(error)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    yield
    stop.set()
    writer.join()
    assert errors == []


@pytest.mark.parametrize("writer", ["writing_process", "writing_thread"])
def test_backup_while_another_writes_is_consistent_and_stops_nobody(
    path: Path, writer: str, request: pytest.FixtureRequest
) -> None:
    """Copy and count are of one moment, whatever is committed meanwhile; the writer goes on."""
    request.getfixturevalue(writer)
    for _ in range(3):
        before = count(path)
        backup = back_up(path)
        assert before <= count(backup) <= count(path)
    assert not [name for name in names(path.parent) if name.startswith(".")]


def test_backup_of_a_damaged_file_is_refused_and_leaves_nothing(path: Path) -> None:
    """Pages that do not hold together make no backup, and no half of one."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    before = path.read_bytes()
    with pytest.raises(DatabaseFileError):
        back_up(path)
    with pytest.raises(CorruptDatabaseError, match=r"newest backup .*streamhub-db backup restore"):
        require_intact(path)
    assert not is_intact(path)
    assert names(path.parent) == {"app.db"}
    assert path.read_bytes() == before


def test_backup_of_a_file_that_is_no_database_is_refused_and_leaves_nothing(path: Path) -> None:
    """Something else under the name is not copied."""
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(NotADatabaseError):
        back_up(path)
    assert names(path.parent) == {"app.db"}


def test_backup_without_room_is_refused_before_anything_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The free space is asked first; the error names both numbers."""
    usage = shutil.disk_usage(path.parent)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SpaceError, match="4096 bytes free"):
        back_up(path)
    assert names(path.parent) == {"app.db"}


def test_backup_that_the_disk_fills_up_under_leaves_nothing(path: Path) -> None:
    """A limit on the size of files stops the copy half way; the next try finds a clean folder."""
    script = f"""
import resource, signal
from pathlib import Path
from streamhub_orm.engine.backups import back_up
from streamhub_orm.errors import DatabaseFileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, resource.RLIM_INFINITY))
try:
    back_up(path)
except DatabaseFileError as error:
    print(type(error).__name__)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("Error")
    assert names(path.parent) == {"app.db"}
    assert count(back_up(path)) == ROWS


def test_row_counts_name_every_ordinary_table(path: Path) -> None:
    """Names that need quotes are counted; virtual tables are left to their shadow tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "odd "" name" (id)')
        connection.execute('INSERT INTO "odd "" name" VALUES (1), (2)')
        connection.execute("CREATE VIRTUAL TABLE search USING fts5(text)")
        counts = row_counts(connection)
    assert counts["vods"] == ROWS
    assert counts['odd " name'] == 2
    assert "search" not in counts

"""Connections to database files: every pragma and every mode of the package has its home here."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import sqlalchemy as sa

from streamhub_orm.durable_files import irregularity
from streamhub_orm.engine.forks import TrackedConnection, file_of, require_openable
from streamhub_orm.engine.sqlite_errors import from_sqlite
from streamhub_orm.errors import NotADatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY_TIMEOUT_SECONDS: Final = 5.0
"""Seconds that a statement waits for another process's lock (contract: 5 s)."""

_LARGE_CACHE: Final = "cache_size = -32768"  # KiB


def file_uri(path: Path, mode: str) -> str:
    """Return the SQLite URI of `path`; quotes, blanks and non-ASCII in it are escaped."""
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open without the right to write, so that a left-over -wal stays as it is.

    A read-write open would checkpoint and delete that -wal at close. The caller closes it.
    """
    return _connect(path, "ro")


def open_for_migration(path: Path) -> sqlite3.Connection:
    """Open an existing file for DDL and imports: synchronous=FULL, foreign_keys=OFF, WAL.

    foreign_keys is off because a table rebuild would otherwise delete child rows through
    ON DELETE CASCADE, and the pragma does nothing inside a transaction. WAL is what the Node
    core sets on every handle; a file restored from VACUUM INTO comes in rollback mode.
    """
    return _set_up(path, "synchronous = FULL", "foreign_keys = OFF", _LARGE_CACHE, wal=True)


def try_write_lock(path: Path) -> None:
    """Raise `LockedDatabaseError` where another process writes for longer than the busy timeout.

    Not a byte of the file changes: the read-only connection keeps the other from being the last
    one, whose close would checkpoint and delete a left-over -wal.
    """
    with (
        translated(path, "asking for its write lock"),
        closing(open_read_only(path)) as reader,
        closing(_connect(path, "rw")) as holder,
    ):
        reader.execute("SELECT 1 FROM sqlite_master").fetchone()
        begin_amid_writers(holder)


def begin_amid_writers(connection: sqlite3.Connection) -> None:
    """Begin between two writes of a busy writer.

    SQLite's own busy handler sleeps up to 100 ms between attempts and may miss every gap.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    _retry_while_busy(connection, "BEGIN IMMEDIATE", pause_seconds=0.0005)


def _retry_while_busy(
    connection: sqlite3.Connection, statement: str, *, pause_seconds: float
) -> None:
    """Run a statement that SQLite's busy handler does not, or hardly, help."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(pause_seconds)
        else:
            return


def open_for_session(path: Path, *, check: Callable[[], None] = lambda: None) -> sqlite3.Connection:
    """Open for services: foreign_keys=ON, synchronous=NORMAL, WAL, usable from any thread.

    `check` may raise when the file is open and nothing of it was read yet: from its first statement
    on a connection uses the -wal and -shm that lie beside the path, whose file it may not be.
    """
    return _set_up(path, "foreign_keys = ON", "synchronous = NORMAL", wal=True, check=check)


def open_scratch(path: Path) -> sqlite3.Connection:
    """Open a file that nobody else knows yet: no journal and no fsync until it is published."""
    unsafe = ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF")
    return _set_up(path, *unsafe, _LARGE_CACHE, wal=False)


def _set_up(
    path: Path, *pragmas: str, wal: bool, check: Callable[[], None] = lambda: None
) -> sqlite3.Connection:
    """Open to write; a file that refuses a pragma, as one that is no database, is closed again.

    To set WAL mode, which is final, SQLite reads the header under a shared lock and then wants it
    exclusive, which its busy handler does not wait for: two openers of a file in rollback mode
    would refuse each other at once.
    """
    connection = _connect(path, "rw")
    try:
        check()
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if wal:
            _retry_while_busy(connection, "PRAGMA journal_mode = WAL", pause_seconds=0.005)
    except BaseException:
        connection.close()
        raise
    return connection


def enlarge_cache(connection: sqlite3.Connection) -> None:
    """Let a connection that works on a whole file keep 32 MiB of it; a small file takes less.

    The random keys of an index lead to another page at each row. In SQLite's own 2 MiB those of a
    big file do not stay, and each is read, or written and read, again.
    """
    connection.execute(f"PRAGMA {_LARGE_CACHE}")


def attach_read_only(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Attach a source; read-only, since BEGIN IMMEDIATE locks attached read-write files too."""
    _require_regular(path)
    connection.execute(f"ATTACH ? AS {schema}", (file_uri(path, "ro"),))


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Pin a connection to what is committed now: all that is read in the block is of one moment."""
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # it is the read that pins
        yield
    finally:
        connection.execute("ROLLBACK")


def lossy(text: bytes) -> str:
    r"""Decode UTF-8 and show a wrong byte as `\xff`."""
    return text.decode(errors="backslashreplace")


@contextmanager
def lossy_text(
    connection: sqlite3.Connection, decode: Callable[[bytes], object] = lossy
) -> Iterator[None]:
    """Read texts that are no UTF-8 too, by `decode`.

    By default one such text ends the whole query. Each text takes a call of Python this way.
    """
    before = connection.text_factory
    connection.text_factory = decode
    try:
        yield
    finally:
        connection.text_factory = before


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open read-only, close at the end, and turn SQLite's errors into ours."""
    with translated(path, "reading"):
        connection = open_read_only(path)
        try:
            yield connection
        finally:
            connection.close()


def fold_wal_in(path: Path) -> None:
    """Bring all of the -wal into the file and remove it; raises SQLITE_BUSY if others have it open.

    In exclusive locking mode the first lock is refused while any other connection is there.
    """
    with closing(_connect(path, "rw")) as connection:
        _lock_alone(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def holding_alone(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that no other connection has open, and none gets a lock on until the end.

    Waits for others as long as the busy timeout; then raises SQLITE_BUSY.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        with closing(_connect(path, "rw")) as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                _lock_alone(connection)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
            else:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
                return
        time.sleep(0.005)  # without a connection: a refused one may keep a shared lock


def _lock_alone(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("ROLLBACK")  # the lock stays, as the mode says


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether SQLite was refused a lock."""
    return (error.sqlite_errorname or "").startswith("SQLITE_BUSY")


def roll_back_dead_write(path: Path) -> None:
    """Let SQLite roll back the journal that a killed writer left, as any read-write open does.

    The file then holds the last committed state; without it no read-only open succeeds.
    """
    with translated(path, "rolling an interrupted write back"), closing(_connect(path, "rw")) as it:
        it.execute("SELECT 1 FROM sqlite_master").fetchone()
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists() and _begins_empty(journal):
            # SQLite takes no notice of such a one, and leaves it. Under the lock it is nobody's.
            it.execute("BEGIN IMMEDIATE")
            journal.unlink(missing_ok=True)
            it.execute("ROLLBACK")


def _begins_empty(journal: Path) -> bool:
    with journal.open("rb") as file:
        return file.read(1) in {b"", b"\0"}


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of sqlite3, SQLAlchemy and the operating system into a DatabaseFileError."""
    try:
        yield
    except FileExistsError:
        raise  # an answer, not a fault: another process created the file first
    except sa.exc.DBAPIError as error:
        raise from_sqlite(error.orig or error, path, doing) from error
    except (sqlite3.Error, OSError) as error:
        raise from_sqlite(error, path, doing) from error


def _require_regular(path: Path) -> None:
    """Refuse what SQLite would follow, or wait for without end: a link, a FIFO, a device."""
    for suffix in ("", "-wal", "-journal", "-shm"):
        kind = irregularity(f"{path}{suffix}")
        if kind is not None:
            raise NotADatabaseError(
                path,
                f"{kind} in its place" if not suffix else f"{kind} in the place of its {suffix}",
                "regular files, as no link is followed",
                "Find out who put it there, move it away, then run again.",
            )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    _require_regular(path)
    require_openable(path)
    connection = sqlite3.connect(
        file_uri(path, mode),
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=TrackedConnection,
    )
    connection.path = path
    try:
        connection.file = file_of(path)
    except OSError:
        connection.close()
        raise
    return connection

"""The contents of a database given to another file's, or taken away, under everybody's eyes.

A file that is renamed over a database takes the name away from whoever has just opened it: he goes
on in the old file, but with the -wal of that name, which is the new one's. So a database is
replaced as SQLite writes it: under its exclusive lock, in one transaction, in the same inode. Who
opens it meanwhile waits, or is told that it is locked, and then finds the new contents.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from streamhub_orm.durable_files import file_mode, publish, sync, temporary_beside
from streamhub_orm.engine.backups import size_bytes
from streamhub_orm.engine.connections import (
    holding_alone,
    open_for_migration,
    open_scratch,
    roll_back_dead_write,
)
from streamhub_orm.engine.database_files import mark_as_wal
from streamhub_orm.errors import DatabaseFileError, SpaceError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

_HEADER_BYTES: Final = 100
_REMOVED: Final = b"removed".ljust(_HEADER_BYTES, b"\0")
_BLOCK: Final = 1 << 20


def exchange(target: Path, new: Path, kept: Path, begun: Callable[[], None]) -> None:
    """Give the database at `target` the contents of `new`; those until now go into a file `kept`.

    Neither is lost whatever fails: `kept` is whole before the first page is written. It takes owner
    and mode of `target`. `begun` is called once the file is ours alone, before any byte of it
    changes. Raises sqlite3's SQLITE_BUSY where others have it open, SQLITE_NOTADB or
    SQLITE_CORRUPT where it is no database, and `FileExistsError` where `kept` exists.
    """
    with holding_alone(target) as connection:
        begun()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _keep(connection, target, kept)
        # In WAL mode the pages of both files would have to be of one size.
        connection.execute("PRAGMA journal_mode = DELETE")
        # A killed process's; who waits for our lock has not opened it yet.
        target.with_name(f"{target.name}-shm").unlink(missing_ok=True)
        with closing(open_for_migration(new)) as source:
            source.execute("BEGIN")  # Python's backup would wait without end for a lock on it
            source.execute("SELECT 1 FROM sqlite_master").fetchone()
            # The lock stays until the end of this one transaction, which then removes its journal.
            connection.execute("PRAGMA locking_mode = NORMAL")
            source.backup(connection)
    sync(target.parent)


def require_room(exchanges: Sequence[tuple[Path, Path]], *, besides: int = 0) -> None:
    """Raise `SpaceError` where exchanges, each of a target and what is new, have too little room.

    What is kept of each target stays, and its journal is as large while it is written. `besides`
    are bytes that the caller needs there himself.
    """
    sizes = [(size_bytes(target), size_bytes(new)) for target, new in exchanges]
    if not sizes:
        return
    needed = besides + sum(max(old, new) for old, new in sizes) + max(old for old, _ in sizes)
    folder = exchanges[0][0].parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SpaceError(
            folder,
            f"{free} bytes free on its file system",
            f"{needed} bytes for the databases that are set aside and the new ones",
            "Free space there, then run again; nothing was changed.",
        )


def take_away(target: Path, kept: Path, begun: Callable[[], None]) -> None:
    """Remove the database at `target`, whose contents go into a file `kept`.

    Who has opened the file and waits for its lock would write into one that has no name any more:
    it is made unreadable before the lock ends. Raises what `exchange` raises.
    """
    with holding_alone(target) as connection:
        begun()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _keep(connection, target, kept)
        descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # The companions first: by their names a new database may come the moment after.
            for suffix in ("-wal", "-shm", ""):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            os.pwrite(descriptor, _REMOVED, 0)
        finally:
            os.close(descriptor)  # which drops the lock
    sync(target.parent)


def _keep(connection: sqlite3.Connection, target: Path, kept: Path) -> None:
    """Copy page by page: what is damaged in the file is no less in the copy, and no more."""
    with temporary_beside(kept) as temporary:
        with closing(open_scratch(temporary)) as copy:
            connection.backup(copy)
        if temporary.stat().st_size:
            mark_as_wal(temporary)
        publish(temporary, kept, mode=file_mode(target))


def hold_the_same(one: Path, other: Path) -> bool:
    """Tell whether two databases that nobody has open are alike page by page.

    The header is left out: it counts the changes of a file. A write that was interrupted in `one`
    is rolled back first, as by any opening.
    """
    if one.with_name(f"{one.name}-journal").exists():
        with suppress(DatabaseFileError):
            roll_back_dead_write(one)
    with one.open("rb") as first, other.open("rb") as second:
        left = _length(first)
        if left != _length(second):
            return False
        while left > 0 and (block := first.read(min(left, _BLOCK))):
            if block != second.read(min(left, _BLOCK)):
                return False
            left -= len(block)
    return True


def _length(file: BinaryIO) -> int:
    """Read the header, and return how many bytes of pages belong to the database after it.

    The file is longer where it should have been cut after a commit and could not be.
    """
    header = file.read(_HEADER_BYTES)
    page_size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    return (65536 if page_size == 1 else page_size) * pages - _HEADER_BYTES

"""Database files as files: companions, second names, empty ones, the mode in the header."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import make_folder
from streamhub_orm.errors import CorruptDatabaseError

if TYPE_CHECKING:
    from pathlib import Path

# Two bytes of the header hold the mode (https://www.sqlite.org/fileformat2.html).
_MODE_OFFSET: Final = 18
_WAL_MODE: Final = b"\x02\x02"
_ROLLBACK_MODE: Final = b"\x01\x01"


def require_no_stray_wal(path: Path) -> None:
    """Raise `CorruptDatabaseError` where a -wal or -journal lies beside a missing database.

    SQLite would play it into whatever is put in the database's place. It may hold the last rows of
    a file that was lost, so it is not ours to remove.
    """
    for suffix in ("-wal", "-journal"):
        stray = path.with_name(path.name + suffix)
        if stray.exists() and stray.stat().st_size > 0 and not path.exists():
            raise CorruptDatabaseError(
                path,
                f"no such file, but its {stray.name}",
                "both or neither",
                f"Put {path.name} back beside it, or move {stray.name} away, then run again.",
            )


def remove_aliases(path: Path) -> None:
    """Remove other names of a database's file that a killed swap left beside it.

    SQLite forbids two names for one database: each would have a -wal of its own.
    """
    if path.stat().st_nlink > 1:
        for entry in path.parent.iterdir():
            if entry.name.startswith(path.name + ".") and entry.samefile(path):
                entry.unlink()


def create_empty(path: Path, *, mode: int) -> None:
    """Create a zero-byte file with the given mode, where there is none yet."""
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, mode)  # whatever the umask
    finally:
        os.close(descriptor)


def mark_as_wal(path: Path) -> None:
    """Set a database file to WAL mode while no connection to it is open.

    The pragma would make a -wal and a -shm to reach the same two bytes.
    """
    _mark(path, _WAL_MODE)


def mark_as_rollback(path: Path) -> None:
    """Set a database file without a -wal to rollback mode while no connection to it is open.

    So a backup is one file: in WAL mode each reader would make a -wal and a -shm beside it.
    """
    _mark(path, _ROLLBACK_MODE)


def _mark(path: Path, mode: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(_MODE_OFFSET)
        file.write(mode)


def in_wal_mode(database: bytes) -> bytes:
    """Return the bytes of a database file as those of one in WAL mode."""
    end = _MODE_OFFSET + len(_WAL_MODE)
    return database[:_MODE_OFFSET] + _WAL_MODE + database[end:]

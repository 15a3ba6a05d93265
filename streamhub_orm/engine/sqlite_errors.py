"""Errors of SQLite and the operating system, turned into ours: one that says what to do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.fence import met_fence
from streamhub_orm.engine.lock_holders import find_writer
from streamhub_orm.errors import (
    CorruptDatabaseError,
    DatabaseFaultError,
    DatabaseFileError,
    DiskError,
    InterruptedWriteError,
    LockedDatabaseError,
    MigrationFailedError,
    NoLocksError,
    NotADatabaseError,
    ReadOnlyDatabaseError,
    SpaceError,
    UncopyableDatabaseError,
)
from streamhub_orm.owner import give_back

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def from_sqlite(error: BaseException, path: Path, doing: str) -> DatabaseFileError:
    """Turn an error of sqlite3 or the operating system into one that says what to do.

    `doing` completes the sentence "while …". SQLite's own result code decides the class
    (https://www.sqlite.org/rescode.html); the text of SQLite stays in the message. Of a lock it
    also says who holds it, where that is known.
    """
    fenced = met_fence(error, path)
    if fenced is not None:
        return fenced
    for name, case in _CASES:
        if name in (getattr(error, "sqlite_errorname", None) or _errno_name(error) or str(error)):
            kind, expected, todo = case
            if kind is LockedDatabaseError:
                return locked(error, path, doing=doing)
            if kind is ReadOnlyDatabaseError:
                todo = give_back(path) or todo
            return kind(path, f"{error} while {doing}", expected, todo)
    for text, expected, todo in _UNCOPYABLE:
        if text in str(error):
            return UncopyableDatabaseError(path, f"{error} while {doing}", expected, todo)
    return MigrationFailedError(
        path,
        f"{type(error).__name__}: {error} while {doing}",
        "every statement to succeed",
        "Correct what the message names, then run again.",
    )


def locked(
    error: BaseException,
    path: Path,
    *,
    doing: str | None = None,
    waited_seconds: float | None = None,
) -> LockedDatabaseError:
    """Return the error for a lock that was refused, with its holder where that is known."""
    holder = find_writer(path)
    by = f" by {holder}" if holder else ""
    after = "" if waited_seconds is None else f" for {waited_seconds:.1f} s"
    found = f"{error}{by}{after}{f' while {doing}' if doing else ''}"
    _, expected, todo = _LOCKED
    return LockedDatabaseError(path, found, expected, todo, waited_seconds, holder)


def _errno_name(error: BaseException) -> str | None:
    return errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None


_BACKUPS: Final = "<file>.bak-… beside it, or `streamhub-db backup restore`"
RESTORE_BACKUP: Final = f"Restore this file from its newest backup ({_BACKUPS}), then run again."
"""Advice about a damaged database."""

_LOCKED = (
    LockedDatabaseError,
    "the write lock within the busy timeout",
    "Stop the process that writes to it, or wait for it, then run again.",
)
_READ_ONLY = (
    ReadOnlyDatabaseError,
    "a file and folder that this user can write",
    (
        "Run as the owner of the installation (or with sudo), check the mount and its free space, "
        "then run again."
    ),
)
_CORRUPT = (
    CorruptDatabaseError,
    "an intact SQLite database",
    RESTORE_BACKUP,
)
_DISK = (
    DiskError,
    "to read and write without a fault of the disk",
    "Check the disk, its free space and the system's log, then run again.",
)
_NO_LOCKS = (
    NoLocksError,
    "a file system with locks (flock)",
    (
        "Mount it with locks (NFS: without nolock), or move the installation to a disk of this "
        "machine, then run again."
    ),
)
_NO_SPACE = (
    SpaceError,
    "room for a copy of the file",
    "Free space on this file system, then run again.",
)
# In order: the first name that occurs in SQLite's result code, errno or message decides.
_CASES: tuple[tuple[str, tuple[type[DatabaseFaultError], str, str]], ...] = (
    (
        "SQLITE_READONLY_ROLLBACK",
        (
            InterruptedWriteError,
            "no interrupted write",
            "Run `streamhub-db upgrade`: it lets SQLite roll the interrupted write back.",
        ),
    ),
    ("SQLITE_BUSY", _LOCKED),
    ("SQLITE_LOCKED", _LOCKED),
    ("SQLITE_READONLY", _READ_ONLY),
    ("SQLITE_PERM", _READ_ONLY),
    ("SQLITE_CANTOPEN", _READ_ONLY),
    ("EACCES", _READ_ONLY),
    ("EPERM", _READ_ONLY),
    ("EROFS", _READ_ONLY),
    ("ENOLCK", _NO_LOCKS),
    ("EOPNOTSUPP", _NO_LOCKS),
    ("ENOTSUP", _NO_LOCKS),
    ("ENOSYS", _NO_LOCKS),
    ("SQLITE_CORRUPT", _CORRUPT),
    (
        "SQLITE_NOTADB",
        (
            NotADatabaseError,
            "a SQLite database",
            f"Put the right file in its place, or restore it from its newest backup ({_BACKUPS}).",
        ),
    ),
    (
        "SQLITE_IOERR_SHMSIZE",
        (
            SpaceError,
            "room for the file's -shm",
            "Free space on this file system, then run again.",
        ),
    ),
    ("SQLITE_IOERR", _DISK),
    ("EIO", _DISK),
    ("SQLITE_FULL", _NO_SPACE),
    ("ENOSPC", _NO_SPACE),
    ("EFBIG", _NO_SPACE),
    ("EDQUOT", _NO_SPACE),
)
# SQLite has one code, SQLITE_ERROR, for these and for a mistake in our SQL: its words decide.
_UNCOPYABLE: Final = (
    (
        "same text encoding",
        "text in UTF-8, as StreamHub writes it and in which SQLite attaches a file to another",
        (
            "Write it anew in UTF-8 (`sqlite3 FILE .dump | sqlite3 NEW`, then set NEW's "
            "user_version to FILE's), put that in its place, then run again; nothing was changed."
        ),
    ),
    (
        "no such collation sequence",
        "collations that SQLite itself has",
        (
            "Drop the index or column that uses it, with the program that made it, then run "
            "again; nothing was changed."
        ),
    ),
    (
        "values were supplied",
        "tables that SQLite can copy, which one with a generated column may not be",
        (
            "Drop the generated columns (`ALTER TABLE … DROP COLUMN …`), then run again; nothing "
            "was changed."
        ),
    ),
)


def refuse_other_encoding(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `UncopyableDatabaseError` for a file whose texts are in UTF-16."""
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        _, expected, todo = _UNCOPYABLE[0]
        raise UncopyableDatabaseError(path, f"text in {encoding}", expected, todo)

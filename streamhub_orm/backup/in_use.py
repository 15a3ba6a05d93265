"""Whether another process has a file open that is about to be replaced.

Two looks, since neither sees all. Linux lists the open files of each process that this user may
look at: as root of all, otherwise of its own. SQLite's locks tell of any process of this machine,
whoever runs it, as long as the database is in WAL mode, in which every open connection holds one.
Neither sees another machine that has the file by a network file system, nor a process that opens
it a moment later.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import fold_wal_in
from streamhub_orm.errors import DatabaseInUseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROCESSES: Final = Path("/proc")


def require_unused(databases: Iterable[Path], *, touching: bool) -> None:
    """Raise `DatabaseInUseError` where another process has one of the databases open.

    SQLite is asked only if files may be touched, for it brings a -wal into its file on the way. A
    file that SQLite cannot use is no obstacle: it may be what the restore is for.
    """
    present = [path for path in databases if path.is_file()]
    users = list(_open_files(present))
    if touching and not users:
        unseen = "by a process that this user cannot see"
        users = [f"{path} {unseen}" for path in present if _is_locked(path)]
    if users:
        raise DatabaseInUseError(users)


def _open_files(paths: list[Path]) -> Iterator[str]:
    wanted = {}
    for path in paths:
        status = path.stat()
        wanted[status.st_dev, status.st_ino] = path
    for process in _PROCESSES.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        for path in {wanted[inode] for inode in _inodes(process) if inode in wanted}:
            yield f"{path} by process {process.name} ({_name(process)})"


def _inodes(process: Path) -> Iterator[tuple[int, int]]:
    with suppress(OSError):  # it ended meanwhile, or is another user's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                status = descriptor.stat()
                yield status.st_dev, status.st_ino


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "ended"


def _is_locked(path: Path) -> bool:
    try:
        fold_wal_in(path)
    except sqlite3.OperationalError as error:
        return error.sqlite_errorname == "SQLITE_BUSY"
    except sqlite3.DatabaseError:
        return False
    return False

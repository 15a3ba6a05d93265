"""Databases in use: files that another process has open and that are about to be replaced.

Two looks, since neither sees all; they change no byte. Linux lists the open files of each process
that this user may look at: as root of all, otherwise of its own. And the kernel tells who holds a
lock on a file, whoever runs it: in WAL mode every open connection holds one on the database.
Neither sees another machine that has the file by a network file system, nor a process that opens
it a moment later; elsewhere than on Linux nothing is seen.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import open_regular
from streamhub_orm.engine.lock_holders import process_name
from streamhub_orm.errors import DatabaseInUseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROCESSES: Final = Path("/proc")
_FLOCK: Final = struct.Struct("@hhqqi0q")
"""struct flock of Linux: type, whence, start, length, process."""


def require_unused(databases: Iterable[Path]) -> None:
    """Raise `DatabaseInUseError` where another process has one of the databases open.

    This process must not have one open: to close the file would drop its locks (POSIX).
    """
    if not sys.platform.startswith("linux"):
        return
    present = [path for path in databases if path.is_file()]
    users = [f"{path} by {holder}" for path, holder in open_files(present)] or [
        f"{path} by {holder}" for path in present if (holder := _lock_holder(path))
    ]
    if users:
        raise DatabaseInUseError(users)


def open_files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files that another process has open, each with the process: number and name.

    Those of other users are seen by root alone; elsewhere than on Linux nothing is.
    """
    wanted = {}
    for path in paths:
        status = path.stat()
        wanted[status.st_dev, status.st_ino] = path
    for process in _PROCESSES.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        for path in {wanted[inode] for inode in _inodes(process) if inode in wanted}:
            yield path, f"process {process.name} ({process_name(process.name)})"


def _inodes(process: Path) -> Iterator[tuple[int, int]]:
    with suppress(OSError):  # it ended meanwhile, or is another user's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                status = descriptor.stat()
                yield status.st_dev, status.st_ino


def _lock_holder(path: Path) -> str | None:
    """Ask the kernel who would be in the way of an exclusive lock on the whole file."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with os.fdopen(open_regular(path), "rb") as file:
        kind, *_, process = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, question))
    if kind == fcntl.F_UNLCK:
        return None
    return f"process {process}" if process > 0 else "a process of another container"

"""Proof that a file is unchanged since an archive was made, without reading it.

Every write to a database goes through write() to the file or to its -wal, and the kernel then sets
both times of the inode; ctime cannot be set by a program. A file whose inode, size and times, and
those of its -wal, are as they were has therefore not been written since, with one gap: times are
as coarse as a tick of the kernel, so a write that follows another within one tick leaves no trace.
Inodes count only if the last change was well past when they were looked at; then a later write
falls into a later tick. Two changes stay unseen: a clock that is set back and meets the same
nanosecond again, and a network file system that serves old attributes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_SETTLED_NS: Final = 2_000_000_000
"""Longer than the coarsest time stamp of a file system in use (FAT's 2 s)."""


@dataclass(frozen=True)
class Inodes:
    """The inodes of a file and its -wal at one moment; times in nanoseconds."""

    file: list[int]
    """Device, inode, size, mtime, ctime."""
    wal: list[int] | None
    """Device, inode, size, mtime; None without a -wal, or with an empty one, as readers leave it.

    Its ctime moves whenever root opens the database, for SQLite then sets the owner of the -wal.
    """

    @classmethod
    def of(cls, path: Path) -> Inodes | None:
        """Look at a file; None where it changed so lately that the times prove nothing."""
        status = path.stat()
        file = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
        found = cls([*file, status.st_ctime_ns], _wal(path))
        latest = max(*found.file[3:], *(found.wal or [0])[3:])
        return found if latest < time.time_ns() - _SETTLED_NS else None


def _wal(path: Path) -> list[int] | None:
    try:
        status = path.with_name(path.name + "-wal").stat()
    except FileNotFoundError:
        return None
    if status.st_size == 0:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]

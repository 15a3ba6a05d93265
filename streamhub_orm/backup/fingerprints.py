"""How it is known for sure that a file is unchanged, without reading it.

Every write to a database goes through write() to the file or to its -wal, and the kernel then sets
both times of the inode; ctime cannot be set by a program. A file whose inode, sizes and times, and
those of its -wal, are as they were has therefore not been written since, with one gap: times are
as coarse as a tick of the kernel, so a write that follows another within one tick leaves no trace.
A fingerprint counts only if the last change was well past when it was taken; then a later write
falls into a later tick. What it cannot see: a clock that is set back and meets the same nanosecond
again, and a network file system that serves old attributes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os
    from pathlib import Path

_SETTLED_NS: Final = 2_000_000_000
"""Longer than the coarsest time stamp of a file system in use (FAT's 2 s)."""


@dataclass(frozen=True)
class Fingerprint:
    """The inodes of a file and its -wal, as lists of device, inode, size, mtime and ctime (ns)."""

    file: list[int]
    wal: list[int] | None
    """None where there is no -wal, or an empty one, which a mere reader may leave."""

    @classmethod
    def take(cls, path: Path) -> Fingerprint | None:
        """Look at a file; None where it changed so lately that the times prove nothing."""
        found = cls(_inode(path.stat()), _wal(path))
        latest = max(*found.file[3:], *(found.wal or [0])[-2:])
        return found if latest < time.time_ns() - _SETTLED_NS else None


def _inode(status: os.stat_result) -> list[int]:
    return [
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    ]


def _wal(path: Path) -> list[int] | None:
    try:
        status = path.with_name(path.name + "-wal").stat()
    except FileNotFoundError:
        return None
    return _inode(status) if status.st_size else None

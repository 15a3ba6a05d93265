"""The lock that admits one upgrade of an installation at a time."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import LockFileError, UpgradeRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS: Final = 0.05
_NAMING_SECONDS: Final = 0.5
"""Seconds after which a refusal says that nobody who can be named holds the lock."""


@contextmanager
def run_lock(path: Path, *, timeout_seconds: float = 0.0) -> Iterator[None]:
    """Hold flock on `path` (mode 0600); raise `UpgradeRunningError` if another run holds it.

    The file is never removed: unlinking it would let two runs lock two inodes of one name. The
    kernel drops the lock when its last holder ends, so a dead run's lock is simply taken over.
    The holder's name stands in the file from just after it got the lock until just before it lets
    go. Raises `LockFileError` where `path` is a link or no regular file.
    """
    descriptor = _open(path)
    try:
        with translated(path, "locking the installation"):
            _acquire(descriptor, path, time.monotonic() + timeout_seconds)
            _write(descriptor, f"process {os.getpid()}")
        try:
            yield
        finally:
            with suppress(OSError):  # a name that stays is that of a process that has ended
                _write(descriptor, "")
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the lock file, and never another one that a link in its place leads to."""
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise LockFileError(path)
    with translated(path, "locking the installation"):
        descriptor = os.open(path, flags, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise LockFileError(path)
    return descriptor


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while not _is_free(descriptor):
        if time.monotonic() >= deadline:
            return _acquire_or_refuse(descriptor, path)
        time.sleep(_POLL_SECONDS)
    return None


def _acquire_or_refuse(descriptor: int, path: Path) -> None:
    """Raise with the holder's name; where the lock changes hands meanwhile, look again."""
    deadline = time.monotonic() + _NAMING_SECONDS
    while not _is_free(descriptor):
        holder = os.pread(descriptor, 64, 0).decode(errors="replace")
        if _is_alive(holder):
            raise UpgradeRunningError(path, holder)
        if time.monotonic() >= deadline:
            # Its workers still end their files, or it is in another namespace of processes.
            raise UpgradeRunningError(path, f"{holder or 'another process'} or what it started")
        time.sleep(_POLL_SECONDS / 10)


def _is_free(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(holder: str) -> bool:
    """Tell whether the process that a lock file names is there, under whatever user."""
    named = re.fullmatch(r"process (\d{1,9})", holder)
    if named is None:
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    if text:
        os.pwrite(descriptor, text.encode(), 0)

"""The lock that admits one upgrade of an installation at a time."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import take_owner
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import UpgradeRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS: Final = 0.05


@contextmanager
def run_lock(path: Path, *, like: Path, timeout_seconds: float = 0.0) -> Iterator[None]:
    """Hold flock on `path` (mode 0600); raise `UpgradeRunningError` if another run holds it.

    The file is never removed: unlinking it would let two runs lock two inodes of one name. The
    kernel drops the lock when its last holder ends, so a dead run's lock is simply taken over.
    """
    with translated(path, "locking the installation"):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, time.monotonic() + timeout_seconds)
        with translated(path, "locking the installation"):
            take_owner(path, like)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 64, 0).decode(errors="replace") or "another process"
                raise UpgradeRunningError(path, holder) from None
            time.sleep(_POLL_SECONDS)
        else:
            return

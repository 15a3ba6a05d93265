"""Processes that want to upgrade one file take turns."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import BUSY_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS: Final = 0.005


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold flock on a folder, so that whoever else works in it this way waits.

    It spares a second backup, and no safety rests on it: who has waited for as long as for a
    locked file goes on without, and so does everybody where the file system has no such lock. The
    folder itself is locked because a lock file would have to stay for ever.
    """
    descriptor: int | None = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _wait_for(descriptor)
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):  # closing alone would leave it to a process forked meanwhile
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_SECONDS)
        else:
            return

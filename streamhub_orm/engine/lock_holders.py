"""Holders of SQLite's write locks, whoever they are, as the kernel lists them.

The list is that of Linux, /proc/locks. To ask the kernel about one file, as `archives.in_use` does,
the file has to be opened, and closing it again would drop the locks that this process has on it.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamhub_orm.engine.forks import file_of

_LOCK: Final = re.compile(
    r"\d+: POSIX +\S+ +(?P<kind>READ|WRITE) +(?P<process>\d+) +[0-9a-f]+:[0-9a-f]+:"
    r"(?P<inode>\d+) (?P<first>\d+) (?P<last>\d+|EOF)"
)
# Bytes that a writer locks: of the -shm in WAL mode (https://www.sqlite.org/walformat.html), and of
# the file itself from the one that says "pending" on (https://www.sqlite.org/lockingv3.html).
_WAL_WRITER: Final = 120
_PENDING: Final = 0x40000000
_SHARED_END: Final = _PENDING + 512


def process_name(number: int | str) -> str:
    """Return the name of a process's program."""
    try:
        return Path(f"/proc/{number}/comm").read_text(errors="replace").strip()
    except OSError:
        return "ended"


def find_writer(path: Path) -> str | None:
    """Return in words which process has a write lock on a database; None where it is not known."""
    shm = path.with_name(f"{path.name}-shm")
    for place, first, last in (shm, _WAL_WRITER, _WAL_WRITER), (path, _PENDING, _SHARED_END):
        for lock in _locks_on(place):
            end = math.inf if lock["last"] == "EOF" else int(lock["last"])
            if lock["kind"] == "WRITE" and int(lock["first"]) <= last and end >= first:
                return _named(int(lock["process"]))
    return None


def is_open_in_wal_mode(path: Path) -> bool:
    """Tell whether any process has a database open that is in WAL mode, as far as can be known.

    Each connection then has a lock on the file, once it has read.
    """
    return bool(_locks_on(path))


def _locks_on(path: Path) -> list[re.Match[str]]:
    with suppress(OSError):
        # Without the device: some file systems list another one here than stat() tells.
        _, inode = file_of(path)
        listed = _LOCK.finditer(Path("/proc/locks").read_text())
        return [lock for lock in listed if int(lock["inode"]) == inode]
    return []


def _named(process: int) -> str:
    if process == os.getpid():
        return "another session of this process"
    return f"process {process} ({process_name(process)})"

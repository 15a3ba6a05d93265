"""SQLite across a fork: what a child closes, and what it must refuse.

SQLite keeps its record of a file's locks, and its mutexes, per process, and a child inherits both
as they stood at the fork. So the state here is the process's own: docs/adr/0015.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias

from streamhub_orm.errors import ForkedAmidThreadsError, ForkedInSessionError

if TYPE_CHECKING:
    from collections.abc import Callable

_Start: TypeAlias = "weakref.WeakMethod[Callable[[], None]]"


class Kept(NamedTuple):
    """Connections that an object keeps while nobody uses it, as they stood at the fork."""

    idle: list[sqlite3.Connection]
    """Connections that nobody has in hand."""
    opening: bool
    """True where a database is being opened: Python's locks may be held then, too."""


class TrackedConnection(sqlite3.Connection):
    """A connection that is known from before it is opened until it is closed."""

    path = Path(":memory:")
    file: tuple[int, int] | None = None
    """Device and inode."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - sqlite3's
        """Open it."""
        self.turn = Lock()
        """Held by whoever runs a statement: a connection is one thread's at a time."""
        _open.add(self)
        super().__init__(*args, **options)

    def close(self) -> None:
        """Close it."""
        super().close()
        _open.discard(self)


class _ParentsConnection(TrackedConnection):
    """A connection that somebody in the parent had in hand: nothing in a child may touch it.

    Leaving a block in the child that the parent had entered neither commits nor rolls back.
    """

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - stands for any method
        _require_working_sqlite()
        raise ForkedInSessionError(self.path)

    backup = blobopen = commit = cursor = execute = executemany = executescript = _refuse

    def rollback(self) -> None:
        """Do nothing: the parent's transaction is the parent's to end."""

    def close(self) -> None:
        """Do nothing: rolling back would reach into the -shm that the parent uses."""


class _Process:
    """Knowledge of this process about the fork that it came from, and the next one."""

    alone = True
    """True where the thread that forked was the only one."""
    stuck = False
    """True where one of SQLite's mutexes may be held by a thread that is not here."""
    barred: frozenset[tuple[int, int]] = frozenset()
    """Files with an inherited connection that cannot be closed: a new one would take no lock."""


_process: Final = _Process()
_open: Final[weakref.WeakSet[TrackedConnection]] = weakref.WeakSet()
_keepers: Final[list[tuple[weakref.WeakMethod[Callable[[], Kept]], _Start]]] = []


def follow_forks(kept: Callable[[], Kept], start_anew: Callable[[], None]) -> None:
    """In each child of fork ask what an object kept, then let it start anew.

    Both are methods, called for as long as their object lives.
    """
    _keepers[:] = [it for it in _keepers if it[0]() is not None]
    _keepers.append((weakref.WeakMethod(kept), weakref.WeakMethod(start_anew)))


def require_openable(path: Path) -> None:
    """Raise `ForkedInSessionError` or `ForkedAmidThreadsError` where this process must not open."""
    _require_working_sqlite()
    if _process.barred:
        with suppress(OSError):  # opening it will tell
            if file_of(path) in _process.barred:
                raise ForkedInSessionError(path)


def open_in_memory() -> sqlite3.Connection:
    """Open a database in memory, outside of any transaction; the caller closes it."""
    _require_working_sqlite()
    return sqlite3.connect(":memory:", isolation_level=None, factory=TrackedConnection)


def file_of(path: Path) -> tuple[int, int]:
    """Return device and inode."""
    found = path.stat()
    return found.st_dev, found.st_ino


def open_paths() -> list[Path]:
    """Return the files that this process has open, from whatever thread."""
    while True:
        with suppress(RuntimeError):  # one was opened or closed meanwhile
            return sorted({it.path for it in _open} - {TrackedConnection.path})


def has_forked_amid_threads() -> bool:
    """Tell whether this process can never use SQLite."""
    return _process.stuck


def _require_working_sqlite() -> None:
    if _process.stuck:
        raise ForkedAmidThreadsError


def _before_fork() -> None:
    _process.alone = len(sys._current_frames()) == 1  # noqa: SLF001 - also threads that threading does not know


def _leave_parent() -> None:
    """Close in the child what nobody had in hand, and bar what somebody had.

    Closing drops no lock of the parent's, and cannot checkpoint while the parent holds its own.
    """
    alive = [
        (kept(), start_anew) for ask, anew in _keepers if (kept := ask()) and (start_anew := anew())
    ]
    idle = {connection for kept, _ in alive for connection in kept.idle}
    in_hand = {it for it in _open if it not in idle}
    opening = any(kept.opening for kept, _ in alive)
    if not _process.alone and (in_hand or opening):
        _process.stuck = True
    for connection in list(_open):
        if _process.stuck or connection in in_hand or not _closed(connection):
            _leave_alone(connection)
    _open.clear()
    for _, start_anew in alive:
        start_anew()


def _closed(connection: TrackedConnection) -> bool:
    try:
        connection.close()
    except sqlite3.Error:
        return False
    return True


def _leave_alone(connection: TrackedConnection) -> None:
    """Keep a connection open for as long as the process lives, and its file from being opened."""
    connection.__class__ = _ParentsConnection
    connection.turn = Lock()  # a thread that is not here may hold the one from before
    # One more reference than anybody gives back: freed at the end of the interpreter, it would be
    # closed, and wait for ever for a mutex.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    if connection.file is not None:
        _process.barred |= {connection.file}


os.register_at_fork(before=_before_fork, after_in_child=_leave_parent)

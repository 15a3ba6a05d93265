"""Work in a thread that another thread can stop: at its statement, its commit, its next session.

`interrupt()` of sqlite3 is not used. While any statement of the connection is begun and not read
to its end, it also ends every later one, ROLLBACK too, and the write lock would stay. A progress
handler ends the statement that asks it, and no other.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.forks import TrackedConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

_ResultT = TypeVar("_ResultT")

_STEPS: Final = 50_000
"""Steps of SQLite's virtual machine, about 1 ms, after which a statement asks whether to go on."""


class Stopped(BaseException):
    """The work was asked to stop. It passes by whoever catches `Exception`."""


class StoppedConnection(TrackedConnection):
    """A connection of stopped work: it rolls back and closes, and does nothing else.

    SQLite may have rolled back by itself, and each further statement would then be committed alone.
    """

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - stands for any method
        message = "interrupted"
        error = sqlite3.OperationalError(message)
        error.sqlite_errorcode, error.sqlite_errorname = (
            sqlite3.SQLITE_INTERRUPT,
            "SQLITE_INTERRUPT",
        )
        raise error

    blobopen = commit = cursor = execute = executemany = executescript = _refuse


class Work:
    """One call of a function, which may use any number of sessions, in one thread."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.is_stopping = False
        """True from when another thread wants it to end."""
        self.commits = 0
        """Transactions that it has committed."""
        self.connections: list[sqlite3.Connection | StoppableConnection] = []
        """Connections that it has in hand; changed under `lock`."""
        self.lock = threading.Lock()

    def stop(self) -> None:
        """From another thread, let the work end: it begins no statement, and that at work ends.

        Returns at once: a server is told in a thread, since the caller may be an event loop.
        """
        with self.lock:
            self.is_stopping = True
            for connection in self.connections:
                _stop(connection)
            is_on_server = not all(isinstance(it, sqlite3.Connection) for it in self.connections)
        if is_on_server:
            threading.Thread(target=self._end_statements, daemon=True).start()

    def _end_statements(self) -> None:
        with self.lock:  # until then none is given back, and to another
            for connection in self.connections:
                if not isinstance(connection, sqlite3.Connection):
                    connection.end_statement()

    def do(self, function: Callable[[], _ResultT]) -> _ResultT:
        """Call the function in this thread; raises `Stopped` where an error ended it amid that."""
        _thread.work = self
        try:
            return function()
        except BaseException as error:
            if self.is_stopping:
                _forget(error)
                raise Stopped from None
            raise
        finally:
            _thread.work = None


def _forget(error: BaseException | None) -> None:
    """Drop what the frames of an error hold.

    Among that may be a result that was not read to its end. SQLite keeps the descriptors of a
    closed connection while there is one, and the frames would wait for the collector.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__context__


class _Thread(threading.local):
    work: Work | None = None


_thread: Final = _Thread()


def require_going_on() -> None:
    """Raise `Stopped` where this thread's work is to end; called before each session."""
    work = _thread.work
    if work is not None and work.is_stopping:
        raise Stopped


def count_commit() -> None:
    """Count a commit of this thread's work."""
    work = _thread.work
    if work is not None:
        work.commits += 1


class StoppableConnection(Protocol):
    """A connection to a server, whose statement another thread can end."""

    def stop(self) -> None:
        """Let it roll back and close, and do nothing else."""

    def end_statement(self) -> None:
        """Ask the server to end the statement that is at work; waits some seconds at most."""


def _stop(connection: sqlite3.Connection | StoppableConnection) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.__class__ = StoppedConnection
    else:
        connection.stop()


def watch(connection: sa.Connection) -> sqlite3.Connection | StoppableConnection | None:
    """Let a connection do nothing more when this thread's work is to end; return what is watched.

    None in a thread whose work nobody can stop.
    """
    work = _thread.work
    if work is None:
        return None
    raw: sqlite3.Connection | StoppableConnection = raw_connection(connection)
    if isinstance(raw, sqlite3.Connection):
        raw.set_progress_handler(lambda: work.is_stopping, _STEPS)
    with work.lock:
        work.connections.append(raw)
        if work.is_stopping:
            _stop(raw)
    return raw


def unwatch(connection: sqlite3.Connection | StoppableConnection) -> None:
    """Leave alone what `watch` returned, in the same thread."""
    work = _thread.work
    if work is not None:
        with work.lock:
            work.connections.remove(connection)
    if not isinstance(connection, sqlite3.Connection):
        return
    with suppress(sqlite3.ProgrammingError):  # it is closed already
        connection.set_progress_handler(None, 0)

"""One open database file: connections that stay ready between transactions."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, Final, Self

from streamhub_orm.databases.stopping import StoppedConnection, require_going_on, unwatch, watch
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.engines import READ_ONLY, raw_connection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import sqlalchemy as sa

    from streamhub_orm.databases.cache import DatabaseCache
    from streamhub_orm.databases.opener import ReadyFile
    from streamhub_orm.engine.engines import FileEngine

READY_CONNECTIONS: Final = 2
"""How many connections of one app stay open while nobody uses them."""
GLOBAL_READY_CONNECTIONS: Final = 8
"""The same of the global database, which every request may ask."""
_MOST_APPS: Final = 100
_FEWEST_LEASES: Final = 8
_DESCRIPTORS_PER_CONNECTION: Final = 3
_DESCRIPTORS_FOR_OTHERS: Final = 64
"""What the program has open, the global database, and files that are being opened or upgraded."""


def affordable_apps() -> int:
    """Return how many apps the limit on open files affords, each with one more connection in use.

    At most 100.
    """
    budget = _affordable_connections()
    if budget is None:
        return _MOST_APPS
    return max(1, min(_MOST_APPS, budget // (READY_CONNECTIONS + 1)))


def affordable_leases(open_apps: int) -> int | None:
    """Return how many connections may be in use beside those that are ready; None: any number."""
    budget = _affordable_connections()
    if budget is None:
        return None
    return max(_FEWEST_LEASES, budget - open_apps * READY_CONNECTIONS)


def _affordable_connections() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    return (limit - _DESCRIPTORS_FOR_OTHERS) // _DESCRIPTORS_PER_CONNECTION


class OpenDatabase:
    """The connections of one file.

    A connection is handed to one user at a time. It stays checked out of the engine's pool all the
    while, since checking out and in costs more than a look-up by id.
    """

    def __init__(
        self, engine: FileEngine, prepared: ReadyFile, *, ready: int = READY_CONNECTIONS
    ) -> None:
        """Open the first connection, and keep at most `ready`; raises a `DatabaseFileError`."""
        self.info = prepared.info
        self.migrated = prepared.migrated
        self._engine = engine
        self._path = path = prepared.path
        self._most_ready = ready
        self._closed = False
        with translated(path, "opening it"):
            self._ready = [self._connect()]

    def take(self, *, read_only: bool) -> sa.Connection:
        """Return a connection outside of any transaction; `give_back` must follow."""
        try:
            connection = self._ready.pop()
        except IndexError:
            with translated(self._path, "opening it"):
                connection = self._connect()
        connection.info[READ_ONLY] = read_only
        return connection

    def give_back(self, connection: sa.Connection) -> None:
        """Keep a connection ready, or close it where it is not as it was or one too many."""
        if len(self._ready) >= self._most_ready or not is_clean(connection):
            connection.close()
        else:
            self._ready.append(connection)
        if self._closed:
            self._close_ready()

    def close(self) -> None:
        """Close every connection; one that is in use is closed when it is given back."""
        self._closed = True
        self._close_ready()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connections that nobody has in hand."""
        return [raw_connection(it) for it in self._ready]

    def _connect(self) -> sa.Connection:
        return self._engine.connect(self._path)

    def _close_ready(self) -> None:
        while self._ready:
            try:
                connection = self._ready.pop()
            except IndexError:  # another thread took the last one
                return
            connection.close()


class Lease:
    """One connection of one database of a cache, for the length of a block."""

    __slots__ = ("_cache", "_find_cache", "_name", "_raw", "_slot", "connection", "read_only")

    def __init__(
        self,
        find_cache: Callable[[], DatabaseCache[OpenDatabase]],
        name: str,
        *,
        read_only: bool,
    ) -> None:
        """Say what is wanted; nothing is taken, and no cache asked for, before the block begins."""
        self._find_cache = find_cache
        self._name = name
        self.read_only = read_only

    @property
    def info(self) -> dict[str, Any]:
        """What a session on this database knows about it."""
        return self._slot.database.info

    def __enter__(self) -> Self:
        """Take the connection."""
        self._cache = self._find_cache()
        self._slot = slot = self._cache.acquire(self._name)
        try:
            require_going_on()
            self.connection = slot.database.take(read_only=self.read_only)
            self._raw = raw_connection(self.connection)
            watch(self._raw)
        except BaseException:
            self._cache.release(slot)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        try:
            unwatch(self._raw)
            self._slot.database.give_back(self.connection)
        finally:
            self._cache.release(self._slot)


def is_clean(connection: sa.Connection) -> bool:
    """Tell whether the next user would not notice the last one."""
    if connection.invalidated or connection.get_execution_options():
        return False
    raw = raw_connection(connection)
    return not (raw.in_transaction or isinstance(raw, StoppedConnection))

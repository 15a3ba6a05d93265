"""One open database file: connections that stay ready between transactions."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

from streamhub_orm.databases.stopping import StoppedConnection, require_going_on, unwatch, watch
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.engines import READ_ONLY, raw_connection
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.engine.lock_holders import is_open_in_wal_mode
from streamhub_orm.engine.sqlite_errors import RESTORE_BACKUP
from streamhub_orm.errors import CorruptDatabaseError, DatabaseReplacedError, LockedDatabaseError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import sqlalchemy as sa

    from streamhub_orm.databases.cache import DatabaseCache
    from streamhub_orm.databases.open_server import OpenServer
    from streamhub_orm.databases.opener import ReadyFile
    from streamhub_orm.engine.engines import FileEngine

REGISTRY_SECONDS: Final = 1.0
"""Time for which an open app is taken to be registered; then the registry is asked again."""
_MOST_OPENINGS: Final = 5
"""So often a file is opened anew for one lease: where the inode never stays, not for ever."""
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
        self.path = path = prepared.path
        self._engine = engine
        self._most_ready = ready
        self._is_registered = prepared.is_registered
        self._place = str(path)
        self._wal = f"{path}-wal"
        self._closed = False
        # As long as it is open no other file gets its inode. Found before it is opened: a file that
        # comes between is taken for another one, and opened anew.
        self._file = _file_at(self._place)
        with translated(path, "opening it"):
            self._ready = [engine.connect(path)]
        self._wal_file = _file_at(self._wal)
        self._look_again_at = monotonic() + REGISTRY_SECONDS

    def take(self, *, read_only: bool, one_look: bool = False) -> sa.Connection | None:  # noqa: ARG002 - a server's
        """Return a connection outside of any transaction; `give_back` must follow.

        None where the file is no longer in its place, or its app no longer registered.
        """
        if not (self.is_in_place() and self._is_still_registered()):
            return None
        try:
            connection = self._ready.pop()
        except IndexError:
            try:
                with translated(self.path, "opening it"):
                    # Another file read with the present -shm would cut what others have mapped.
                    connection = self._engine.connect(self.path, check=self.require_in_place)
            except DatabaseReplacedError:
                return None
        connection.info[READ_ONLY] = read_only
        return connection

    def is_in_place(self) -> bool:
        """Tell whether the file that is open is the one that other programs find."""
        return _file_at(self._place) == self._file

    def _is_still_registered(self) -> bool:
        now = monotonic()
        if now < self._look_again_at:
            return True
        self._look_again_at = now + REGISTRY_SECONDS
        return self._is_registered()

    def leave(self) -> None:
        """Bring the -wal of a file that was taken from its place into it, and remove that -wal.

        SQLite would play it into whatever lies in that place. All connections must be idle. Raises
        `LockedDatabaseError` while another process uses the file that was there, and
        `CorruptDatabaseError` where one has opened the other file with the -wal of this one.
        """
        if self.is_in_place() or not self._ready:
            return
        with folder_lock(self.path.parent), translated(self.path, "leaving the file that was here"):
            # Otherwise it went with its file, or another process was here first.
            is_left_behind = _file_at(self._wal) == self._wal_file
            if is_left_behind and is_open_in_wal_mode(self.path):
                raise CorruptDatabaseError(
                    self.path,
                    "another file in its place, opened together with the -wal of the one before",
                    "files that are replaced while no process has them open",
                    RESTORE_BACKUP,
                )
            raw = raw_connection(self._ready[-1])
            raw.execute("PRAGMA busy_timeout = 0")
            is_busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not is_left_behind:
                return
            if is_busy:
                raise LockedDatabaseError(
                    self.path,
                    "another file in its place, and the one before in use by another process",
                    "nobody to use a file that was replaced",
                    "End what uses it; every process opens the new one at its next session.",
                )
            for name in (self._wal, f"{self.path}-shm"):
                Path(name).unlink(missing_ok=True)

    def give_back(self, connection: sa.Connection) -> None:
        """Keep a connection ready, or close it where it is not as it was or one too many."""
        if len(self._ready) >= self._most_ready or not is_clean(connection):
            connection.close()
        else:
            self._ready.append(connection)
        if self._closed:
            self._close_ready()

    def wait_for_turn(self, _: sa.Connection, __: str) -> None:
        """Do nothing: the write lock orders all sessions that write."""

    def require_in_place(self) -> None:
        """Raise `DatabaseReplacedError` where what is committed would be lost with the file."""
        if not self.is_in_place():
            raise DatabaseReplacedError(self.path)

    def close(self) -> None:
        """Close every connection; one that is in use is closed when it is given back."""
        self._closed = True
        self._close_ready()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connections that nobody has in hand."""
        return [raw_connection(it) for it in self._ready]

    def _close_ready(self) -> None:
        while self._ready:
            try:
                connection = self._ready.pop()
            except IndexError:  # another thread took the last one
                return
            connection.close()


class Lease:
    """One connection of one database of a cache, for the length of a block."""

    __slots__ = (
        *("_cache", "_find_cache", "_moment", "_name", "_one_look", "_slot", "_turn", "_watched"),
        *("connection", "read_only"),
    )

    def __init__(
        self,
        find_cache: Callable[[], DatabaseCache[OpenDatabase | OpenServer]],
        name: str,
        *,
        read_only: bool,
        turn: str | None = None,
        one_look: bool = False,
    ) -> None:
        """Say what is wanted; nothing is taken, and no cache asked for, before the block begins."""
        self._turn = turn
        self._one_look = one_look
        self._find_cache = find_cache
        self._name = name
        self.read_only = read_only

    @property
    def info(self) -> dict[str, Any]:
        """What a session on this database knows about it."""
        return self._slot.database.info

    def __enter__(self) -> Self:
        """Take the connection."""
        self._cache = cache = self._find_cache()
        self._moment = None if cache.moments is None else cache.moments.begin()
        try:
            self._take(cache)
        except BaseException:
            self._end_moment()
            raise
        if self._turn is not None:
            self._wait_for_turn(self._turn)
        return self

    def _end_moment(self) -> None:
        if self._moment is not None and self._cache.moments is not None:
            self._cache.moments.end(self._moment)

    def _take(self, cache: DatabaseCache[OpenDatabase | OpenServer]) -> None:
        slot = cache.acquire(self._name)
        for _ in range(_MOST_OPENINGS):
            try:
                require_going_on()
                connection = slot.database.take(read_only=self.read_only, one_look=self._one_look)
            except BaseException:
                cache.release(slot)
                raise
            if connection is not None:
                self._slot, self.connection = slot, connection
                self._watched = watch(connection)
                if self._moment is not None and cache.moments is not None and not self._watched:
                    cache.moments.watch(raw_connection(connection))
                return
            anew = cache.reopen(slot, slot.database.leave)
            if anew is None:
                raise DatabaseReplacedError(Path(slot.database.path))
            slot = anew
        cache.release(slot)
        raise DatabaseReplacedError(Path(slot.database.path))

    def require_in_place(self) -> None:
        """Raise `DatabaseReplacedError` where what is committed would be lost with the file."""
        self._slot.database.require_in_place()

    def _wait_for_turn(self, turn: str) -> None:
        try:
            self._slot.database.wait_for_turn(self.connection, turn)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        try:
            if self._watched is not None:
                unwatch(self._watched)
            self._slot.database.give_back(self.connection)
        finally:
            self._cache.release(self._slot)
            self._end_moment()


def _file_at(place: str) -> tuple[int, int] | None:
    """Return device and inode; None where there is nothing, or nothing that can be seen."""
    try:
        found = os.stat(place)  # noqa: PTH116 - at each lease: a Path makes it slower
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_clean(connection: sa.Connection) -> bool:
    """Tell whether the next user would not notice the last one."""
    if connection.invalidated or connection.in_transaction() or connection.get_execution_options():
        return False
    raw = raw_connection(connection)
    return not (raw.in_transaction or isinstance(raw, StoppedConnection))

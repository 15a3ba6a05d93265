"""A bounded cache of open databases: single-flight open, least recently used idle one evicted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from streamhub_orm.errors import AppsInUseError, ConnectionsInUseError, DatabasesClosedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from streamhub_orm.databases.first_moments import FirstMoments

_WAIT_SECONDS: Final = 30.0
_REOPEN_SECONDS: Final = 5.0
"""Time that the sessions on a file that is no longer in its place have to end."""


class Closable(Protocol):
    """One open database, which the cache keeps."""

    @property
    def migrated(self) -> bool:
        """True where opening it changed its file."""

    def close(self) -> None:
        """Close it; what is still in use is closed when it is given back."""

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connections that nobody has in hand."""


OpenT = TypeVar("OpenT", bound=Closable)


@dataclass
class Counters:
    """Counts of what the cache of apps did since it was made."""

    open: int = 0
    """Apps that are open now."""
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    waits: int = 0
    """Leases that waited because all that may be open was in use."""
    migrated: int = 0
    """Opens that created or upgraded the app's file, or imported into it."""


@dataclass(eq=False)
class Slot(Generic[OpenT]):
    """One open database and how many leases it has."""

    name: str
    database: OpenT
    leases: int = 1


class DatabaseCache(Generic[OpenT]):
    """Open databases by name. One in use is never evicted, a failed open never kept.

    Opening, evicting and waiting happen in the calling thread; nothing is opened or closed while
    the cache's lock is held, so a hit never waits for another database's disk.
    """

    def __init__(
        self,
        open_database: Callable[[str], OpenT],
        limit: int,
        *,
        most_leases: int | None = None,
        moments: FirstMoments | None = None,
    ) -> None:
        """Open by `open_database`, and keep at most `limit` of them.

        At most `most_leases` are out at once; None is unbounded. `moments` is what it shares with
        other caches; without it no session waits for another.
        """
        self.moments = moments
        self.counters = Counters()
        self._open_database = open_database
        self._limit = limit
        self._most_leases = most_leases
        self._leases = 0
        self._slots: OrderedDict[str, Slot[OpenT]] = OrderedDict()
        self._opening: dict[str, Future[None]] = {}
        self._changed = threading.Condition()
        self.closed = False
        """True where `close()` was called."""

    def __len__(self) -> int:
        """Return the number of databases that are open now."""
        return len(self._slots)

    def __contains__(self, name: str) -> bool:
        """Tell whether a database is open now."""
        return name in self._slots

    @contextmanager
    def lease(self, name: str) -> Iterator[OpenT]:
        """Yield a database, opened if need be; it is not evicted until given back."""
        slot = self.acquire(name)
        try:
            yield slot.database
        finally:
            self.release(slot)

    def find(self, name: str) -> Slot[OpenT] | None:
        """Lease a database that is open, without ever waiting; None where `acquire` has to."""
        with self._changed:
            return self._hit(name)

    def acquire(self, name: str) -> Slot[OpenT]:
        """Lease a database, opened if need be; `release` must follow.

        Raises what opening it raises, `AppsInUseError` or `ConnectionsInUseError` where nothing
        was given back for 30 s, and `DatabasesClosedError` after `close()`.
        """
        return self.find(name) or self._open_or_wait(name)

    def release(self, slot: Slot[OpenT]) -> None:
        """Give a lease back."""
        with self._changed:
            slot.leases -= 1
            self._leases -= 1
            self._changed.notify_all()

    def reopen(self, slot: Slot[OpenT], before: Callable[[], None]) -> Slot[OpenT] | None:
        """Exchange a lease on a database that must not be used any more for one on it opened anew.

        The one that was open is closed after `before`, and stays open where that raises. Returns
        None, without a lease, where others do not give it back in time.
        """
        with self._changed:
            self.release(slot)
            if not self._changed.wait_for(
                lambda: slot.leases == 0 or self._slots.get(slot.name) is not slot, _REOPEN_SECONDS
            ):
                return None
            is_first = self._slots.get(slot.name) is slot
            if is_first:
                self._remove(slot.name)
                self._leases += 1
                self._opening[slot.name] = Future()
        if not is_first:
            return self.acquire(slot.name)
        try:
            before()
        except BaseException as error:
            with self._changed:
                if not self.closed:
                    self._slots[slot.name] = slot
            self._fail(slot.name, error)
            if self.closed:
                slot.database.close()
            raise
        return self._open(slot.name, slot.database)

    def evict(self, name: str) -> bool:
        """Close one database if it is open and idle; tell whether it is not open afterwards."""
        with self._changed:
            slot = self._slots.get(name)
            if slot is None:
                return name not in self._opening
            if slot.leases > 0:
                return False
            self._remove(name)
        slot.database.close()
        return True

    def close(self) -> None:
        """Close every database; later leases raise `DatabasesClosedError`."""
        with self._changed:
            self.closed = True
            slots, self._slots = self._slots, OrderedDict()
            self.counters.open = 0
            self._changed.notify_all()
        for slot in slots.values():
            slot.database.close()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connections that nobody has in hand."""
        return [it for slot in self._slots.values() for it in slot.database.idle_connections()]

    def is_opening(self) -> bool:
        """Tell whether a database is being opened."""
        return bool(self._opening)

    def leave_to_parent(self) -> None:
        """In a child after fork, let the leases that are out end though the lock may be held."""
        self._changed = threading.Condition()

    def _open_or_wait(self, name: str) -> Slot[OpenT]:
        deadline = time.monotonic() + _WAIT_SECONDS
        waited = False
        while True:
            with self._changed:
                slot = self._hit(name)
                if slot is not None:
                    return slot
                opening = self._opening.get(name)
                if opening is None and self._may_open():
                    victim = self._reserve(name)
                    break
                if opening is None:
                    self.counters.waits += not waited
                    waited = True
                    self._wait_until(deadline, name)
                    continue
            opening.result()
        return self._open(name, victim)

    def _hit(self, name: str) -> Slot[OpenT] | None:
        if self.closed:
            raise DatabasesClosedError
        slot = self._slots.get(name)
        if slot is None or self._leases_are_out():
            return None
        self.counters.hits += 1
        slot.leases += 1
        self._leases += 1
        self._slots.move_to_end(name)
        return slot

    def _leases_are_out(self) -> bool:
        return self._most_leases is not None and self._leases >= self._most_leases

    def _is_full(self) -> bool:
        return len(self._slots) + len(self._opening) >= self._limit

    def _idlest(self) -> str | None:
        return next((name for name, slot in self._slots.items() if slot.leases == 0), None)

    def _may_open(self) -> bool:
        return not self._leases_are_out() and not (self._is_full() and self._idlest() is None)

    def _reserve(self, name: str) -> OpenT | None:
        """Take the place of a new database; return the one that has to be closed for it."""
        victim = self._idlest() if self._is_full() else None
        self.counters.misses += 1
        self._leases += 1
        self._opening[name] = Future()
        if victim is None:
            return None
        self.counters.evictions += 1
        return self._remove(victim).database

    def _remove(self, name: str) -> Slot[OpenT]:
        slot = self._slots.pop(name)
        self.counters.open = len(self._slots)
        return slot

    def _wait_until(self, deadline: float, name: str) -> None:
        if self._changed.wait(deadline - time.monotonic()):
            return
        if self._leases_are_out():
            raise ConnectionsInUseError(name, self._leases, _WAIT_SECONDS)
        raise AppsInUseError(name, self._limit, _WAIT_SECONDS)

    def _open(self, name: str, victim: OpenT | None) -> Slot[OpenT]:
        """Open the database, and publish it, or its failure, to all who wait."""
        try:
            if victim is not None:
                victim.close()
            slot = Slot(name, self._open_database(name))
        except BaseException as error:
            self._fail(name, error)
            raise
        with self._changed:
            opening = self._opening.pop(name)
            closed = self.closed
            if not closed:
                self._slots[name] = slot
                self.counters.open = len(self._slots)
            self.counters.migrated += slot.database.migrated
        opening.set_result(None)
        if closed:
            slot.database.close()
            raise DatabasesClosedError
        return slot

    def _fail(self, name: str, error: BaseException) -> None:
        """Tell all who wait for a database why it is not opened."""
        with self._changed:
            opening = self._opening.pop(name)
            self._leases -= 1
            self.counters.open = len(self._slots)
            self._changed.notify_all()
        opening.set_exception(error)

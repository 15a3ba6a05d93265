"""A bounded cache of engines: single-flight open, least recently used idle one evicted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import close_inherited
from streamhub_orm.errors import AppsInUseError, DatabasesClosedError, ForkedInSessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

_WAIT_SECONDS: Final = 30.0


@dataclass
class Counters:
    """What the cache did since it was made."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    waits: int = 0
    """Leases that waited because every engine that may be open was in use."""


@dataclass
class _Entry:
    engine: sa.Engine
    users: int = 0


class EngineCache:
    """Engines by app name. An engine in use is never evicted, a failed open never kept."""

    def __init__(
        self,
        open_engine: Callable[[str], sa.Engine],
        limit: int,
        barred: frozenset[str] = frozenset(),
    ) -> None:
        """Open engines by `open_engine`, and keep at most `limit` of them; never a `barred` one."""
        self.counters = Counters()
        self._open_engine = open_engine
        self._limit = limit
        self._barred = barred
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._opening: dict[str, Future[None]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        """Return the number of engines that are open now."""
        return len(self._entries)

    @contextmanager
    def lease(self, name: str) -> Iterator[sa.Engine]:
        """Yield the engine of an app, opened if need be; it is not evicted until given back."""
        entry = self._acquire(name)
        try:
            yield entry.engine
        finally:
            with self._changed:
                entry.users -= 1
                if entry.users == 0:
                    self._changed.notify_all()

    def evict(self, name: str) -> bool:
        """Close one engine if it is open and idle; tell whether it is not open afterwards."""
        with self._changed:
            entry = self._entries.get(name)
            if entry is None:
                return name not in self._opening
            if entry.users > 0:
                return False
            del self._entries[name]
            self._changed.notify_all()
        entry.engine.dispose()
        return True

    def close(self) -> None:
        """Close every engine; later leases raise `DatabasesClosedError`."""
        with self._changed:
            self._closed = True
            entries, self._entries = self._entries, OrderedDict()
            self._changed.notify_all()
        for entry in entries.values():
            entry.engine.dispose()

    def abandon(self) -> frozenset[str]:
        """In a child after fork, close what was inherited, before anything is opened anew.

        SQLite keeps its record of a file's locks per process, and the child inherits it: while an
        inherited handle lives, a new one takes no lock of its own, and the parent's last close
        would delete the -wal under it. Closing here drops no lock of the parent's. Returns the
        names that cannot be closed, since a session was under way: this process must not open them.
        """
        return self._barred.union(
            name for name, entry in self._entries.items() if not close_inherited(entry.engine)
        )

    def _acquire(self, name: str) -> _Entry:
        if name in self._barred:
            raise ForkedInSessionError(name)
        deadline = time.monotonic() + _WAIT_SECONDS
        waited = False
        while True:
            with self._changed:
                entry = self._entries.get(name)
                if self._closed:
                    raise DatabasesClosedError
                if entry is not None:
                    self.counters.hits += 1
                    entry.users += 1
                    self._entries.move_to_end(name)
                    return entry
                opening = self._opening.get(name)
                if opening is None and self._has_room():
                    self.counters.misses += 1
                    opening = self._opening[name] = Future()
                    break
                if opening is None:
                    self.counters.waits += not waited
                    waited = True
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise AppsInUseError(name, self._limit, _WAIT_SECONDS)
                    continue
            opening.result()
        return self._open(name, opening)

    def _has_room(self) -> bool:
        """Make room for one more engine by evicting the least recently used idle one."""
        if len(self._entries) + len(self._opening) < self._limit:
            return True
        idle = next((name for name, entry in self._entries.items() if entry.users == 0), None)
        if idle is None:
            return False
        self._entries.pop(idle).engine.dispose()
        self.counters.evictions += 1
        return True

    def _open(self, name: str, opening: Future[None]) -> _Entry:
        """Open the engine outside the lock, and publish it, or its failure, to all who wait."""
        try:
            entry = _Entry(self._open_engine(name), users=1)
        except BaseException as error:
            with self._changed:
                del self._opening[name]
                self._changed.notify_all()
            opening.set_exception(error)
            raise
        with self._changed:
            del self._opening[name]
            self._entries[name] = entry
            closed = self._closed
        opening.set_result(None)
        if closed:
            entry.engine.dispose()
            raise DatabasesClosedError
        return entry

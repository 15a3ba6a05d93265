"""Threads for the work of requests: readings side by side, one change per database at a time.

They are daemons. SQLite may be in one statement for minutes (VACUUM, a count of every page), and a
process that ends waits for every other kind of thread. What ends with it is what a killed process
leaves: every file whole, and the next run removes what is left over.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from streamhub_orm.admin.answers import RefusedError
from streamhub_orm.databases.stopping import Stopped, Work
from streamhub_orm.errors import (
    DatabasesClosedError,
    MaintenanceRunningError,
    StreamHubError,
    UnforeseenError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

T = TypeVar("T")

_CHECKS: Final = 8
_READINGS: Final = 4
_PURGES: Final = 4
_logger: Final = logging.getLogger(__name__)


class Change(StrEnum):
    """Kinds of work that change a database for longer than a moment."""

    OPTIMIZE = "optimize"
    PURGE = "purge"


class Threads:
    """Runs functions off the event loop. A task that is cancelled leaves its function at work."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._checks = asyncio.Semaphore(_CHECKS)
        self._readings = asyncio.Semaphore(_READINGS)
        self._notes = asyncio.Semaphore(1)
        # The lock of the installation admits one optimize anyway; here the others wait for it.
        self._turns = {
            Change.OPTIMIZE: asyncio.Semaphore(1),
            Change.PURGE: asyncio.Semaphore(_PURGES),
        }
        self._shared: dict[Hashable, asyncio.Future[Any]] = {}
        self._changes: dict[str, tuple[Change, Work]] = {}
        self._ended = asyncio.Condition()
        self._closed = False
        self._giving_up = asyncio.Event()
        self.cut_off: list[str] = []
        """The changes that were still at work when all was to end, such as `optimize of live`."""

    async def check(self, function: Callable[[], T]) -> T:
        """Return what a short function returns: it waits for no reading."""
        return await self._wait(self._begin("check", self._checks, function))

    def note(self, key: Hashable, function: Callable[[], object]) -> None:
        """Let a function write something that nobody waits for; one with the `key` is enough."""
        if key not in self._shared:
            work = self._begin("note", self._notes, function)
            work.add_done_callback(_tell_fault)
            self._share(key, work)

    async def read(self, function: Callable[[], T], *, key: Hashable = None) -> T:
        """Return what the function returns; a few run at once.

        Of readings with one `key`, those that come while it is at work get the same result.
        """
        if key not in self._shared:
            begun = self._begin("reading", self._readings, function)
            if key is None:
                return await self._wait(begun)
            self._share(key, begun)
        result: T = await self._wait(self._shared[key])
        return result

    async def change(self, kind: Change, name: str, function: Callable[[], T]) -> T:
        """Return what the function returns; raises `MaintenanceRunningError` beside another.

        The turn of the database `name` ends when the function has, also where nobody waits for it.
        """
        self._require_open()
        if name in self._changes:
            raise MaintenanceRunningError(name, self._changes[name][0])
        self._changes[name] = kind, Work()
        return await self._wait(asyncio.ensure_future(self._run_change(name, function)))

    async def until_end(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Return what something on the loop returns, such as a client's body; ended with all."""
        task = asyncio.ensure_future(waiting)
        try:
            return await self._wait(task)
        finally:
            task.cancel()

    async def close(self, seconds: float) -> None:
        """Begin nothing more, and let changes end where they can; those that cannot are `cut_off`.

        Who still waits then gets `DatabasesClosedError`. A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        for _, work in self._changes.values():
            work.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._ended:
                await self._ended.wait_for(lambda: not self._changes)
        self.cut_off = [f"{kind} of {name}" for name, (kind, _) in self._changes.items()]
        for each in self.cut_off:
            _logger.warning("%s was still at work at the end", each)
        self._giving_up.set()

    async def _wait(self, work: asyncio.Future[T]) -> T:
        """Wait for work that goes on where the waiting ends: cancelled, or at the end of all."""
        giving_up = asyncio.ensure_future(self._giving_up.wait())
        try:
            await asyncio.wait((work, giving_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving_up.cancel()
            if not work.done():
                work.add_done_callback(_tell_fault)
        if not work.done():
            raise DatabasesClosedError
        return work.result()

    def _begin(
        self, name: str, room: asyncio.Semaphore, function: Callable[[], T]
    ) -> asyncio.Future[T]:
        self._require_open()

        async def run() -> T:
            async with room:
                return await _in_thread(name, function)

        return asyncio.ensure_future(run())

    def _share(self, key: Hashable, work: asyncio.Future[Any]) -> None:
        self._shared[key] = work
        work.add_done_callback(lambda _: self._shared.pop(key))

    async def _run_change(self, name: str, function: Callable[[], T]) -> T:
        kind, work = self._changes[name]
        try:
            async with self._turns[kind]:
                self._require_open()
                return await _in_thread(f"{kind}-{name}", lambda: work.do(function))
        finally:
            del self._changes[name]
            async with self._ended:
                self._ended.notify_all()

    def _require_open(self) -> None:
        if self._closed:
            raise DatabasesClosedError


def _tell_fault(work: asyncio.Future[Any]) -> None:
    """Log the error of work that nobody waits for any more."""
    error = None if work.cancelled() else work.exception()
    if error is not None:
        _logger.warning("%s", error)


async def _in_thread(name: str, function: Callable[[], T]) -> T:
    """Call a function in a thread of its own; what nobody foresaw is an `UnforeseenError`."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        result: Any = None
        fault: Exception | None = None
        try:
            result = function()
        except (StreamHubError, RefusedError) as error:
            fault = error
        except Stopped:
            fault = DatabasesClosedError()
        except BaseException as error:
            _logger.debug("unforeseen", exc_info=True)
            fault = UnforeseenError(f"{type(error).__name__}: {error}")
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(tell, result, fault)

    def tell(result: T, fault: Exception | None) -> None:
        if ended.cancelled():
            return
        if fault is None:
            ended.set_result(result)
        else:
            ended.set_exception(fault)

    threading.Thread(target=run, name=f"streamhub-admin-{name}", daemon=True).start()
    return await ended

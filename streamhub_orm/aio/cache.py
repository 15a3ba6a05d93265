"""The bounded cache of open databases, as the tasks of an event loop use it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from streamhub_orm.aio.open_database import AsyncOpenDatabase
from streamhub_orm.databases.cache import DatabaseCache
from streamhub_orm.databases.open_database import affordable_leases
from streamhub_orm.errors import ConnectionsInUseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from streamhub_orm.aio.engines import AsyncFileEngine
    from streamhub_orm.databases.cache import Slot
    from streamhub_orm.databases.opener import ReadyFile

_Slot: TypeAlias = "Slot[AsyncOpenDatabase]"
_MOST_SESSIONS: Final = 64
"""How many sessions may be under way at once, since each has a thread; the others wait."""
_WAIT_SECONDS: Final = 30.0


class AsyncDatabaseCache:
    """A `DatabaseCache` whose waiting, opening and evicting happen in threads.

    What is open is leased without leaving the loop.
    """

    def __init__(
        self,
        prepare: Callable[[str], ReadyFile],
        limit: int,
        *,
        engine: AsyncFileEngine,
        threads: Executor,
    ) -> None:
        """Keep at most `limit` databases open; `prepare` brings a file to head, in a thread."""
        self.policy = DatabaseCache(self._open, limit)
        self._prepare = prepare
        self._engine = engine
        self._threads = threads
        leases = affordable_leases(limit)
        self._most_sessions = min(leases or _MOST_SESSIONS, _MOST_SESSIONS)
        self._sessions = asyncio.Semaphore(self._most_sessions)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def was_used(self) -> bool:
        """True where anybody asked for a database yet: before that there are no threads."""
        return self._loop is not None

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[AsyncOpenDatabase]:
        """Yield a database, opened if need be.

        Raises what opening it raises, and `ConnectionsInUseError` or `AppsInUseError` where nothing
        was given back for 30 s.
        """
        await self._begin_session(name)
        try:
            slot = self.policy.find(name) or await self._acquire(name)
            try:
                yield slot.database
            finally:
                self.policy.release(slot)
        finally:
            self._sessions.release()

    async def _begin_session(self, name: str) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._sessions.acquire()
        except TimeoutError:
            raise ConnectionsInUseError(name, self._most_sessions, _WAIT_SECONDS) from None

    async def _acquire(self, name: str) -> _Slot:
        """Let a thread open the database or wait for room; a cancelled task gives it back."""
        self._loop = asyncio.get_running_loop()
        acquiring = self._loop.run_in_executor(self._threads, self.policy.acquire, name)
        try:
            return await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            acquiring.add_done_callback(self._give_back_unwanted)
            raise

    def _give_back_unwanted(self, acquired: asyncio.Future[_Slot]) -> None:
        if not acquired.cancelled() and acquired.exception() is None:
            self.policy.release(acquired.result())

    def _open(self, name: str) -> AsyncOpenDatabase:
        """Prepare the file in this thread, and open it on the loop."""
        prepared = self._prepare(name)
        assert self._loop is not None  # noqa: S101 - the task that asks has set it
        database = AsyncOpenDatabase(self._engine, prepared, self._loop)
        asyncio.run_coroutine_threadsafe(database.open(), self._loop).result()
        return database

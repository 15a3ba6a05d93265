"""One open database file on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from streamhub_orm.aio.engines import to_the_end
from streamhub_orm.databases.open_database import is_clean
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.engines import READ_ONLY
from streamhub_orm.errors import LockedDatabaseError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from streamhub_orm.aio.engines import AsyncFileEngine
    from streamhub_orm.databases.opener import ReadyFile

READY_CONNECTIONS: Final = 1
"""How many connections of one file stay open while nobody uses them; each has a thread."""
_WRITER_SECONDS: Final = 30.0


class AsyncOpenDatabase:
    """The connections of one file.

    Writing sessions of this process take turns before they ask SQLite, which would let them wait in
    a thread each and in no order.
    """

    def __init__(
        self, engine: AsyncFileEngine, prepared: ReadyFile, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Open nothing yet: `open` does, on the loop that all connections belong to."""
        self.info = prepared.info
        self.migrated = prepared.migrated
        self._engine = engine
        self._path = prepared.path
        self._loop = loop
        self._ready: list[AsyncConnection] = []
        self._writer = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Open the first connection; raises a `DatabaseFileError`."""
        self._ready.append(await self._connect())

    @asynccontextmanager
    async def connection(self, *, read_only: bool) -> AsyncIterator[AsyncConnection]:
        """Yield a connection outside of any transaction, for one user at a time.

        Raises `LockedDatabaseError` where another writing session did not end within 30 s.
        """
        if not read_only:
            await self._become_writer()
        try:
            connection = self._ready.pop() if self._ready else await self._opened()
            connection.info[READ_ONLY] = read_only
            try:
                yield connection
            finally:
                await to_the_end(self._give_back(connection))
        finally:
            if not read_only:
                self._writer.release()

    def close(self) -> None:
        """Close every connection; call it from a thread other than the loop's."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return none: a connection's thread may be inside SQLite whoever has it in hand."""
        return []

    async def _become_writer(self) -> None:
        try:
            async with asyncio.timeout(_WRITER_SECONDS):
                await self._writer.acquire()
        except TimeoutError:
            raise LockedDatabaseError(
                self._path,
                f"a writing session of this process under way for {_WRITER_SECONDS:g} s",
                "writing sessions that end sooner, and none inside another",
                "Open it with read_only=True where it only reads, or end it sooner.",
            ) from None

    async def _connect(self) -> AsyncConnection:
        with translated(self._path, "opening it"):
            return await self._engine.connect(self._path)

    async def _opened(self) -> AsyncConnection:
        """Open one more connection; where the task is cancelled meanwhile, keep it ready."""
        opening = asyncio.ensure_future(self._connect())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(Exception):  # the cancellation is what the task must see
                await self._give_back(await opening)
            raise

    async def _give_back(self, connection: AsyncConnection) -> None:
        below = connection.sync_connection
        if below is not None and len(self._ready) < READY_CONNECTIONS and is_clean(below):
            self._ready.append(connection)
        else:
            await connection.close()
        if self._closed:
            await self._close()

    async def _close(self) -> None:
        self._closed = True
        while self._ready:
            await self._ready.pop().close()

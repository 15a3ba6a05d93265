"""One asyncio engine for any number of files, as `FileEngine` is for threads."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.util.concurrency import await_, in_greenlet

from streamhub_orm.engine.connections import open_for_session
from streamhub_orm.engine.engines import ConnectionSource, ImmediateBegin

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

# At DEBUG it logs each statement with its values, some of which are secrets.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

_CHUNK_ROWS: Final = 64


class AsyncImmediateDialect(ImmediateBegin, SQLiteDialect_aiosqlite):
    """aiosqlite with our way to begin, and to end what a cancelled task has left behind."""

    supports_statement_cache = True

    def do_terminate(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Stop the statement that may still run in the connection's thread, and close."""
        if in_greenlet():
            await_(to_the_end(_stop(self.get_driver_connection(dbapi_connection))))
        else:  # left to the garbage collector
            super().do_terminate(dbapi_connection)


registry.register("sqlite.asyncimmediate", __name__, "AsyncImmediateDialect")


class AsyncFileEngine:
    """One engine for any number of files: one dialect and one cache of compiled statements."""

    def __init__(self) -> None:
        """Make the engine; nothing is opened."""
        self._source: ConnectionSource[Path] = ConnectionSource()
        self._engine = create_async_engine(
            "sqlite+asyncimmediate://",
            async_creator=self._open,
            poolclass=sa.pool.NullPool,
            pool_reset_on_return=None,
            hide_parameters=True,
        )

    async def connect(self, path: Path) -> AsyncConnection:
        """Open a connection to one file; it has a thread of its own until it is closed."""
        with self._source.offering(path):
            return await self._engine.connect().start()

    async def _open(self, *_: Any, **__: Any) -> aiosqlite.Connection:  # noqa: ANN401 - SQLAlchemy's protocol
        opening = partial(open_for_session, self._source.take())
        connection = aiosqlite.Connection(opening, _CHUNK_ROWS)
        # As SQLAlchemy does where it connects itself: a program that forgot to close can still end.
        connection._thread.daemon = True  # noqa: SLF001
        return await connection


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run clean-up to its end, also where the task is cancelled once more meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _stop(connection: Any) -> None:  # noqa: ANN401 - aiosqlite's, behind a protocol
    try:
        with suppress(ValueError):  # it is closed already
            await connection.interrupt()
            # SQLite keeps a closed connection, with its lock, while a cursor of it is alive.
            await connection.rollback()
    finally:
        await connection.close()

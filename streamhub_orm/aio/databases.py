"""`AsyncDatabases`: the same bounded cache and the same sessions, on an event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy.ext.asyncio import AsyncSession

from streamhub_orm.aio.cache import AsyncDatabaseCache
from streamhub_orm.aio.engines import AsyncFileEngine
from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases.open_database import affordable_apps
from streamhub_orm.databases.opener import Opener
from streamhub_orm.databases.sessions import HomeSession
from streamhub_orm.engine.forks import Kept, follow_forks
from streamhub_orm.errors import ForkedAmidThreadsError

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncConnection

    from streamhub_orm.databases.cache import Counters
    from streamhub_orm.databases.opener import ReadyFile

_GLOBAL: Final = ""
_OPENING_THREADS: Final = 4


class AsyncDatabases:
    """The databases of one installation, for the tasks of one event loop.

    Everything `Databases` says about opening, upgrading, evicting and sessions holds. Files are
    opened and upgraded in threads, and each connection works in a thread of its own, so the loop
    never waits for a disk. A task that is cancelled inside a session rolls back and leaves no lock
    behind. Once it was used, a child after fork is refused with `ForkedAmidThreadsError`: its loop
    and its threads are the parent's.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        *,
        auto_upgrade: bool = True,
        max_open_apps: int | None = None,
    ) -> None:
        """Find the installation in `data_dir`, as `Databases` does; nothing is opened yet."""
        self.place = DataDir.find(Path(data_dir))
        self.auto_upgrade = auto_upgrade
        self.max_open_apps = affordable_apps() if max_open_apps is None else max_open_apps
        self._opener = Opener(self.place, auto_upgrade=auto_upgrade)
        self._threads = ThreadPoolExecutor(_OPENING_THREADS, "streamhub-open")
        cache = partial(AsyncDatabaseCache, engine=AsyncFileEngine(), threads=self._threads)
        self._apps = cache(self._opener.app, self.max_open_apps)
        self._global = cache(self._prepare_global, 1)
        self._forked = False
        follow_forks(self._kept, self._start_anew)

    async def __aenter__(self) -> Self:
        """Return itself; `close()` follows at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every database."""
        await self.close()

    def __repr__(self) -> str:
        """Show where the installation lies."""
        return f"AsyncDatabases({str(self.place.root)!r})"

    @property
    def counters(self) -> Counters:
        """Counts of what the cache of apps did since it was made."""
        return self._apps.policy.counters

    async def close(self) -> None:
        """Close every database; the object cannot be used afterwards."""
        if self._forked:
            return
        await asyncio.to_thread(self._close)

    async def close_app(self, name: str) -> bool:
        """Close one app's database; False, and it stays open, where a session is under way."""
        self._require_own_process()
        return await asyncio.to_thread(self._apps.policy.evict, name)

    def app_session(
        self, name: str, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield a session on an app's database, with the promises of `Databases.app_session`.

        Writing sessions of one app wait for each other from their start.
        """
        return self._session(self._apps, name, read_only=read_only)

    def app_connection(
        self, name: str, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Yield a connection in one transaction; keep neither it nor an unread result."""
        return self._connection(self._apps, name, read_only=read_only)

    def global_session(
        self, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield a session on the global database, with the same promises."""
        return self._session(self._global, _GLOBAL, read_only=read_only)

    def global_connection(
        self, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Yield a connection to the global database in one transaction."""
        return self._connection(self._global, _GLOBAL, read_only=read_only)

    @asynccontextmanager
    async def _session(
        self, cache: AsyncDatabaseCache, name: str, *, read_only: bool
    ) -> AsyncIterator[AsyncSession]:
        self._require_own_process()
        async with (
            cache.lease(name) as database,
            database.connection(read_only=read_only) as connection,
            AsyncSession(connection, sync_session_class=HomeSession, info=database.info) as session,
            session.begin(),
        ):
            yield session

    @asynccontextmanager
    async def _connection(
        self, cache: AsyncDatabaseCache, name: str, *, read_only: bool
    ) -> AsyncIterator[AsyncConnection]:
        self._require_own_process()
        async with (
            cache.lease(name) as database,
            database.connection(read_only=read_only) as connection,
            connection.begin(),
        ):
            yield connection

    def _kept(self) -> Kept:
        return Kept([], opening=any(it.policy.is_opening() for it in (self._apps, self._global)))

    def _start_anew(self) -> None:
        """In a child after fork, begin if nothing had begun."""
        self._forked |= self._apps.was_used or self._global.was_used

    def _require_own_process(self) -> None:
        if self._forked:
            raise ForkedAmidThreadsError

    def _prepare_global(self, _: str) -> ReadyFile:
        return self._opener.global_db()

    def _close(self) -> None:
        self._apps.policy.close()
        self._opener.registry.close()
        self._global.policy.close()
        self._threads.shutdown()

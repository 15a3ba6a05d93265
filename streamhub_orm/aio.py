"""`AsyncDatabases`: the same databases for services on an event loop, a function at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Self, TypeVar
from weakref import WeakValueDictionary

from streamhub_orm.databases import Databases
from streamhub_orm.databases.stopping import Work
from streamhub_orm.engine.forks import Kept, follow_forks
from streamhub_orm.errors import DatabasesClosedError, ForkedAmidThreadsError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from concurrent.futures import Future

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Counters

__all__ = ["AsyncDatabases", "AsyncSessions"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS: Final = 8
_AT_FIRST: Final = 2
_MOMENT_SECONDS: Final = 0.005


class _Threads(ThreadPoolExecutor):
    """A pool whose functions run two at a time for their first 5 ms, then side by side.

    Python runs one thread at a time, and each call of SQLite gives the interpreter away: eight
    short functions at once take twice as long as one after the other. One that takes long, since
    it waits or SQLite computes, keeps nobody else back.
    """

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self.first_moments = asyncio.Semaphore(_AT_FIRST)


class AsyncDatabases:
    """The databases of one installation, for the tasks of one event loop.

    A whole function runs in a thread, over an ordinary session or the ordinary `Databases`: so
    every function of `streamhub_orm.services` has its async form, and a unit of work costs one hop.
    `app_session` and `global_session` say on which session, `run` hands over the databases.

    A task that is cancelled ends when its function has ended. The statement at work is stopped, no
    further session begins, what was not committed is rolled back, and its connection is closed;
    then `CancelledError` is raised. Where a commit had begun before, it is completed, and
    `CancelledError` has a note that says so. A task that is cancelled while it waits for its turn
    or for a thread has done nothing. Python code, the opening of an app, and waiting for another
    process's lock (at most 5 s) are not stopped but waited for.

    Functions that write to one app take turns, in the order in which they came; those that read
    do not wait. Apps, the global database and `run` have threads of their own, so none waits for
    the others. Once it was used, a child after fork is refused with `ForkedAmidThreadsError`.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        *,
        auto_upgrade: bool = True,
        max_open_apps: int | None = None,
        global_url: str | None = None,
        threads: int = _THREADS,
    ) -> None:
        """Find the installation in `data_dir`, as `Databases` does; nothing is opened yet.

        `global_url` says that the global database is on a server, as for `Databases`. There `run`
        of `global_session` calls a function again where another transaction came between.

        `threads` is how many functions run at once, each for apps, the global database and `run`;
        of short ones, two do.
        """
        self.sync = Databases(
            data_dir,
            auto_upgrade=auto_upgrade,
            max_open_apps=max_open_apps,
            global_url=global_url,
        )
        """The ordinary `Databases`, which is used here: for code that runs in threads anyway."""
        # With more of them, some would hold a thread while they wait for room.
        for_apps = min(threads, self.sync.max_open_apps)
        self._for_apps = _Threads(for_apps, "streamhub-app")
        self._for_global = _Threads(threads, "streamhub-global")
        self._for_calls = _Threads(threads, "streamhub-run")
        # One that no task holds or waits for is dropped.
        self._turns: WeakValueDictionary[str | None, asyncio.Lock] = WeakValueDictionary()
        self._used = False
        self._closed = False
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
        return f"AsyncDatabases({str(self.sync.place.root)!r})"

    @property
    def counters(self) -> Counters:
        """Counts of what the cache of apps did since it was made."""
        return self.sync.counters

    async def close(self) -> None:
        """Close every database when the functions at work have ended; it cannot be used then."""
        self._closed = True
        if not self._forked:
            await asyncio.to_thread(self._close)

    async def close_app(self, name: str) -> bool:
        """Close one app's database; False, and it stays open, where a session is under way."""
        return await self.run(Databases.close_app, name)

    def app_session(self, name: str, *, read_only: bool = False) -> AsyncSessions:
        """Return what runs functions on sessions of an app, as `Databases.app_session` yields."""
        return AsyncSessions(self, name, read_only=read_only)

    def global_session(self, *, read_only: bool = False) -> AsyncSessions:
        """Return what runs functions on sessions of the global database."""
        return AsyncSessions(self, None, read_only=read_only)

    async def run(
        self,
        function: Callable[Concatenate[Databases, _P], _T],
        /,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Return `function(databases, *args, **kwargs)`, called in a thread.

        For functions that open their sessions themselves, such as `tokens.check_request`. Where
        the task is cancelled, what was committed before stays, and each commit is noted.
        """
        return await self._hop(self._for_calls, lambda: function(self.sync, *args, **kwargs))

    async def _run_on_session(
        self, name: str | None, work: Callable[[], _T], *, read_only: bool
    ) -> _T:
        """Run it when it is its turn; the first ones of a closed app take turns to open it."""
        threads = self._for_global if name is None else self._for_apps
        if self._waits_for_turn(name, read_only=read_only):
            async with self._turns.setdefault(name, asyncio.Lock()):
                if self._waits_for_turn(name, read_only=read_only):
                    return await self._hop(threads, work)
        return await self._hop(threads, work)

    def _waits_for_turn(self, name: str | None, *, read_only: bool) -> bool:
        return not read_only or (name is not None and not self.sync.is_open(name))

    async def _hop(self, threads: _Threads, function: Callable[[], _T]) -> _T:
        self._used = True
        work, job = Work(), None
        try:
            async with threads.first_moments:
                self._require_open()
                job = threads.submit(copy_context().run, work.do, function)
                ended = asyncio.wrap_future(job)
                await asyncio.wait([ended], timeout=_MOMENT_SECONDS)
            if not ended.done():
                await asyncio.wait([ended])
        except asyncio.CancelledError as cancelled:
            if job is not None:
                await _stop(job, ended, work)
            if work.commits:
                cancelled.add_note(f"{work.commits} transaction(s) had been committed by then.")
            raise
        return ended.result()

    def _require_open(self) -> None:
        if self._forked:
            raise ForkedAmidThreadsError
        if self._closed:
            raise DatabasesClosedError

    def _kept(self) -> Kept:
        """Keep nothing of its own: `sync` follows forks, too."""
        return Kept([], opening=False)

    def _start_anew(self) -> None:
        """In a child after fork, begin if nothing had begun."""
        self._forked |= self._used

    def _close(self) -> None:
        self.sync.close()
        for threads in (self._for_apps, self._for_global, self._for_calls):
            threads.shutdown()


class AsyncSessions:
    """Sessions on one database of `AsyncDatabases`, each for one function."""

    __slots__ = ("_databases", "_name", "_read_only")

    def __init__(self, databases: AsyncDatabases, name: str | None, *, read_only: bool) -> None:
        """Say on which; None is the global database. Nothing is taken yet."""
        self._databases = databases
        self._name = name
        self._read_only = read_only

    async def run(
        self,
        function: Callable[Concatenate[Session, _P], _T],
        /,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Return `function(session, *args, **kwargs)`, called in a thread in a session of its own.

        Committed when it returns, rolled back on an error. What it returns is read on the loop, so
        it holds rows and values, and no result that is yet to be fetched.
        """
        sync, name, read_only = self._databases.sync, self._name, self._read_only

        def work() -> _T:
            sessions = (
                sync.global_session(read_only=read_only)
                if name is None
                else sync.app_session(name, read_only=read_only)
            )
            return sessions.run(function, *args, **kwargs)

        return await self._databases._run_on_session(name, work, read_only=read_only)  # noqa: SLF001 - its other half


async def _stop(job: Future[_T], ended: asyncio.Future[_T], work: Work) -> None:
    """Wait until a cancelled task's function has ended, however often it is cancelled meanwhile."""
    if job.cancel():  # it had no thread yet
        return
    work.stop()
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([ended])
    ended.exception()  # nobody asks for it, and asyncio would log that

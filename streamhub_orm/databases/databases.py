"""`Databases`: everything a service needs to work with an installation's databases."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from streamhub_orm.app_db import AppBase
from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases.cache import Counters, DatabaseCache
from streamhub_orm.databases.first_moments import FirstMoments
from streamhub_orm.databases.open_database import (
    GLOBAL_READY_CONNECTIONS,
    Lease,
    OpenDatabase,
    affordable_apps,
    affordable_leases,
)
from streamhub_orm.databases.opener import Opener
from streamhub_orm.databases.sessions import SessionBlock
from streamhub_orm.databases.stopping import count_commit
from streamhub_orm.engine.engines import FileEngine
from streamhub_orm.engine.forks import Kept, follow_forks
from streamhub_orm.errors import OpenAppsError
from streamhub_orm.global_db import GlobalBase
from streamhub_orm.migrations.global_database import engine_of
from streamhub_orm.registry import open_registry
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from streamhub_orm.databases.open_server import OpenServer

_Cache: TypeAlias = "DatabaseCache[OpenDatabase | OpenServer]"
_GLOBAL: Final = ""
"""The key of the global database in a cache of its own; no app can have this name."""


class Databases:
    """The databases of one installation, opened on demand and kept open.

    Safe to share between threads. Usable in a child after fork, but for a database on which a
    session was under way at the fork: there the child gets `ForkedInSessionError`, and where the
    parent had other threads, `ForkedAmidThreadsError` for every database. An app.db is
    opened once however many threads ask: created if its app is registered and the file is
    missing, adopted, given its legacy rows, and upgraded. With `auto_upgrade=False` a file that
    is not at head raises `SchemaOutdatedError` instead.

    A file that is removed, renamed or replaced is noticed when the next session begins, which is on
    what is there now or raises, such as `AppDatabaseLostError`; and before a commit, which raises
    `DatabaseReplacedError`. An app that another process takes from the registry raises
    `UnknownAppError` within a second; where the registry cannot be read, an open app stays usable.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | DataDir,
        *,
        auto_upgrade: bool = True,
        max_open_apps: int | None = None,
        global_url: str | None = None,
    ) -> None:
        """Find the installation in `data_dir`; nothing is opened yet.

        `global_url`, `postgresql+psycopg://…`, says that the global database is on a server, whose
        sessions make the same promises; by default STREAMHUB_GLOBAL_URL does. A session that writes
        there may end in `TransactionConflictError`, and can then be repeated as a whole.

        `max_open_apps` bounds the apps that are open at once; by default 100, or fewer where the
        process's limit on open files asks for it. That limit also bounds how many sessions may be
        under way at once. Raises `DataDirError` where there is no installation, `OpenAppsError`
        for a number below 1, and `GlobalUrlError`.
        """
        url = None if global_url is None else ServerUrl.parse(global_url, "global_url")
        root = data_dir if isinstance(data_dir, DataDir) else Path(data_dir)
        self.place = DataDir.find(root, url)
        self.auto_upgrade = auto_upgrade
        self.max_open_apps = affordable_apps() if max_open_apps is None else max_open_apps
        if self.max_open_apps < 1:
            raise OpenAppsError(self.max_open_apps)
        for base in (AppBase, GlobalBase):
            # Else the first session does, and holds a lock that a child of fork would wait for.
            base.registry.configure()
        self._start()
        follow_forks(self._kept, self._start_anew)

    def __enter__(self) -> Self:
        """Return itself; `close()` follows at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every database."""
        self.close()

    def __repr__(self) -> str:
        """Show where the installation lies."""
        return f"Databases({str(self.place.root)!r})"

    @property
    def counters(self) -> Counters:
        """Counts of what the cache of apps did since it was made."""
        return self._apps.counters

    def close(self) -> None:
        """Close every database; the object cannot be used afterwards."""
        self._apps.close()
        self._opener.registry.close()
        self._global.close()
        if self._server is not None:
            self._server.close()

    def close_app(self, name: str) -> bool:
        """Close one app's database, say before its folder is moved or deleted.

        Returns False, and leaves it open, where a session on it is under way. The next session
        opens it again.
        """
        return self._app_cache().evict(name)

    def is_open(self, name: str) -> bool:
        """Tell whether an app's database is open now."""
        return name in self._apps

    def app_session(self, name: str, *, read_only: bool = False) -> SessionBlock:
        """Yield a session on an app's database: committed on success, rolled back on error.

        It holds the write lock from its first statement, so what it read is still true when it
        writes; with `read_only` it takes no lock, sees one snapshot, and cannot write. What it
        loaded can be read after its end, the session itself cannot be used again. Its `info` has
        the app's name as `app` and its registry id as `app_id`; a new row without them gets them,
        and one that names another app raises `StrayRowError`. Raises `UnknownAppError` for an app
        that is not registered, or a `DatabaseFileError`; `LockedDatabaseError` comes from its first
        statement.
        """
        return SessionBlock(Lease(self._app_cache, name, read_only=read_only))

    def app_connection(
        self, name: str, *, read_only: bool = False
    ) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in one transaction, for many small statements on one app.

        It is another's once the block has ended: keep neither it nor an unread result.
        """
        return self._connection(self._app_cache, name, read_only=read_only)

    def global_session(self, *, read_only: bool = False, turn: str | None = None) -> SessionBlock:
        """Yield a session on the global database, with the same promises as `app_session`.

        On a control plane no session waits for another by itself. Those of the same `turn`, any
        text, do, from before their first statement: so each sees what the last one has written, as
        all do that write to a file. The block may end in `TransactionConflictError`, having done
        nothing; `global_session().run(function, …)` calls a function again then. Waiting for a turn
        or a row ends after 5 s with `ControlPlaneBusyError`.
        """
        return SessionBlock(Lease(self._global_cache, _GLOBAL, read_only=read_only, turn=turn))

    def global_look(self) -> AbstractContextManager[sa.Connection]:
        """Yield a connection to the global database for one SELECT, such as a point query.

        It costs half of what a session costs, and on a server one round trip instead of three. A
        second statement there raises SQLAlchemy's InvalidRequestError.
        """
        return self._connection(self._global_cache, _GLOBAL, read_only=True, one_look=True)

    def global_connection(
        self, *, read_only: bool = False
    ) -> AbstractContextManager[sa.Connection]:
        """Yield a connection to the global database in one transaction, as `app_connection`."""
        return self._connection(self._global_cache, _GLOBAL, read_only=read_only)

    @contextmanager
    def _connection(
        self,
        find_cache: Callable[[], _Cache],
        name: str,
        *,
        read_only: bool,
        one_look: bool = False,
    ) -> Iterator[sa.Connection]:
        with Lease(find_cache, name, read_only=read_only, one_look=one_look) as lease:
            with lease.connection.begin():
                yield lease.connection
                if not read_only:
                    lease.require_in_place()
            count_commit()

    def _app_cache(self) -> _Cache:
        return self._apps

    def _global_cache(self) -> _Cache:
        return self._global

    def _start(self) -> None:
        self._server = None if self.place.global_url is None else engine_of(self.place)
        # Its own: an app is opened inside of a global session, and must not wait for another one.
        registry = open_registry(self.place)
        self._opener = Opener(self.place, registry, auto_upgrade=self.auto_upgrade)
        self._engine = FileEngine()
        moments = FirstMoments()
        self._apps: _Cache = DatabaseCache(
            self._open_app,
            self.max_open_apps,
            most_leases=affordable_leases(self.max_open_apps),
            moments=moments,
        )
        # A session on a server waits for its answers, and gives the interpreter away meanwhile.
        shared = moments if self._server is None else None
        self._global: _Cache = DatabaseCache(self._open_global, 1, moments=shared)

    def _kept(self) -> Kept:
        caches = (self._apps, self._global)
        idle = [connection for it in caches for connection in it.idle_connections()]
        opening = any(it.is_opening() for it in caches)
        return Kept([*idle, *self._opener.registry.idle_connections()], opening)

    def _start_anew(self) -> None:
        """In a child after fork, leave connections and held locks to the parent."""
        closed = self._apps.closed
        if self._server is not None:
            self._server.leave_to_parent()
        self._opener.registry.leave_to_parent()
        for cache in (self._apps, self._global):
            cache.leave_to_parent()
        self._start()
        if closed:
            self.close()

    def _open_app(self, name: str) -> OpenDatabase:
        return OpenDatabase(self._engine, self._opener.app(name))

    def _open_global(self, _: str) -> OpenDatabase | OpenServer:
        if self._server is not None:
            return self._opener.server(self._server)
        ready = GLOBAL_READY_CONNECTIONS
        return OpenDatabase(self._engine, self._opener.global_db(), ready=ready)

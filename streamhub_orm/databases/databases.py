"""`Databases`: everything a service needs to work with an installation's databases."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases.engine_cache import Counters, EngineCache
from streamhub_orm.engine.connections import immediate_engine, open_for_session, translated
from streamhub_orm.errors import SchemaOutdatedError
from streamhub_orm.legacy.registry import find_legacy_files
from streamhub_orm.migrations.app_files import bring_app_to_head, is_done
from streamhub_orm.migrations.global_file import bring_global_to_head
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.upgrading import look_for_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.migrations.worlds import World

_CONNECTIONS_PER_APP: Final = 2
_DESCRIPTORS_PER_CONNECTION: Final = 3
_DESCRIPTORS_FOR_OTHERS: Final = 64
_GLOBAL: Final = ""
"""The key of the global database in a cache of its own; no app can have this name."""


class Databases:
    """The databases of one installation, opened on demand and kept open.

    Safe to share between threads. Usable in a child after fork, but for a database on which a
    session was under way at the fork: there the child gets `ForkedInSessionError`. An app.db is
    opened once however many threads ask: created if its app is registered and the file is
    missing, adopted, given its legacy rows, and upgraded. With `auto_upgrade=False` a file that
    is not at head raises `SchemaOutdatedError` instead.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        *,
        auto_upgrade: bool = True,
        max_open_apps: int | None = None,
    ) -> None:
        """Find the installation in `data_dir`; nothing is opened yet.

        `max_open_apps` bounds the engines; by default 100, or fewer where the process's limit on
        open files asks for it. Raises `DataDirError` where there is no installation.
        """
        self.place = DataDir.find(Path(data_dir))
        self.auto_upgrade = auto_upgrade
        self.max_open_apps = _affordable_apps() if max_open_apps is None else max_open_apps
        self._make_caches()

    def __enter__(self) -> Self:
        """Return itself; `close()` follows at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every engine."""
        self.close()

    def __repr__(self) -> str:
        """Show where the installation lies."""
        return f"Databases({str(self.place.root)!r})"

    @property
    def counters(self) -> Counters:
        """What the cache of app engines did since it was made."""
        return self._apps.counters

    def close(self) -> None:
        """Close every engine; the object cannot be used afterwards."""
        self._apps.close()
        self._global.close()

    def close_app(self, name: str) -> bool:
        """Close one app's database, say before its folder is moved or deleted.

        Returns False, and leaves it open, where a session on it is under way. The next session
        opens it again.
        """
        return self._app_cache().evict(name)

    @contextmanager
    def app_session(self, name: str, *, read_only: bool = False) -> Iterator[Session]:
        """Yield a session on an app's database: committed on success, rolled back on error.

        It holds the write lock from its first statement, so what it read is still true when it
        writes; with `read_only` it takes no lock, sees one snapshot, and cannot write. Raises
        `UnknownAppError` for an app that is not registered, or a `DatabaseFileError`.
        """
        with (
            self._lease(self._app_cache(), name, read_only=read_only) as engine,
            Session(engine) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def app_connection(self, name: str, *, read_only: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction, for many small statements on one app."""
        with (
            self._lease(self._app_cache(), name, read_only=read_only) as engine,
            engine.begin() as connection,
        ):
            yield connection

    @contextmanager
    def global_session(self, *, read_only: bool = False) -> Iterator[Session]:
        """Yield a session on the global database, with the same promises as `app_session`."""
        with (
            self._lease(self._global_cache(), _GLOBAL, read_only=read_only) as engine,
            Session(engine) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def global_connection(self, *, read_only: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection to the global database in one transaction."""
        with (
            self._lease(self._global_cache(), _GLOBAL, read_only=read_only) as engine,
            engine.begin() as connection,
        ):
            yield connection

    @contextmanager
    def _lease(self, cache: EngineCache, name: str, *, read_only: bool) -> Iterator[sa.Engine]:
        with cache.lease(name) as engine:
            yield engine.execution_options(read_only=True) if read_only else engine

    def _app_cache(self) -> EngineCache:
        self._leave_parent()
        return self._apps

    def _global_cache(self) -> EngineCache:
        self._leave_parent()
        return self._global

    def _make_caches(
        self, apps: frozenset[str] = frozenset(), own: frozenset[str] = frozenset()
    ) -> None:
        self._apps = EngineCache(self._open_app, self.max_open_apps, barred=apps)
        self._global = EngineCache(self._open_global, 1, barred=own)
        self._pid = os.getpid()

    def _leave_parent(self) -> None:
        """In a child after fork, start anew: connections and held locks are the parent's.

        SQLite connections must not cross a fork (https://www.sqlite.org/howtocorrupt.html).
        """
        if self._pid == os.getpid():
            return
        self._make_caches(self._apps.abandon(), self._global.abandon())

    def _open_app(self, name: str) -> sa.Engine:
        path = self.place.app_db(name)
        files = find_legacy_files(self.place, name)
        if self.auto_upgrade:
            bring_app_to_head(path, files)
        else:
            found = look_for_upgrade(path, APP, recover=False)
            if not is_done(found):
                raise _outdated(path, found.revision, APP)
        return _engine(path)

    def _open_global(self, _: str) -> sa.Engine:
        path = self.place.global_db
        if self.auto_upgrade:
            bring_global_to_head(path)
        else:
            found = look_for_upgrade(path, GLOBAL, recover=False)
            if found.state is not State.CURRENT:
                raise _outdated(path, found.revision, GLOBAL)
        return _engine(path)


def _engine(path: Path) -> sa.Engine:
    engine = immediate_engine(
        partial(open_for_session, path),
        sa.pool.QueuePool,
        pool_size=_CONNECTIONS_PER_APP,
        max_overflow=10,
    )
    with translated(path, "opening it"):
        engine.connect().close()
    return engine


def _outdated(path: Path, revision: str | None, world: World) -> SchemaOutdatedError:
    return SchemaOutdatedError(
        path,
        f"revision {revision or 'none'}, or imports not done",
        f"{world.head} with its legacy rows imported",
        "Run `streamhub-db upgrade`, or open it with auto_upgrade=True.",
    )


def _affordable_apps() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 100
    each = _CONNECTIONS_PER_APP * _DESCRIPTORS_PER_CONNECTION
    return max(1, min(100, (limit - _DESCRIPTORS_FOR_OTHERS) // each))

"""Running revisions: the one transaction of a file, the steps in it, and where they lead."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from streamhub_orm.engine.connections import open_for_migration, open_read_only, translated
from streamhub_orm.engine.engines import FileEngine
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.engine.forks import open_in_memory
from streamhub_orm.errors import MigrationFailedError, UnknownRevisionError
from streamhub_orm.errors.visible import visible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import sqlalchemy as sa
    from alembic.runtime.migration import MigrationInfo, RevisionStep

    from streamhub_orm.migrations.worlds import World

_log: Final = logging.getLogger(__name__)
_PATH: Final = "streamhub_orm.path"
"""The key in `Connection.info` of the path, where the connection is to a file, not to memory."""

alembic_lock: Final = threading.RLock()
"""Alembic keeps its current context in module globals: two threads at once end in a crash."""

if hasattr(os, "register_at_fork"):
    # A thread of the parent may hold the lock at fork, and that thread is not in the child.
    os.register_at_fork(after_in_child=alembic_lock._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001 - what threading itself does for its locks


@dataclass(frozen=True)
class Route:
    """Revisions to run on a file: where they lead from where it stands, and how they are run."""

    destination: Callable[[str | None], str | None]
    """Return the revision that a file at the given one is taken to; None is before the first.

    May raise `UnknownRevisionError`.
    """
    run: Callable[[sa.Connection], None]


def route_to_head(world: World) -> Route:
    """Return the route of an upgrade to the newest revision."""
    return Route(lambda _: world.head, lambda connection: run_revisions(connection, world))


def route_down(world: World, target: str) -> Route:
    """Return the route of a downgrade to `target`, which may be relative as in Alembic."""
    steps = world.scripts._downgrade_revs  # noqa: SLF001 - the function alembic.command uses

    def destination(revision: str | None) -> str | None:
        try:
            return last_of(steps(target, revision), revision)
        except CommandError as error:
            near = get_close_matches(target, [it.revision for it in world.history])
            reason = f"{error}; similar: {', '.join(near) or 'none'}"
            raise UnknownRevisionError(target, world.name, reason) from error

    return Route(destination, lambda c: _run(c, world, lambda heads, _: steps(target, heads)))


def last_of(steps: Iterable[Any], revision: str | None) -> str | None:
    """Return the revision at the end of Alembic's steps; the present one where there are none."""
    for step in steps:
        revision = step.to_revisions[0] if step.to_revisions else None
    return revision


def run_revisions(connection: sa.Connection, world: World, target: str = "head") -> None:
    """Run the revisions from where the file stands up to `target`."""
    steps = world.scripts._upgrade_revs  # noqa: SLF001 - the function alembic.command uses
    _run(connection, world, lambda heads, _: steps(target, heads))


@contextmanager
def migration_transaction(path: Path) -> Iterator[sa.Connection]:
    """Yield a connection inside BEGIN IMMEDIATE; commit at the end, or leave the file as it was.

    Triggers and views are set aside meanwhile. Before the commit, foreign keys that the transaction
    broke make it fail.
    """
    with translated(path, "upgrading it"), alembic_lock:
        raw = open_for_migration(path)
        with closing(raw), connect_over(raw) as connection, connection.begin():
            _log.info("migrating %s", visible(str(path)))
            connection.info[_PATH] = path
            with foreign_code_set_aside(raw, path):
                yield connection
            require_foreign_keys(raw, path)


@contextmanager
def database_in_memory(world: World, target: str = "head") -> Iterator[sa.Connection]:
    """Yield a connection to a database in memory that the history has taken to `target`."""
    raw = open_in_memory()
    with closing(raw), connect_over(raw) as connection:
        with connection.begin():
            run_revisions(connection, world, target)
        yield connection


def connect_over(raw: sqlite3.Connection) -> sa.Connection:
    """Return the connection that a history runs on, over one of sqlite3; it closes both."""
    return _engine().connect_over(raw)


@cache
def _engine() -> FileEngine:
    """Return one engine for all files, so that a fleet shares its dialect and statements."""
    return FileEngine()


def stamp(connection: sa.Connection, world: World, revision: str) -> None:
    """Write `revision` as the file's revision without running anything."""
    with alembic_lock:
        MigrationContext.configure(connection).stamp(world.scripts, revision)
    set_user_version(connection, world.user_version(revision))


def set_user_version(connection: sa.Connection, number: int) -> None:
    """Set the number that the Node core looks at; it rolls back with the transaction."""
    connection.exec_driver_sql(f"PRAGMA user_version = {number:d}")


def keep_user_version(world: World) -> Any:  # noqa: ANN401 - Alembic's callback protocol
    """Return the `on_version_apply` callback that carries user_version along with each step."""

    def callback(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
        if ctx.dialect.name != "sqlite":
            return
        revision = step.up_revision_id if step.is_upgrade else (step.down_revision_ids or [None])[0]
        ctx.execute(f"PRAGMA user_version = {world.user_version(revision):d}")

    return callback


def _run(connection: sa.Connection, world: World, steps: Any) -> None:  # noqa: ANN401
    def migrations(heads: tuple[str, ...], context: MigrationContext) -> Iterable[RevisionStep]:
        return steps(heads, context)  # type: ignore[no-any-return]

    with alembic_lock:
        context = MigrationContext.configure(
            connection,
            opts={
                "fn": migrations,
                "script": world.scripts,
                "transactional_ddl": True,
                "on_version_apply": (keep_user_version(world), _log_step),
            },
        )
        with Operations.context(context):
            context.run_migrations()


def _log_step(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    path = ctx.connection.info.get(_PATH) if ctx.connection else None
    if path is not None:
        ids = [
            ", ".join(it) or "base"
            for it in (step.source_revision_ids, step.destination_revision_ids)
        ]
        _log.debug("%s: %s -> %s", visible(str(path)), *ids)


def require_foreign_keys(raw: sqlite3.Connection, path: Path) -> None:
    """Raise `MigrationFailedError` where the transaction broke keys that held before it."""
    broken = _broken_keys(raw)
    if broken:
        # Rows of the field may have been broken before; another connection still sees those.
        with closing(open_read_only(path)) as before:
            broken -= _broken_keys(before)
    if broken:
        raise MigrationFailedError(
            path,
            f"{len(broken)} rows that point to no row, first {min(broken)}",
            "every foreign key to hold before the commit",
            "Nothing was changed; this is a fault of the revision, report it.",
        )


def _broken_keys(connection: sqlite3.Connection) -> set[tuple[str, int, str]]:
    return {row[:3] for row in connection.execute("PRAGMA foreign_key_check")}

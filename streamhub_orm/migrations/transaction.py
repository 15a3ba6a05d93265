"""One file, one transaction: the connection that a migration runs on, and its steps."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from streamhub_orm.engine.connections import open_for_migration, open_read_only, translated
from streamhub_orm.engine.engines import immediate_engine
from streamhub_orm.errors import MigrationFailedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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


@contextmanager
def migration_transaction(path: Path) -> Iterator[sa.Connection]:
    """Yield a connection inside BEGIN IMMEDIATE; commit at the end, or leave the file as it was.

    Before the commit, foreign keys that the transaction broke make it fail.
    """
    with (
        translated(path, "upgrading it"),
        alembic_lock,
        closing(open_for_migration(path)) as raw,
        _begun_on(raw) as connection,
    ):
        _log.info("migrating %s", path)
        connection.info[_PATH] = path
        yield connection
        _require_foreign_keys(raw, path)


_handed_in: Final[list[sqlite3.Connection]] = []
"""The connection that the shared engine takes next; `alembic_lock` guards it."""


@contextmanager
def _begun_on(raw: sqlite3.Connection) -> Iterator[sa.Connection]:
    _handed_in.append(raw)
    try:
        with _shared_engine().begin() as connection:
            yield connection
    finally:
        _handed_in.pop()


@cache
def _shared_engine() -> sa.Engine:
    """Return one engine for all files, so that a fleet shares its dialect and statements."""
    return immediate_engine(lambda: _handed_in[-1], sa.pool.NullPool)


def engine_on(raw: sqlite3.Connection) -> sa.Engine:
    """Return an engine that has just this one connection and leaves closing to its owner."""
    return immediate_engine(lambda: raw, sa.pool.StaticPool)


def raw_connection(connection: sa.Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection below an SQLAlchemy one."""
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None  # noqa: S101 - only a detached connection has none
    return driver_connection  # type: ignore[no-any-return]


def run_upgrade(connection: sa.Connection, world: World, target: str = "head") -> None:
    """Run the revisions from where the file stands up to `target`."""
    steps = world.scripts._upgrade_revs  # noqa: SLF001 - the function alembic.command uses
    _run(connection, world, lambda heads, _: steps(target, heads))


def run_downgrade(connection: sa.Connection, world: World, target: str) -> None:
    """Run the revisions' downgrades from where the file stands down to `target`."""
    steps = world.scripts._downgrade_revs  # noqa: SLF001 - the function alembic.command uses
    _run(connection, world, lambda heads, _: steps(target, heads))


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
        _log.debug("%s: %s -> %s", path, *ids)


def _require_foreign_keys(raw: sqlite3.Connection, path: Path) -> None:
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

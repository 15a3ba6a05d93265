"""Migration over a connection that a program hands to Alembic, as the cookbook has it.

The caller owns the transaction: where one has begun, nothing is committed here. What an upgrade of
a file promises holds all the same: the backup is made first, of what is committed; triggers stay
still, rows are counted, keys are checked. Where that fails, a savepoint takes back what was done.
Legacy rows are not imported, as whose file it is, is not known.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic.util import CommandError

from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.engines import dbapi_connection
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.migrations.losses import refuse_losses
from streamhub_orm.migrations.revisions import require_foreign_keys
from streamhub_orm.migrations.states import State, look_at, read_state, unadopted
from streamhub_orm.migrations.upgrading import Upgraded, adopt_unless_adopted, rows_accounted_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.migrations.worlds import World

_MEMORY: Final = Path(":memory:")


def change_handed(
    connection: sa.Connection, world: World, route: Route, command: str, *, drop_rows: bool
) -> tuple[Path, Upgraded]:
    """Take the database of a connection along a route; return its path and what was done.

    Raises `CommandError` for a connection that cannot hold it in one transaction, or a
    `DatabaseFileError`; then what the caller had done before is as it was.
    """
    with _transaction(connection):
        raw = dbapi_connection(connection)
        path = _path_of(connection)
        with translated(path, f"running {command} on it"):
            found = read_state(raw, world, path)
            if found.state is State.UNADOPTED and command != "upgrade":
                raise unadopted(path, command)
            reached = route.destination(found.revision)
            if found.revision is not None and found.revision == reached:
                return path, Upgraded.unchanged(found)
            if command == "downgrade" and not drop_rows:
                refuse_losses(raw, world, (found.revision, reached), path)
            backup = _back_up_committed(path, world)
            counted = command != "downgrade" or not drop_rows
            with (
                connection.begin_nested(),
                foreign_code_set_aside(raw, path),
                rows_accounted_for(raw, path, dropping=command == "downgrade")
                if counted
                else nullcontext(),
            ):
                adopt_unless_adopted(connection, world, path)
                route.run(connection)
                if path != _MEMORY:
                    require_foreign_keys(raw, path)
        return path, Upgraded(found.revision, reached, backup)


@contextmanager
def _transaction(connection: sa.Connection) -> Iterator[None]:
    """Begin, on the driver as well, unless the caller has; end only what was begun here."""
    if connection.dialect.name != "sqlite":
        message = f"found a connection to {connection.dialect.name}; expected one to SQLite"
        raise CommandError(message)
    with nullcontext() if connection.in_transaction() else connection.begin():
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - only a detached connection has none
        if connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one():
            message = (
                "found a connection that enforces foreign keys; expected PRAGMA foreign_keys = OFF "
                "before the transaction begins, as a rebuilt table would delete the rows that "
                "point to it"
            )
            raise CommandError(message)
        if not driver.in_transaction:
            if driver.isolation_level is None or getattr(driver, "autocommit", None) is True:
                message = (
                    "found a connection in autocommit; expected a transaction, so that the whole "
                    "migration commits or nothing of it"
                )
                raise CommandError(message)
            # The driver would begin at the first INSERT only, and DDL before it would stay.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield


def _path_of(connection: sa.Connection) -> Path:
    databases = connection.exec_driver_sql("PRAGMA database_list")
    return Path(next(str(row[2]) for row in databases if row[1] == "main") or _MEMORY)


def _back_up_committed(path: Path, world: World) -> Path | None:
    """Back the file up as other connections see it; nothing where it holds nothing yet."""
    if path == _MEMORY or look_at(path, world).state is State.MISSING:
        return None
    return back_up(path)

"""The global database on a server: its state, and its way to head."""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from streamhub_orm.errors import (
    ControlPlaneBusyError,
    ControlPlaneDataLossError,
    ControlPlaneMissingError,
    ControlPlaneNewerError,
    ControlPlaneReadOnlyError,
    ForeignControlPlaneError,
    StreamHubError,
    UnknownRevisionError,
)
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.revisions import alembic_lock, route_to_head
from streamhub_orm.migrations.states import FileState, State
from streamhub_orm.migrations.upgrading import Upgraded
from streamhub_orm.migrations.worlds import GLOBAL, SERVER_START, START_FILE
from streamhub_orm.postgresql.dialect import server_connection
from streamhub_orm.postgresql.fence import refuse_demoted
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.postgresql.engine import ServerEngine

_OURS: Final = re.compile(r"g\d{4}")
_VERSIONS: Final = "alembic_version"
_FLAGS: Final = {"0": "false", "1": "true"}
_LOCK_TO_THE_END: Final = sa.text("SELECT pg_advisory_xact_lock(:key)")
_LOCK: Final = int.from_bytes(b"strmhub")
"""Key of the advisory lock that admits one change of the schema at a time, in this database."""
_LOCK_SECONDS: Final = 60
_TABLES: Final = sa.text(
    "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(current_schema()) "
    "AND relkind IN ('r', 'p') ORDER BY relname"
)
"""From the catalogue: information_schema leaves out what this user may not read."""
_TODO_OTHER: Final = "Name a database of its own: CREATE DATABASE makes one."


def look_at_server(engine: ServerEngine) -> FileState:
    """Find the state of a control plane; one that cannot be used has the error that says why."""
    try:
        with engine.connect(read_only=True) as connection, connection.begin():
            return read_server_state(connection, engine.server)
    except ControlPlaneNewerError as error:
        return FileState(State.NEWER, error=error)
    except StreamHubError as error:
        return FileState(State.UNREADABLE, error=error)


def read_server_state(connection: sa.Connection, server: str) -> FileState:
    """Find the state through an open connection; raises what makes the database unusable.

    An empty database counts as missing.
    """
    found = read_server_revision(connection, server)
    if found.revision is not None:
        raw = server_connection(connection)
        refuse_demoted(raw, server)
    return found


def read_server_revision(connection: sa.Connection, server: str) -> FileState:
    """Do the same for a control plane whose rows may have left it."""
    tables = set(connection.execute(_TABLES).scalars())
    revisions: list[str] = []
    if _VERSIONS in tables:
        query = sa.text(f"SELECT version_num FROM {_VERSIONS}")  # noqa: S608 - a constant
        revisions = list(connection.execute(query).scalars())
    if not revisions and tables <= {_VERSIONS}:  # Alembic makes its own before it looks
        todo = "Set it up with `streamhub-db upgrade --global-url …`, or promote an installation."
        expected = "the tables of a control plane"
        missing = ControlPlaneMissingError(server, "an empty database", expected, todo)
        return FileState(State.MISSING, error=missing)
    if len(revisions) != 1 or not _OURS.fullmatch(revisions[0]) or GLOBAL.first_table not in tables:
        shown = ", ".join(sorted(tables)[:5])
        found = f"a database of another program (tables {shown})"
        raise ForeignControlPlaneError(server, found, "a control plane", _TODO_OTHER)
    (revision,) = revisions
    if not GLOBAL.knows(revision):
        todo = "A newer release has written it: run that release or a later one."
        expected = f"at most {GLOBAL.head}"
        raise ControlPlaneNewerError(server, f"revision {revision}", expected, todo)
    return FileState(State.CURRENT if revision == GLOBAL.head else State.BEHIND, revision)


def require_server(engine: ServerEngine) -> FileState:
    """Return the state of a control plane that is set up; raises where it cannot be used."""
    found = look_at_server(engine)
    if found.error is not None:
        raise found.error
    return found


def upgrade_server(engine: ServerEngine, *, route: Route | None = None) -> Upgraded:
    """Bring a control plane to head, or along another `route`, in one transaction; idempotent.

    An empty database is set up. Of many nodes at once one does it, and the others wait, at most
    60 s, and find it done. Raises a `ControlPlaneError`; then the database is as it was.
    """
    road = route or route_to_head(GLOBAL)
    found = _usable(engine)
    if found.revision is not None and road.destination(found.revision) == found.revision:
        return Upgraded.unchanged(found)
    with _locked(engine) as connection, alembic_lock, connection.begin():
        return _change(connection, engine.server, road, "upgrade")


def change_server(
    engine: ServerEngine,
    route: Route,
    command: str,
    *,
    drop_rows: bool = False,
    dry_run: bool = False,
) -> Upgraded:
    """Carry out an Alembic command that writes: upgrade, downgrade or stamp, in one transaction.

    A `dry_run` of the last two rolls it back.

    A downgrade that would take rows away is refused, unless with `drop_rows`; there is nothing
    below the revision that a server begins with.
    """
    if command == "upgrade":
        return upgrade_server(engine, route=route)
    found = require_server(engine)
    _require_reachable(found.revision, route)
    with _locked(engine) as connection, alembic_lock, connection.begin() as transaction:
        done = _change(connection, engine.server, route, command, drop_rows=drop_rows)
        if dry_run:
            transaction.rollback()
    return done


def change_handed_server(
    connection: sa.Connection, route: Route, command: str, *, drop_rows: bool = False
) -> tuple[str, Upgraded]:
    """Do the same over a connection that a program hands to Alembic; return its server's name.

    The caller owns the transaction, where one has begun; a savepoint takes back what failed. Others
    who change the schema are waited for. The caller's transaction may be of before that: then it
    ends in an error of the server's, with nothing changed.
    """
    server = ServerUrl(connection.engine.url)
    with nullcontext() if connection.in_transaction() else connection.begin():
        connection.execute(_LOCK_TO_THE_END, {"key": _LOCK})
        with alembic_lock, connection.begin_nested():
            done = _change(connection, str(server), route, command, drop_rows=drop_rows)
    return str(server), done


def _change(
    connection: sa.Connection,
    server: str,
    route: Route,
    command: str,
    *,
    drop_rows: bool = False,
) -> Upgraded:
    """Change the schema in the caller's transaction, under the lock."""
    found = read_server_state(connection, server)
    if found.revision is None:
        if command != "upgrade":
            assert found.error is not None  # noqa: S101 - an empty database
            raise found.error
        _require_writable(connection, server)
        _begin(connection)
    else:
        _require_reachable(found.revision, route)
        reached = route.destination(found.revision)
        if reached == found.revision:
            return Upgraded.unchanged(found)
        if command == "downgrade" and not drop_rows and reached is not None:
            _require_no_loss(connection, server, found.revision, reached)
    route.run(connection)
    return Upgraded(found.revision, read_server_state(connection, server).revision)


def _require_reachable(revision: str | None, route: Route) -> None:
    reached = route.destination(revision)
    if reached is None or reached < SERVER_START:
        raise UnknownRevisionError(
            reached or "base",
            GLOBAL.name,
            f"on a server the history begins at {SERVER_START}; drop the database instead",
        )


def _usable(engine: ServerEngine) -> FileState:
    found = look_at_server(engine)
    if found.error is not None and found.state is not State.MISSING:
        raise found.error
    return found


def _require_no_loss(connection: sa.Connection, server: str, revision: str, reached: str) -> None:
    """Raise `ControlPlaneDataLossError` where tables or columns with something in them would go."""
    before, after = (reference_structure(GLOBAL, each) for each in (revision, reached))
    losses = []
    for name, table in before.tables.items():
        if name not in after.tables:
            query = sa.select(sa.func.count()).select_from(sa.table(name))
            losses.append((connection.execute(query).scalar_one(), f"rows of table {name}"))
            continue
        for column in table.columns.keys() - after.tables[name].columns.keys():
            # A value that is equal to the default comes back with the column.
            default = (table.columns[column].default or "").strip("'")
            same = [default, _FLAGS.get(default, default)]
            lost = sa.cast(sa.column(column), sa.Text).not_in(same)
            query = sa.select(sa.func.count()).select_from(sa.table(name)).where(lost)
            losses.append((connection.execute(query).scalar_one(), f"values of {name}.{column}"))
    found = [f"{count} {what}" for count, what in losses if count]
    if found:
        raise ControlPlaneDataLossError(server, found)


def _begin(connection: sa.Connection) -> None:
    """Set up an empty database at the revision that a history begins with there."""
    path = GLOBAL.folder / START_FILE
    connection.exec_driver_sql(path.read_text(encoding="utf-8"))
    MigrationContext.configure(connection).stamp(GLOBAL.scripts, SERVER_START)


def _require_writable(connection: sa.Connection, server: str) -> None:
    is_standby = connection.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one()
    if is_standby:
        todo = "Name the primary server; after a failover that may be another one."
        raise ControlPlaneReadOnlyError(server, "a standby", "a server that takes writes", todo)


@contextmanager
def _locked(engine: ServerEngine) -> Iterator[sa.Connection]:
    """Yield a connection that alone may change the schema; the lock dies with its session.

    It is taken before the transaction begins, whose snapshot then has what was done meanwhile.
    """
    with engine.connect() as connection:
        raw = server_connection(connection)
        try:
            raw.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            raw.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        except psycopg.errors.LockNotAvailable as error:
            raise ControlPlaneBusyError(
                engine.server,
                f"another upgrade that has run for {_LOCK_SECONDS} s",
                "it to end",
                "Wait for it, or look who runs it (pg_stat_activity).",
            ) from error
        try:
            yield connection
        finally:
            with suppress(psycopg.Error):
                raw.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
                raw.execute("RESET lock_timeout")

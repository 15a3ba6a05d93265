"""The global database on a server: its state, and its way to head."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from streamhub_orm.errors import (
    ControlPlaneBusyError,
    ControlPlaneDataLossError,
    ControlPlaneDriftError,
    ControlPlaneError,
    ControlPlaneMissingError,
    ControlPlaneNewerError,
    ControlPlaneReadOnlyError,
    ForeignControlPlaneError,
    StreamHubError,
    UnknownRevisionError,
)
from streamhub_orm.migrations.authoring import comparison_options
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.revisions import alembic_lock, route_to_head
from streamhub_orm.migrations.states import FileState, State
from streamhub_orm.migrations.upgrading import Upgraded
from streamhub_orm.migrations.worlds import GLOBAL, SERVER_START, START_FILE
from streamhub_orm.postgresql.fence import refuse_demoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.postgresql.engine import ServerEngine

_OURS: Final = re.compile(r"g\d{4}")
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
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)  # noqa: S101 - a server's
        refuse_demoted(raw, server)
    return found


def read_server_revision(connection: sa.Connection, server: str) -> FileState:
    """Do the same for a control plane whose rows may have left it."""
    tables = set(connection.execute(_TABLES).scalars())
    if not tables:
        todo = "Set it up with `streamhub-db upgrade --global-url …`, or promote an installation."
        expected = "the tables of a control plane"
        missing = ControlPlaneMissingError(server, "an empty database", expected, todo)
        return FileState(State.MISSING, error=missing)
    revisions: list[str] = []
    if "alembic_version" in tables:
        query = sa.text("SELECT version_num FROM alembic_version")
        revisions = list(connection.execute(query).scalars())
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
        found = read_server_state(connection, engine.server)
        if found.revision is None:
            _require_writable(connection, engine.server)
            _begin(connection)
        elif road.destination(found.revision) == found.revision:
            return Upgraded.unchanged(found)
        road.run(connection)
        reached = read_server_state(connection, engine.server).revision
    return Upgraded(found.revision, reached)


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
    assert found.revision is not None  # noqa: S101 - require_server saw it
    reached = route.destination(found.revision)
    if reached is None or reached < SERVER_START:
        raise UnknownRevisionError(
            reached or "base",
            GLOBAL.name,
            f"on a server the history begins at {SERVER_START}; drop the database instead",
        )
    with _locked(engine) as connection, alembic_lock, connection.begin() as transaction:
        if command == "downgrade" and not drop_rows:
            _require_no_loss(connection, engine.server, found.revision, reached)
        route.run(connection)
        after = read_server_state(connection, engine.server).revision
        if dry_run:
            transaction.rollback()
    return Upgraded(found.revision, after)


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
            query = sa.select(sa.func.count(sa.column(column))).select_from(sa.table(name))
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
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)  # noqa: S101 - a server's
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


def differences_of(connection: sa.Connection) -> list[str]:
    """Return in words how a control plane at head differs from the models; empty where it does not.

    On PostgreSQL Alembic's comparison is honest: types, defaults, constraints and indices are seen.
    """
    options = comparison_options(GLOBAL)
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": False,
            "include_name": options["include_name"],
            "include_object": is_ours_on_server,
        },
    )
    with alembic_lock:
        found = compare_metadata(context, options["target_metadata"])
    return [_in_words(it) for it in found]


def is_ours_on_server(
    element: object, name: str | None, kind: str, reflected: object, counterpart: object
) -> bool:
    """Leave out what is on the server and not in the models: `rowid`, and an operator's own."""
    del element
    return not (
        reflected and counterpart is None and kind in {"column", "table"} and _is_extra(name, kind)
    )


def _is_extra(name: str | None, kind: str) -> bool:
    return kind == "table" or name == "rowid"


def _in_words(difference: object) -> str:
    if isinstance(difference, list):
        return "; ".join(_in_words(it) for it in difference)
    assert isinstance(difference, tuple)  # noqa: S101 - Alembic's
    kind, *what = difference
    return f"{str(kind).replace('_', ' ')} {' '.join(str(it) for it in what if it is not None)}"


def require_no_drift(connection: sa.Connection, server: str) -> None:
    """Raise `ControlPlaneDriftError` where the structure is not that of the models."""
    found = differences_of(connection)
    if found:
        raise ControlPlaneDriftError(server, found)


__all__ = [
    "ControlPlaneError",
    "differences_of",
    "look_at_server",
    "read_server_revision",
    "read_server_state",
    "require_no_drift",
    "require_server",
    "upgrade_server",
]

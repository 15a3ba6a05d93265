"""Adoption: give a file that the Node core made the revision that its structure stands at.

user_version is only a hint: it misses the run-time additions and can be wrong. What counts is the
structure, compared with the one that the history itself builds.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from streamhub_orm.engine.engines import dbapi_connection
from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import NotADatabaseError, UnknownStructureError
from streamhub_orm.migrations.references import reference_structure, reference_structures
from streamhub_orm.migrations.revisions import stamp
from streamhub_orm.migrations.structure import Drift, Structure, compare, read_structure
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.migrations.worlds import World


def adopt(connection: sa.Connection, world: World, path: Path) -> str | None:
    """Complete what is partly there and stamp the file; return the revision; None if empty.

    Runs inside the caller's transaction. Raises `UnknownStructureError` for a file that fits no
    state of the history.
    """
    raw = dbapi_connection(connection)
    revision = adoptable_revision(raw, world, path)
    if revision is not None:
        _complete(raw, world, revision, path)
        stamp(connection, world, revision)
    return revision


def adoptable_revision(raw: sqlite3.Connection, world: World, path: Path) -> str | None:
    """Return the newest revision that the structure has reached, without writing anything.

    A revision is reached where anything that it added is there: the Node core's run-time additions
    occur in any combination, so what lacks of the earlier steps is completed at adoption.
    """
    require_world(raw, world, path)
    found = read_structure(raw, world.foreign_tables)
    present, before = found.signatures(), set[tuple[str, ...]]()
    reached = None
    for revision, structure in reference_structures(world).items():
        signatures = structure.signatures()
        if (signatures - before) & present:
            reached = revision
        before = signatures
    refused = _views_in_the_way(raw, world)
    refused += _not_completable(world, reference_structure(world, reached), found)
    if refused:
        raise UnknownStructureError(path, refused)
    return reached


def require_world(raw: sqlite3.Connection, world: World, path: Path) -> None:
    """Refuse a file of the other kind, by its tables, and one that is of neither.

    Both kinds have ingress_auth and `_streamhub_meta`, and an old global database streams as well.
    """
    names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    ours = {name for name in names if not name.startswith(("sqlite_", "_litestream_"))}
    ours.discard("alembic_version")
    if GLOBAL.first_table in names:
        refuse_other_world(path, GLOBAL, world, f"it has the table {GLOBAL.first_table}")
    elif APP.first_table in ours and ours <= reference_structure(APP, APP.head).tables.keys():
        refuse_other_world(path, APP, world, f"it has the table {APP.first_table}")
    if ours and world.first_table not in names:
        only = f"table {world.first_table} is missing, there is only {', '.join(sorted(ours))}"
        raise UnknownStructureError(path, [only])


def refuse_other_world(path: Path, found: World, expected: World, reason: str) -> None:
    """Raise `NotADatabaseError` where a file is of another world than the command."""
    if found is not expected:
        raise NotADatabaseError(
            path,
            f"{found.title} of StreamHub ({reason})",
            expected.title,
            "Name the right file, or use the command for this kind.",
        )


def _views_in_the_way(raw: sqlite3.Connection, world: World) -> list[str]:
    """Return the views that bear the name of a table; SQLite would write through none of them."""
    tables = reference_structure(world, world.head).tables.keys() | world.foreign_tables
    views = raw.execute("SELECT name FROM main.sqlite_master WHERE type = 'view' ORDER BY name")
    return [f"{name} is a view, not a table" for (name,) in views if name.lower() in tables]


def _not_completable(world: World, expected: Structure, found: Structure) -> list[str]:
    drift = compare(expected, found)
    columns = [
        f"column {table}.{column} is missing"
        for table, column in drift.missing_columns
        if (table, column) not in _added_later(world)
    ]
    return columns + drift.conflicts


@cache
def _added_later(world: World) -> frozenset[tuple[str, str]]:
    """Return the columns that may be missing: those that came after their table.

    A column that its table was created with is never missing in the field; a file without it is
    none of ours.
    """
    added = set(world.late_columns)
    before: Structure | None = None
    for structure in reference_structures(world).values():
        for name, table in structure.tables.items():
            if before is not None and name in before.tables:
                new = table.columns.keys() - before.tables[name].columns.keys()
                added.update((name, column) for column in new)
        before = structure
    return frozenset(added)


def _complete(raw: sqlite3.Connection, world: World, revision: str, path: Path) -> None:
    expected = reference_structure(world, revision)
    drift = compare(expected, read_structure(raw, world.foreign_tables))
    for statement in _completing_statements(expected, drift):
        raw.execute(statement)
    for statement in world.data_until(revision):
        raw.execute(statement)
    remaining = compare(expected, read_structure(raw, world.foreign_tables)).lines()
    if remaining:
        raise UnknownStructureError(path, remaining)


def _completing_statements(expected: Structure, drift: Drift) -> list[str]:
    tables = [expected.tables[name].sql for name in drift.missing_tables]
    columns = [
        f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column)} "
        f"{_definition(expected, table, column)}"
        for table, column in drift.missing_columns
    ]
    indices = [expected.indices[name].sql for name in drift.missing_indices]
    return tables + columns + indices


def _definition(expected: Structure, table: str, column: str) -> str:
    definition = expected.tables[table].columns[column]
    default = "" if definition.default is None else f" DEFAULT {definition.default}"
    return f"{definition.type}{' NOT NULL' if definition.not_null else ''}{default}"

"""Reference of the history itself: the structure at every revision, and a template file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.sql import quoted
from streamhub_orm.migrations.revisions import database_in_memory, run_revisions
from streamhub_orm.migrations.structure import Structure, read_structure

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World


@cache
def reference_structures(world: World) -> dict[str, Structure]:
    """Return the structure at each revision, oldest first, built in memory by the history."""
    structures = {}
    with database_in_memory(world, world.history[0].revision) as connection:
        raw = raw_connection(connection)
        for script in world.history:
            with connection.begin():
                run_revisions(connection, world, script.revision)
            structures[script.revision] = read_structure(raw, world.foreign_tables)
    return structures


def reference_structure(world: World, revision: str | None) -> Structure:
    """Return the structure at one revision; the empty one before the first."""
    if revision is None:
        return Structure({}, {}, ())
    return reference_structures(world)[revision]


@cache
def seed_rows(world: World, table: str, columns: tuple[str, ...]) -> frozenset[tuple[object, ...]]:
    """Return the rows that the history itself puts into a table, such as the platform tenant."""
    selected = ", ".join(quoted(column) for column in columns)
    query = f"SELECT {selected} FROM {quoted(table)}"  # noqa: S608 - identifiers, quoted
    with database_in_memory(world) as connection:
        return frozenset(raw_connection(connection).execute(query))


@cache
def template(world: World) -> bytes:
    """Return the bytes of an empty database at head, in rollback mode."""
    with database_in_memory(world) as connection:
        return raw_connection(connection).serialize()

"""What the history itself builds: the structure at every revision, and a template file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

from streamhub_orm.migrations.structure import Structure, read_structure
from streamhub_orm.migrations.transaction import engine_on, run_upgrade

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World


@cache
def reference_structures(world: World) -> dict[str, Structure]:
    """Return the structure at each revision, oldest first, built in memory by the history."""
    structures = {}
    with closing(_memory()) as raw, engine_on(raw).connect() as connection, connection.begin():
        for script in world.history:
            run_upgrade(connection, world, script.revision)
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
    with closing(_memory()) as raw, engine_on(raw).connect() as connection:
        with connection.begin():
            run_upgrade(connection, world)
        selected = ", ".join(f'"{column}"' for column in columns)
        return frozenset(raw.execute(f'SELECT {selected} FROM "{table}"'))  # noqa: S608


@cache
def template(world: World) -> bytes:
    """Return the bytes of an empty database at head, in rollback mode."""
    with closing(_memory()) as raw, engine_on(raw).connect() as connection:
        with connection.begin():
            run_upgrade(connection, world)
        return raw.serialize()


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)

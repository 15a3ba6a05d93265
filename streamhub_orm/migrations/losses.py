"""Losses of a downgrade: rows of tables, values of columns, rows that a CHECK forbids.

Derived from the structures before and after, so that no revision needs a guard of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import DataLossError
from streamhub_orm.migrations.references import reference_structure, seed_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.migrations.structure import Column, Structure, Table
    from streamhub_orm.migrations.worlds import World


def refuse_losses(
    raw: sqlite3.Connection, world: World, revisions: tuple[str | None, str | None], path: Path
) -> None:
    """Raise `DataLossError` where going from the first revision to the second drops data."""
    before, after = (reference_structure(world, revision) for revision in revisions)
    losses = [f"{count} {what}" for what, count in _losses(raw, world, before, after) if count]
    if losses:
        raise DataLossError(path, losses)


def _losses(
    raw: sqlite3.Connection, world: World, before: Structure, after: Structure
) -> Iterator[tuple[str, int]]:
    for name, table in before.tables.items():
        if name not in after.tables:
            yield f"rows of table {name}", _own_rows(raw, world, name, table)
            continue
        for column in table.columns.keys() - after.tables[name].columns.keys():
            query = f"SELECT count(*) FROM {quoted(name)} WHERE {_is_set(column, table)}"  # noqa: S608
            yield f"values of column {name}.{column}", _count(raw, query)
        for check in set(after.tables[name].checks) - set(table.checks):
            query = f"SELECT count(*) FROM {quoted(name)} WHERE NOT ({check})"  # noqa: S608
            yield f"rows of table {name} that the older CHECK ({check}) forbids", _count(raw, query)


def _own_rows(raw: sqlite3.Connection, world: World, name: str, table: Table) -> int:
    """Count the rows that the history did not put there itself; those come back by upgrading."""
    columns = tuple(key for key, column in table.columns.items() if not _is_clock(column))
    seeded = seed_rows(world, name, columns)
    selected = ", ".join(quoted(column) for column in columns)
    total = _count(raw, f"SELECT count(*) FROM {quoted(name)}")  # noqa: S608
    if not seeded or not total:
        return total
    rows = raw.execute(f"SELECT {selected} FROM {quoted(name)}")  # noqa: S608
    return sum(1 for row in rows if row not in seeded)


def _is_clock(column: Column) -> bool:
    return column.default is not None and "(" in column.default


def _is_set(column: str, table: Table) -> str:
    """Return the condition of a loss: a value equal to the default comes back with the column."""
    return f"{quoted(column)} IS NOT {table.columns[column].default or 'NULL'}"


def _count(raw: sqlite3.Connection, query: str) -> int:
    return int(raw.execute(query).fetchone()[0])

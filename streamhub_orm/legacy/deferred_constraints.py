"""Deferred constraints: secondary indices and CHECKs, cheaper for all rows at once than by row."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamhub_orm.engine.sql import quoted
from streamhub_orm.legacy.accounts import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


def are_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether the moved tables hold no row yet."""
    return not any(
        connection.execute(f"SELECT EXISTS (SELECT 1 FROM main.{table})").fetchone()[0]  # noqa: S608
        for table in TABLES
    )


@contextmanager
def indices_after_rows(
    connection: sqlite3.Connection, built: Callable[[int, int], None]
) -> Iterator[None]:
    """Drop the secondary indices of the moved tables, and build them again at the end.

    One sort per index beats one search of the tree per row and index. `built` is called with the
    number of those that are there again, and of all.
    """
    marks = ", ".join("?" * len(TABLES))
    indices = connection.execute(
        "SELECT name, sql FROM sqlite_master "  # noqa: S608 - only question marks
        f"WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({marks}) ORDER BY rowid",
        TABLES,
    ).fetchall()
    for name, _ in indices:
        connection.execute(f"DROP INDEX {quoted(name)}")
    yield
    for number, (_, sql) in enumerate(indices, start=1):
        connection.execute(sql)
        built(number, len(indices))


@contextmanager
def checks_after_rows(
    connection: sqlite3.Connection, checks: Mapping[str, Sequence[str]]
) -> Iterator[None]:
    """Look at `checks`, the CHECK expressions of each moved table, once all rows are there.

    Only for a file that nobody else knows yet: an existing one may have CHECKs of its own.
    SQLite 3.40 builds the list of an IN anew for every row that is inserted; a query builds it
    once. Raises `sqlite3.IntegrityError` for a row that breaks one, as the insert would.
    """
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        yield
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")
    for table in TABLES:
        for check in checks[table]:
            # One by one, so that an index on a column serves its CHECK.
            broken = connection.execute(
                f"SELECT rowid FROM main.{table} WHERE NOT ({check}) LIMIT 1"  # noqa: S608 - the table's own text
            ).fetchone()
            if broken is not None:
                message = f"CHECK constraint failed in row {broken[0]} of {table}: {check}"
                raise sqlite3.IntegrityError(message)

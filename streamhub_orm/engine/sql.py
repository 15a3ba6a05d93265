"""SQL text: identifiers in it, and the columns that a table has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def quoted(identifier: str) -> str:
    """Return an SQL identifier in double quotes, for a place where no parameter can stand."""
    return '"' + identifier.replace('"', '""') + '"'


def columns_of(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    """Return the stored columns of a table in order; empty where there is no such table."""
    return [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_xinfo(?, ?) WHERE hidden = 0", (table, schema)
        )
    ]

"""What SQLite itself finds wrong with the contents of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def integrity_faults(connection: sqlite3.Connection) -> list[str]:
    """Return what integrity_check says, nothing where it says ok. It reads the whole file."""
    rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [] if rows == ["ok"] else rows


def broken_references(connection: sqlite3.Connection) -> list[str]:
    """Return, one line each, the rows that point to no row."""
    return [
        f"row {rowid} of {table} points to no row of {parent}"
        for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check")
    ]

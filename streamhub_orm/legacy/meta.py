"""Keys and values of `_streamhub_meta`, which both kinds of database have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.sql import columns_of

if TYPE_CHECKING:
    import sqlite3

_SET: Final = """
    INSERT INTO main._streamhub_meta (key, value) VALUES (?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = datetime('now')
    WHERE value IS NOT excluded.value"""
_SET_ONCE: Final = """
    INSERT INTO main._streamhub_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"""


def read_value(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the text under a key; None where key or table is missing."""
    if not columns_of(connection, "main", "_streamhub_meta"):
        return None
    query = "SELECT value FROM main._streamhub_meta WHERE key = ?"
    row = connection.execute(query, (key,)).fetchone()
    return row[0] if row is not None and isinstance(row[0], str) else None


def write_value(
    connection: sqlite3.Connection, key: str, value: str, *, once: bool = False
) -> None:
    """Write a text under a key, in the caller's transaction; an equal one changes no byte.

    With `once`, what is there already stays.
    """
    connection.execute(_SET_ONCE if once else _SET, (key, value))


def delete_value(connection: sqlite3.Connection, key: str) -> None:
    """Take a key away, in the caller's transaction."""
    connection.execute("DELETE FROM main._streamhub_meta WHERE key = ?", (key,))

"""Integrity of a file: what SQLite finds wrong with it, and how many rows it holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.engine.sql import quoted
from streamhub_orm.engine.sqlite_errors import RESTORE_BACKUP
from streamhub_orm.errors import CorruptDatabaseError

if TYPE_CHECKING:
    from pathlib import Path


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


def find_damage(connection: sqlite3.Connection) -> str | None:
    """Return the first fault that quick_check finds; None where it says ok."""
    first = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if first == "ok" else first


def refuse_damage(path: Path, connection: sqlite3.Connection) -> None:
    """Raise `CorruptDatabaseError` where quick_check finds damage in the open file at `path`."""
    damage = find_damage(connection)
    if damage is not None:
        raise CorruptDatabaseError(
            path,
            f"damage ({damage})",
            "quick_check to say ok",
            RESTORE_BACKUP,
        )


def require_intact(path: Path) -> None:
    """Raise `CorruptDatabaseError` where quick_check finds damage in the file."""
    with translated(path, "checking it"), closing(open_read_only(path)) as connection:
        refuse_damage(path, connection)


def is_intact(path: Path) -> bool:
    """Tell whether `path` is a database that passes quick_check."""
    try:
        with closing(open_read_only(path)) as connection:
            return path.stat().st_size > 0 and find_damage(connection) is None
    except (sqlite3.Error, OSError):
        return False


def row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of every ordinary table, by name.

    sqlite_sequence is left out: VACUUM INTO makes none where no AUTOINCREMENT table is left.
    """
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' "
        "AND name <> 'sqlite_sequence'"
    ).fetchall()
    return {
        name: connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608 - an identifier cannot be bound
        for (name,) in names
    }

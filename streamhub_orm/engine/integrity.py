"""Integrity of a file: what SQLite finds wrong with it, and how many rows it holds."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.engine.sql import quoted
from streamhub_orm.engine.sqlite_errors import RESTORE_BACKUP
from streamhub_orm.errors import CorruptDatabaseError

if TYPE_CHECKING:
    from pathlib import Path

_PAGE: Final = re.compile(r"\bpage \d+")
_NUMBER: Final = re.compile(r"\d+")
_ALONE: Final = "database disk image is malformed"
"""A finding that says nothing where another one names the place."""
_NAMED: Final = 3
"""Rows of one fault that are named."""


def integrity_faults(connection: sqlite3.Connection) -> list[str]:
    """Return what integrity_check says, nothing where it says ok. It reads the whole file.

    One damaged page is one line, and so are findings that differ only in their numbers.
    """
    rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    groups: dict[str, list[str]] = {}
    for line in () if rows == ["ok"] else "\n".join(rows).splitlines():
        page = _PAGE.search(line)
        if not line.startswith("***"):  # the name of the database
            groups.setdefault(page[0] if page else _NUMBER.sub("#", line), []).append(line)
    if len(groups) > 1:
        groups.pop(_ALONE, None)
    return [
        first + (f" (and {len(others):,} more such findings)" if others else "")
        for first, *others in groups.values()
    ]


def broken_references(connection: sqlite3.Connection) -> list[str]:
    """Return the rows that point to no row, one line for each pair of tables."""
    found: dict[str, list[int | None]] = {}
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        found.setdefault(f"{table} → {parent}", []).append(rowid)
    faults = []
    for tables, rows in found.items():
        named = ", ".join(map(str, rows[:_NAMED]))
        words = "1 row points" if len(rows) == 1 else f"{len(rows):,} rows point"
        first = "first " if len(rows) > _NAMED else ""
        faults.append(f"{tables}: {words} to nothing ({first}{named})")
    return faults


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

"""The fence of a file: triggers by which every write fails in words, whoever has the file open.

Readers go on. DDL is not stopped, and neither is VACUUM, which changes no row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import PromotedDatabaseError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_NAME: Final = "streamhub_fence"
_WRITES: Final = ("INSERT", "UPDATE", "DELETE")
# Known by its whole text, not by its name: this one can do nothing but refuse.
_OURS: Final = re.compile(
    rf'CREATE TRIGGER "{_NAME}_(?:[^"]|"")+" BEFORE (?:INSERT|UPDATE|DELETE) '
    r'ON "(?:[^"]|"")+" BEGIN SELECT RAISE\(ABORT, \'((?:[^\']|\'\')*)\'\); END'
)
_PROMOTED: Final = re.compile("(?:being )?promoted to ")
# Litestream writes to its own tables to keep a replica, and they hold nothing of ours.
_TABLES: Final = """
    SELECT name FROM main.sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
        AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_litestream_*'"""
_TRIGGERS: Final = "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'"


def raise_fence(connection: sqlite3.Connection, words: str) -> None:
    """Let every write to every table fail with these words, from the caller's commit on."""
    text = "'" + words.replace("'", "''") + "'"
    for (table,) in connection.execute(_TABLES).fetchall():
        for write in _WRITES:
            name = quoted(f"{_NAME}_{write.lower()}_{table}")
            connection.execute(
                f"CREATE TRIGGER {name} BEFORE {write} ON {quoted(table)} "
                f"BEGIN SELECT RAISE(ABORT, {text}); END"
            )


def lift_fence(connection: sqlite3.Connection) -> None:
    """Take the fence away, in the caller's transaction; nothing where there is none."""
    for name, sql in connection.execute(_TRIGGERS).fetchall():
        if fence_in(sql) is not None:
            connection.execute(f"DROP TRIGGER main.{quoted(name)}")


def find_fence(connection: sqlite3.Connection) -> str | None:
    """Return the words of the fence; None where there is none."""
    found = (fence_in(sql) for _, sql in connection.execute(_TRIGGERS).fetchall())
    return next((words for words in found if words is not None), None)


def fence_in(sql: str) -> str | None:
    """Return the words of a trigger of a fence; None for any other."""
    match = _OURS.fullmatch(sql)
    return None if match is None else match[1].replace("''", "'")


def refuse_fence(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `PromotedDatabaseError` where the file takes no writes."""
    words = find_fence(connection)
    if words is not None:
        raise PromotedDatabaseError(path, words)


def met_fence(error: BaseException, path: Path) -> PromotedDatabaseError | None:
    """Return our error for a write that met the fence; None for any other error of sqlite3."""
    is_raised = getattr(error, "sqlite_errorname", None) == "SQLITE_CONSTRAINT_TRIGGER"
    if is_raised and _PROMOTED.match(str(error)):
        return PromotedDatabaseError(path, str(error))
    return None

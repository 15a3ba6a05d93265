"""Legacy vods.db files, and global streams and vods: refused where they cannot be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import reading, roll_back_dead_write
from streamhub_orm.engine.integrity import require_intact
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.engine.sqlite_errors import refuse_other_encoding
from streamhub_orm.errors import InterruptedWriteError, NewerDatabaseError, UnknownStructureError
from streamhub_orm.legacy.accounts import TABLES
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.worlds import APP, CORE_USER_VERSION

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_TABLES = ("streams", "vods")


def require_importable(path: Path, *, recover: bool = True) -> None:
    """Raise a `DatabaseFileError` that names the vods.db where it cannot be imported.

    A missing or zero-byte file holds nothing to import. With `recover`, a journal that a killed
    writer left is rolled back first.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        require_intact(path)
    except InterruptedWriteError:
        if not recover:
            raise
        roll_back_dead_write(path)
        require_intact(path)
    with reading(path) as connection:
        refuse_other_encoding(connection, path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > CORE_USER_VERSION:
            raise NewerDatabaseError(
                path,
                f"user_version {version}",
                f"at most {CORE_USER_VERSION}",
                "A newer release has written this file: run that release or a later one.",
            )
        others = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if others and not any(columns_of(connection, "main", table) for table in _TABLES):
            raise UnknownStructureError(path, ["tables streams and vods are missing"])
        require_legacy_tables(connection, path)


def require_legacy_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `UnknownStructureError` where legacy streams or vods lack what their rows need."""
    tables = reference_structure(APP, APP.parity).tables
    views = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'view'").fetchall()
    missing = [f"{name} is a view, not a table" for (name,) in views if name.lower() in TABLES]
    for name in _TABLES:
        present = columns_of(connection, "main", name)
        missing += [
            f"column {name}.{column} is missing"
            for column in tables[name].columns
            if present and column not in present and (name, column) not in APP.late_columns
        ]
    if missing:
        raise UnknownStructureError(path, missing)

"""Databases as SQL text and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent


def dump_database(path: Path) -> str:
    """Return the SQL that builds a file again, its `user_version` included."""
    with closing(sqlite3.connect(path)) as connection:
        return dump_connection(connection)


def dump_connection(connection: sqlite3.Connection) -> str:
    """Return the same for a database that is open."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return "\n".join([*connection.iterdump(), f"PRAGMA user_version = {version};", ""])


def freeze_installation(data_dir: Path, target: Path) -> None:
    """Write the dumps of an installation without its backups, as if it lay in /data."""
    for path in sorted(data_dir.rglob("*.db")):
        dump = target / path.relative_to(data_dir).with_suffix(".sql")
        dump.parent.mkdir(parents=True, exist_ok=True)
        text = dump_database(path).replace(str(data_dir), "/data")
        dump.write_text(text, encoding="utf-8", newline="")


def thaw_installation(source: Path, data_dir: Path) -> None:
    """Build an installation from its dumps."""
    for dump in sorted(source.rglob("*.sql")):
        path = data_dir / dump.relative_to(source).with_suffix(".db")
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(dump.read_bytes().decode("utf-8"))

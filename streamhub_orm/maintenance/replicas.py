"""Whether Litestream replicates a database, by what it leaves there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_TABLES: Final = ("_litestream_seq", "_litestream_lock")


def find_replication(connection: sqlite3.Connection, path: Path) -> str | None:
    """Return what tells that a database is replicated; None where nothing does.

    Litestream keeps a folder beside the database (unless it was given another place) and two
    tables in it. Both outlast its process, which may be down just now and will want to go on with
    the -wal where it stopped: so they count whether it runs or not.
    """
    folder = path.with_name(f".{path.name}-litestream")
    if folder.is_dir():
        return f"the folder {folder.name} beside it"
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (?, ?)"
    found = connection.execute(query, _TABLES).fetchone()
    return None if found is None else f"its table {found[0]}"

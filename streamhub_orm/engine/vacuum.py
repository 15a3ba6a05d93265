"""VACUUM, and the room that it needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import SpaceError

if TYPE_CHECKING:
    import sqlite3

# Where SQLite looks for a folder for temporary files, in this order
# (https://www.sqlite.org/tempfiles.html).
_VARIABLES: Final = ("SQLITE_TMPDIR", "TMPDIR")
_FOLDERS: Final = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - SQLite's list, not ours


def require_vacuum_space(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `SpaceError` where a VACUUM of this file might run out of room half way.

    It writes the live pages to a temporary file, and from there through the -wal: once their size
    in the folder for temporary files, and once beside the database.
    """
    needed: dict[int, int] = {}
    folders = (path.parent, temporary_folder())
    live = live_bytes(connection)
    for folder in folders:
        device = folder.stat().st_dev
        needed[device] = needed.get(device, 0) + live
    for folder in folders:
        free, wanted = shutil.disk_usage(folder).free, needed[folder.stat().st_dev]
        if free < wanted:
            raise SpaceError(
                path,
                f"{free} bytes free in {folder}",
                f"{wanted} bytes there, which VACUUM may need",
                "Free space on this file system, or name another folder for temporary files by "
                "SQLITE_TMPDIR, then run again; the file is whole.",
            )


def vacuum(connection: sqlite3.Connection, path: Path) -> None:
    """Write the file anew without its unused pages, atomically; raises `SpaceError` beforehand."""
    require_vacuum_space(connection, path)
    connection.execute("VACUUM")


def live_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages in use, an upper bound for the file after VACUUM."""
    query = """SELECT (page_count - freelist_count) * page_size
               FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""
    return int(connection.execute(query).fetchone()[0])


def temporary_folder() -> Path:
    """Return the folder that SQLite will write its temporary files into."""
    named = [os.environ.get(variable) for variable in _VARIABLES]
    for folder in [*named, *_FOLDERS]:
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    return Path()

"""The folder of one app: made whole or not at all, and removed in two steps."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.app_db import AppBase, Meta, Stream, Vod
from streamhub_orm.durable_files import (
    irregularity,
    remove_database,
    remove_leftovers,
    sync,
)
from streamhub_orm.engine.changes import Changes
from streamhub_orm.engine.connections import fold_wal_in, reading, translated
from streamhub_orm.engine.integrity import row_counts
from streamhub_orm.errors import AppBusyError, AppFolderTakenError
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.registry import is_registered
from streamhub_orm.settings import change_app_config, new_app_settings
from streamhub_orm.settings.core_settings import merged
from streamhub_orm.settings.new_apps import MEDIA, furnish
from streamhub_orm.settings.value_rules import require_fitting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.legacy.sources import LegacyFiles

__all__ = [
    "find_app_id",
    "make",
    "remove_set_aside",
    "require_unused",
    "set_aside",
    "undone_by_fault",
    "watch",
]

_ASIDE: Final = re.compile(r"\.(?P<app>[a-z0-9-]+)\.[0-9a-f]{8}\.deleted")
_TABLES: Final = AppBase.metadata.tables.keys() - {Meta.__tablename__}


def make(
    place: DataDir,
    files: LegacyFiles,
    *,
    settings: Mapping[str, Any],
    reuse_folder: bool,
    now: datetime,
) -> None:
    """Make the folder of an app, with app.db at head, config.yaml and media folders; all or none.

    `settings` are those that shall differ from a new app's. A config.yaml that is there is kept,
    and changed where they are not in it. Raises `AppFolderTakenError` where an app.db with rows is
    there and may not be taken over.
    """
    app_db, config = place.app_db(files.app), place.app_config(files.app)
    folder = app_db.parent
    if not reuse_folder:
        _require_no_rows(files.app, app_db)
    require_fitting(config, files.app, settings)
    is_kept = config.exists()
    remove_leftovers(folder)
    with undone_by_fault(folder):
        with translated(folder, "making it"):
            furnish(folder, files.app, merged(new_app_settings(files.app), settings))
            sync(folder)
        upgrade_app_file(app_db, files)
        if is_kept:
            with translated(config, "writing it"):
                change_app_config(config, files.app, settings, now=now)


def watch(place: DataDir, name: str, *, finish: str, undo: str) -> Changes:
    """Return the account of the making of an app, whose row is committed after its folder."""
    folder, row = place.app_db(name).parent, f"app {name} in {place.global_name}"
    changes = Changes([str(folder), row], finish, undo)
    files, registered = _footprint(folder), is_registered(place, name)

    def look() -> None:
        found = {str(folder): _footprint(folder) != files}
        found[row] = is_registered(place, name) is not registered
        changes.new += [what for what, is_new in found.items() if is_new]
        changes.begun = bool(changes.new)

    changes.look = look
    return changes


def _footprint(folder: Path) -> dict[str, tuple[int, int]] | None:
    """Return size and time of each file that holds something; None where there is no folder."""
    if not folder.is_dir():
        return None
    found = {it.name: it.lstat() for it in folder.iterdir() if not it.name.endswith("-shm")}
    return {
        name: (status.st_size, status.st_mtime_ns)
        for name, status in found.items()
        if status.st_size and not name.startswith(".")
    }


@contextmanager
def undone_by_fault(folder: Path, *, until: Path | None = None) -> Iterator[None]:
    """Remove what was made of an app before a fault within the block; what was there stays.

    Once `until` is there nothing is undone.
    """
    app_db, config = folder / "app.db", folder / "config.yaml"
    paths = (app_db, config, *(folder / name for name in MEDIA), folder)
    new = [path for path in paths if not path.exists() and not path.is_symlink()]
    try:
        yield
    except BaseException:
        if until is None or not until.exists():
            _undo(new)
        raise


def _undo(new: list[Path]) -> None:
    """Remove it as far as it can be; what stays holds no row."""
    with suppress(OSError):
        for path in new:
            if path.is_dir():
                remove_leftovers(path)
                path.rmdir()  # fails where somebody has put a file there meanwhile: it stays
            elif path.exists():  # a -wal without a database is not ours
                remove_database(path)


def find_app_id(app_db: Path) -> int | None:
    """Return the one `app_id` that all streams and recordings of a database have; else None.

    0 is no app's: the Node core writes it where it does not find the app's row.
    """
    if not app_db.exists():
        return None
    with reading(app_db) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        ids = {
            app_id
            for table in (Stream.__tablename__, Vod.__tablename__)
            if table in tables
            for (app_id,) in connection.execute(f"SELECT DISTINCT app_id FROM {table}")  # noqa: S608
            if app_id != 0
        }
    return ids.pop() if len(ids) == 1 else None


def _require_no_rows(name: str, app_db: Path) -> None:
    if not app_db.exists():
        return
    with reading(app_db) as connection:
        rows = sum(count for table, count in row_counts(connection).items() if table in _TABLES)
    if rows:
        raise AppFolderTakenError(name, app_db, rows)


def require_unused(name: str, app_db: Path) -> None:
    """Raise `AppBusyError` where any connection to the database has read from it and lives.

    One that has not read yet holds no lock, so it cannot be seen. A file that is no database, or a
    damaged one, counts as unused.
    """
    if not app_db.exists():
        return
    try:
        fold_wal_in(app_db)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise AppBusyError(app_db, name, "another process or Databases") from error
    except sqlite3.DatabaseError:
        pass


def set_aside(folder: Path) -> None:
    """Give an app's folder a hidden name, in one step; where there is none, do nothing."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.deleted")
    with translated(folder, "removing it"), suppress(FileNotFoundError):
        folder.rename(aside)
        sync(folder.parent)


def remove_set_aside(apps: Path) -> set[str]:
    """Remove what was set aside under apps/, also by runs that were killed; return the apps."""
    removed = set()
    for entry in list(apps.iterdir()):
        match = _ASIDE.fullmatch(entry.name)
        if match is not None and irregularity(entry) == "a folder":
            removed.add(match["app"])
            with translated(entry, "removing it"), suppress(FileNotFoundError):
                shutil.rmtree(entry)
    return removed

"""`streamhub-db init`: a fresh installation, nested, with platform tenant and app `live`."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases import Databases
from streamhub_orm.durable_files import (
    no_empty_folder_left,
    publish,
    remove_database,
    temporary_beside,
)
from streamhub_orm.engine.connections import open_scratch, translated
from streamhub_orm.engine.database_files import mark_as_wal, require_no_stray_wal
from streamhub_orm.errors import AppExistsError, DatabaseFileError, DataDirError, UnfinishedError
from streamhub_orm.legacy.bookkeeping import SPLIT_DONE
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.global_database import upgrade_global
from streamhub_orm.migrations.global_file import refuse_empty_global
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.registry import find_legacy_files, read_registry, record_apps
from streamhub_orm.services import apps
from streamhub_orm.services.app_folders import undone_by_fault
from streamhub_orm.settings import new_app_settings
from streamhub_orm.settings.new_apps import MEDIA, furnish

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

DEFAULT_APP: Final = "live"
_OF_THE_CORE: Final = ("logs", "sdk")
"""Folders that a first start makes before it fills the global database."""
_LOST_AND_FOUND: Final = "lost+found"
"""A folder in the root of a new file system."""


def make_installation(data_dir: Path) -> DataDir:
    """Make a fresh installation in a new or empty folder and return where its files lie.

    The folders have the mode that the umask leaves them, the databases are for their owner alone.
    What an interrupted call left may lie there, hidden files, and what an interrupted first start
    of the Node core leaves: a global database without a table is replaced. Raises `DataDirError`
    where it holds anything else, and `UnfinishedError` where a fault came when the global database
    was there already.
    """
    place = DataDir.fresh(data_dir)
    if place.global_url is not None:
        make_node(place)
        return place
    require_no_stray_wal(place.global_db)
    with translated(place.root, "looking into it"):
        _require_fresh(place)
    try:
        with no_empty_folder_left(place.apps), no_empty_folder_left(place.global_db.parent):
            _make(place)
    except DatabaseFileError as error:
        if not place.global_db.exists():
            raise
        done = f"{place.global_db} is made, and app {DEFAULT_APP} may not be."
        todo = "Check the disk, then run `streamhub-db upgrade`: it makes what is missing."
        raise UnfinishedError(error.path, error, done, todo) from error
    return place


def make_node(place: DataDir) -> None:
    """Make the folders of a node whose global database is on a server; set up an empty server.

    A control plane without an app gets the app `live`, on this node. Raises a `ControlPlaneError`.
    """
    upgrade_global(place)
    with translated(place.root, "making its folders"):
        for folder in (place.root, place.global_db.parent, place.apps):
            folder.mkdir(parents=True, exist_ok=True)
    if not read_registry(place).ids:
        with Databases(place) as databases, suppress(AppExistsError):  # another node was faster
            databases.global_session().run(apps.create, place, DEFAULT_APP)


def _make(place: DataDir) -> None:
    with translated(place.global_db, "creating it"):
        for folder in (place.root, place.global_db.parent, place.apps):
            folder.mkdir(parents=True, exist_ok=True)
        with temporary_beside(place.global_db) as temporary:
            _fill(temporary)
            if place.global_db.exists():  # what a first boot left, without a table in it
                remove_database(place.global_db)
            folder = place.app_folder(DEFAULT_APP)
            with undone_by_fault(folder, until=place.global_db):
                furnish(folder, DEFAULT_APP)
                publish(temporary, place.global_db, mode=0o600)
    app_db = place.app_db(DEFAULT_APP)
    legacy = find_legacy_files(place, DEFAULT_APP)
    upgrade_app_file(app_db, legacy)
    record_apps(place, {legacy.app_id: DEFAULT_APP})


def _require_fresh(place: DataDir) -> None:
    expected = "a new or empty folder"
    if place.global_db.exists() and _holds_apps(place):
        refuse_empty_global(place)  # its rows are lost
    for path in (place.global_db, place.root / place.global_db.name):
        if path.exists() and not (path == place.global_db and _is_first_boot(place)):
            todo = "Bring it to this release with `streamhub-db upgrade`, or name another folder."
            raise DataDirError(place.root, f"the installation of {path}", expected, todo)
    if place.root.exists() and not place.root.is_dir():
        raise DataDirError(place.root, "a file", expected, "Name another folder.")
    if _holds_apps(place):
        todo = "Restore the global database from its backup, or name another folder."
        found = "apps/ with content but no global database"
        raise DataDirError(place.root, found, expected, todo)
    stranger = _find_stranger(place)
    if stranger is not None:
        todo = "Name another folder, or move that away."
        raise DataDirError(place.root, f"{stranger} in it", expected, todo)


def _is_first_boot(place: DataDir) -> bool:
    """Tell whether the global database is one that a first start made and never filled."""
    path = place.global_db
    regular = not path.is_symlink() and path.is_file()
    return regular and look_at(path, GLOBAL).state is State.MISSING and not _holds_apps(place)


def _holds_apps(place: DataDir) -> bool:
    """Tell whether anything lies in apps/ but what an interrupted call leaves of the first app."""
    folder = place.app_folder(DEFAULT_APP)
    left = {folder, place.app_config(DEFAULT_APP), *(folder / name for name in MEDIA)}
    found = place.apps.rglob("*") if place.apps.is_dir() else ()
    return any(entry not in left and not entry.name.startswith(".") for entry in found)


def _find_stranger(place: DataDir) -> Path | None:
    """Find what is neither hidden nor may be an interrupted call's, or a first start's."""
    data = place.global_db.parent
    of_database = [place.global_db.name + suffix for suffix in ("-journal", "-shm", "-wal")]
    known = {
        data,
        place.global_db,
        place.apps,
        place.lock_path,
        *([place.secrets] if place.global_db.exists() else []),  # stays as it is
        *(place.root / name for name in _OF_THE_CORE),
        *(data / name for name in of_database),
    }
    for folder in (place.root, data):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            hidden = entry.name.startswith(".") or entry.name == _LOST_AND_FOUND
            if not hidden and entry not in known:
                return entry
    return None


def _fill(temporary: Path) -> None:
    temporary.write_bytes(template(GLOBAL))
    with closing(open_scratch(temporary)) as connection:
        connection.execute("BEGIN")
        _insert(connection)
        connection.execute("COMMIT")
    mark_as_wal(temporary)


def _insert(connection: sqlite3.Connection) -> None:
    app = new_app_settings(DEFAULT_APP)
    connection.execute(
        "INSERT INTO apps (name, display_name, livekit_room_prefix) VALUES (?, ?, ?)",
        (app["name"], app["display_name"], app["room_prefix"]),
    )
    connection.execute("INSERT INTO _streamhub_meta (key, value) VALUES (?, '1')", (SPLIT_DONE,))

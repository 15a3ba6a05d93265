"""The registry in a file: the global table `apps`, read without an ORM at any schema step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import lossy_text, open_read_only, reading, translated
from streamhub_orm.engine.fence import refuse_fence
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.errors import UnknownAppError, UnknownStructureError
from streamhub_orm.legacy.bookkeeping import (
    is_app_recorded,
    is_split,
    record_apps,
    recorded_app_ids,
)
from streamhub_orm.legacy.global_rows import read_global_rows
from streamhub_orm.legacy.sources import GlobalState, LegacyFiles, read_global_state
from streamhub_orm.registry.entries import Registry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.legacy.global_rows import GlobalRows

_NAME: Final = "CASE typeof(name) WHEN 'blob' THEN quote(name) ELSE name END"
_ALL: Final = f"SELECT {_NAME}, id FROM apps ORDER BY id"  # noqa: S608 - constants of this module
# The platform also owns what no tenant does: rows from before tenancy, and NULL.
OF_TENANT: Final = f"SELECT {_NAME} FROM apps WHERE tenant_id = ? ORDER BY id"  # noqa: S608
OF_PLATFORM: Final = f"SELECT {_NAME} FROM apps WHERE coalesce(tenant_id, ?1) = ?1 ORDER BY id"  # noqa: S608
_PLATFORM: Final = "platform"


def read_registry_of(global_db: Path) -> Registry:
    """Read the registry of a file; raises a `DatabaseFileError` where it cannot be used."""
    with reading(global_db) as connection:
        _require_table(connection, global_db)
        ids = read_app_ids(connection)
        return Registry(global_db, ids, is_split(connection), recorded_app_ids(connection))


def read_app_ids(connection: sqlite3.Connection) -> dict[str, int]:
    """Return `apps.id` by name, in the order of the ids.

    A name that is a BLOB or no UTF-8 comes in a form that no allow-list lets pass, so that it is
    refused by itself and stops no other app.
    """
    with lossy_text(connection):
        return {str(name): id_ for name, id_ in connection.execute(_ALL)}


def list_names_of_tenant(global_db: Path, tenant_id: str) -> list[str]:
    """Return the names of a tenant's apps; before tenancy every app is the platform's."""
    with reading(global_db) as connection:
        if "tenant_id" not in _require_table(connection, global_db):
            return list(read_app_ids(connection)) if tenant_id == _PLATFORM else []
        query = OF_PLATFORM if tenant_id == _PLATFORM else OF_TENANT
        with lossy_text(connection):
            return [str(name) for (name,) in connection.execute(query, (tenant_id,))]


def look_up_legacy_files(
    connection: sqlite3.Connection,
    place: DataDir,
    name: str,
    find_global: Callable[[], GlobalState] | None = None,
) -> LegacyFiles:
    """Return where the legacy rows of one app may lie, through an open connection to the file.

    The legacy tables are asked only where something is to be imported: then by `find_global`, or
    by opening the file.
    """

    def look() -> GlobalState:
        with reading(place.global_db) as opened:
            return read_global_state(opened)

    vods_db = place.legacy_db(name)
    row = connection.execute("SELECT id FROM apps WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownAppError(name, place.global_db, list(read_app_ids(connection)))
    recorded = is_app_recorded(connection, row[0])
    return LegacyFiles(name, row[0], place.global_db, vods_db, find_global or look, recorded)


def _require_table(connection: sqlite3.Connection, global_db: Path) -> list[str]:
    """Return the columns of the table `apps`."""
    columns = columns_of(connection, "main", "apps")
    if not columns:
        raise UnknownStructureError(global_db, ["table apps is missing"])
    return columns


class RegistryConnection:
    """A read-only connection to the global database, opened on first use and anew where replaced.

    Opening the file for each app would cost more than the look-up: SQLite reads the schema, and
    rebuilds its WAL index where nobody else has the file open. Raises `PromotedDatabaseError` where
    the registry is on a server by now.
    """

    def __init__(self, place: DataDir) -> None:
        """Look in the global database of `place`; nothing is opened."""
        self._place = place
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._rows: GlobalRows | None = None

    def find_legacy_files(self, name: str) -> LegacyFiles:
        """Return id and legacy rows of an app; raises `UnknownAppError` if it is not registered."""
        with self._lock, translated(self._place.global_db, "reading"):
            return look_up_legacy_files(
                self._connected(), self._place, name, self._find_global_state
            )

    def find_name(self, app_id: int) -> str | None:
        """Return the name of the app with this id; None where no app has it."""
        with self._lock, translated(self._place.global_db, "reading"):
            query = "SELECT name FROM apps WHERE id = ?"
            row = self._connected().execute(query, (app_id,)).fetchone()
        return None if row is None else str(row[0])

    def find_id(self, name: str) -> int | None:
        """Return the id of the app of this name; None where no app has it."""
        with self._lock, translated(self._place.global_db, "reading"):
            query = "SELECT id FROM apps WHERE name = ?"
            row = self._connected().execute(query, (name,)).fetchone()
        return None if row is None else int(row[0])

    def find_shown_names(self, name: str) -> dict[str, str]:
        """Return display name and room prefix of an app, as far as its row has them as texts.

        The keys are those of config.yaml.
        """
        with self._lock, translated(self._place.global_db, "reading"):
            query = "SELECT display_name, livekit_room_prefix FROM apps WHERE name = ?"
            row = self._connected().execute(query, (name,)).fetchone() or ()
        found = zip(("display_name", "room_prefix"), row, strict=False)
        return {key: value for key, value in found if isinstance(value, str)}

    def record_apps(self, ids: Mapping[int, str]) -> None:
        """Record that apps have an app.db, without waiting for a lock: it may be this thread's."""
        record_apps(self._place.global_db, ids, wait=False)

    def close(self) -> None:
        """Close the connection; the next look-up opens one again."""
        with self._lock:
            self._disconnect()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connection where it is open and nobody looks anything up."""
        idle = self._connection is not None and not self._lock.locked()
        return [self._connection] if self._connection is not None and idle else []

    def leave_to_parent(self) -> None:
        """Do nothing: `engine.forks` leaves connections to files."""

    def _find_global_state(self) -> GlobalState:
        with self._lock, translated(self._place.global_db, "reading"):
            connection = self._connected()
            if self._rows is None or not self._rows.are_current(connection):
                self._rows = read_global_rows(connection)
            return GlobalState(is_split(connection), self._rows)

    def _connected(self) -> sqlite3.Connection:
        path = self._place.global_db
        found = path.stat()
        if self._connection is None or self._file != (found.st_dev, found.st_ino):
            self._disconnect()
            connection = open_read_only(path)
            try:
                refuse_fence(connection, path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._file = (found.st_dev, found.st_ino)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

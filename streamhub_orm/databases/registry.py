"""Looking apps up in the global database, whatever its schema step, through one held connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.registry import look_up_legacy_files

if TYPE_CHECKING:
    import sqlite3

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.legacy.sources import LegacyFiles


class RegistryReader:
    """A read-only connection to the global database, opened on first use and anew where replaced.

    Opening the file for each app would cost more than the look-up: SQLite reads the schema, and
    rebuilds its WAL index where nobody else has the file open.
    """

    def __init__(self, place: DataDir) -> None:
        """Look in the global database of `place`; nothing is opened."""
        self._place = place
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def find_legacy_files(self, name: str) -> LegacyFiles:
        """Return id and legacy rows of an app; raises `UnknownAppError` if it is not registered."""
        with self._lock, translated(self._place.global_db, "reading"):
            return look_up_legacy_files(self._connected(), self._place, name)

    def find_name(self, app_id: int) -> str | None:
        """Return the name of the app with this id; None where no app has it."""
        with self._lock, translated(self._place.global_db, "reading"):
            query = "SELECT name FROM apps WHERE id = ?"
            row = self._connected().execute(query, (app_id,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        """Close the connection; the next look-up opens one again."""
        with self._lock:
            self._disconnect()

    def close_inherited(self) -> bool:
        """Close it in a child after fork; False where a thread of the parent was looking up then.

        That thread may have held SQLite's mutex, for which a close would wait for ever.
        """
        if self._lock.locked():
            return False
        self._disconnect()
        return True

    def _connected(self) -> sqlite3.Connection:
        path = self._place.global_db
        found = path.stat()
        if self._connection is None or self._file != (found.st_dev, found.st_ino):
            self._disconnect()
            self._connection = open_read_only(path)
            self._file = (found.st_dev, found.st_ino)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

"""Write lines into `server_logs`, many in one statement.

It uses sqlite3 alone, so that no line about the writing of lines is ever logged, and the whole of
a batch goes to SQLite as one JSON text: with a statement per line, the writing thread would have to
win the interpreter back from a busy application after each one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import open_for_session
from streamhub_orm.schema import json_from_text, json_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from streamhub_orm.services.log_lines import LogLine

_BUSY_MILLISECONDS: Final = 250
"""Short, since a fork waits for it; the queue tries again."""
_INSERT: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
    FROM json_each(?)"""
_IDS: Final = "SELECT name, id FROM apps WHERE name IN (SELECT value FROM json_each(?))"


class LogTable:
    """The table of one installation, and the ids of the apps that lines were attributed to."""

    def __init__(self, path: Path) -> None:
        """Keep the path of the global database; nothing is opened yet."""
        self.path = path
        self._ids: dict[str, int] = {}

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for a number of batches.

        None is held between them, so a database that is put in this one's place is written to, and
        a child after fork inherits none.
        """
        with closing(open_for_session(self.path)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
            yield connection

    def insert(self, connection: sqlite3.Connection, lines: Sequence[LogLine]) -> None:
        """Insert lines in one transaction; raises sqlite3's errors with nothing inserted."""
        try:
            self._insert(connection, lines)
        except sqlite3.IntegrityError:  # an app has gone since its id was looked up
            self._ids.clear()
            self._insert(connection, lines)

    def _insert(self, connection: sqlite3.Connection, lines: Sequence[LogLine]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._look_up(connection, {line.app for line in lines if line.app is not None})
            rows = [self._row(line) for line in lines]
            connection.execute(_INSERT, (json_to_text(rows),))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _look_up(self, connection: sqlite3.Connection, names: set[str]) -> None:
        """Find ids not known yet; a name that is not registered is asked for again next time."""
        unknown = [name for name in names if name not in self._ids]
        if unknown:
            self._ids.update(connection.execute(_IDS, (json_to_text(unknown),)).fetchall())

    def _row(self, line: LogLine) -> tuple[str, str, str, int | None, str, str | None]:
        app_id = None if line.app is None else self._ids.get(line.app)
        meta = line.meta_json
        if line.app is not None and app_id is None:
            meta = json_to_text({"app": line.app} | (json_from_text(meta) if meta else {}))
        return line.ts, line.level, line.source, app_id, line.message, meta

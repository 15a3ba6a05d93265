"""The writing of log lines to a PostgreSQL server: a batch is one statement."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from streamhub_orm.postgresql.engine import connect
from streamhub_orm.postgresql.faults import hide_values
from streamhub_orm.schema import json_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamhub_orm.postgresql.dialect import ServerConnection
    from streamhub_orm.server_url import ServerUrl
    from streamhub_orm.services.log_lines import LogLine

__all__ = ["ServerLogTable"]

_UNSERVABLE: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE)
"""NUL, or half a surrogate pair, as JSON writes it; JSONB holds neither."""
_REPLACEMENT: Final = r"\1\\ufffd"
_WAIT_NO_LONGER: Final = "SET lock_timeout = '250ms'"
"""Short, since `flush` and `close` end in time; the queue tries again."""
_INSERT: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    SELECT (line ->> 0)::timestamptz, line ->> 1, line ->> 2, apps.id, line ->> 4,
           CASE WHEN line ->> 3 IS NULL OR apps.id IS NOT NULL THEN (line ->> 5)::jsonb
                ELSE jsonb_build_object('app', line ->> 3)
                     || coalesce((line ->> 5)::jsonb, jsonb_build_object()) END
    FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given(line, number)
         LEFT JOIN apps ON apps.name = line ->> 3
    ORDER BY number"""


class ServerLogTable:
    """Table `server_logs` on a server; what `LogTable` is for a file.

    It uses psycopg alone, so that no line about the writing of lines is ever logged. Where the
    connection ends amid a batch, nobody knows whether it was written: it is written again.
    """

    outlives_forks: Final = True

    def __init__(self, url: ServerUrl) -> None:
        """Keep the URL; nothing is opened yet."""
        self.path = str(url)
        self._url = url
        self._connection: ServerConnection | None = None

    @contextmanager
    def opened(self) -> Iterator[ServerConnection]:
        """Yield the one connection, which stays open between the batches."""
        connection = self._connection or self._connect()
        self._connection = None
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _connect(self) -> ServerConnection:
        connection = connect(self._url)
        connection.execute(_WAIT_NO_LONGER)
        return connection

    def insert(self, connection: ServerConnection, lines: Sequence[LogLine]) -> None:
        """Insert lines in one transaction; raises psycopg's errors with nothing inserted."""
        rows = [[*line[:5], _servable(line.meta_json)] for line in lines]
        values = (json_to_text(rows),)
        try:
            try:
                connection.execute(_INSERT, values)
            except psycopg.errors.ForeignKeyViolation:  # an app has gone since it was looked up
                connection.execute(_INSERT, values)
        except psycopg.Error as error:
            hide_values(error)
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def leave_to_parent(self) -> None:
        """In a child after fork, forget the connection; psycopg closes it in its own process."""
        self._connection = None


def _servable(meta: str | None) -> str | None:
    return _UNSERVABLE.sub(_REPLACEMENT, meta) if meta is not None and "\\u" in meta else meta

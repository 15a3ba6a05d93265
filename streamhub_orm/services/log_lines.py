"""Log records as lines of `server_logs`, and the writing of many lines in one statement."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streamhub_orm.engine.connections import open_for_session
from streamhub_orm.schema import json_from_text, json_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["LONGEST_TEXT", "LogLine", "LogTable", "line_from_record"]

LONGEST_TEXT: Final = 32_768
"""Characters of a message, and of its JSON, that are kept."""

_LONGEST_NAME: Final = 200
"""Characters that are kept of a source, and of the name of an app."""

_LEVELS: Final = (
    (logging.CRITICAL, "fatal"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warn"),
    (logging.INFO, "info"),
    (logging.DEBUG, "debug"),
)
_OF_EVERY_RECORD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime",
    "message",
    "taskName",
}
_UNSTORABLE: Final = re.compile("[\ud800-\udfff\0]")
"""Half a surrogate pair has no UTF-8 form, and SQLite's functions end a text at a NUL."""
_FORMATTER: Final = logging.Formatter()
_BUSY_MILLISECONDS: Final = 250
"""Short, since a fork waits for it; the queue tries again."""
_INSERT: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
    FROM json_each(?)"""
_IDS: Final = "SELECT name, id FROM apps WHERE name IN (SELECT value FROM json_each(?))"


class LogLine(NamedTuple):
    """A row of `server_logs`, but for its id, with the app by name."""

    ts: str
    level: str
    source: str
    app: str | None
    message: str
    meta_json: str | None


@lru_cache(maxsize=64)
def _level_name(number: int) -> str:
    """Return the level in the words of Node's loggers: trace, debug, info, warn, error, fatal."""
    return next((name for least, name in _LEVELS if number >= least), "trace")


def line_from_record(record: logging.LogRecord, source: str | None = None) -> LogLine:
    """Return the line for a record.

    `extra={"app": name}` attributes it to an app, and `extra={"source": word}` sets its source,
    which is else `source`, else the logger's name. All other extras, an exception with its
    traceback and a stack go into `meta_json`. What cannot be shown as text or JSON is told by a
    placeholder.
    """
    extras = record.__dict__.keys() - _OF_EVERY_RECORD
    found = {key: record.__dict__[key] for key in extras} if extras else {}
    app, own_source = found.pop("app", None), found.pop("source", None)
    if record.exc_info or record.exc_text or record.stack_info:
        found |= _traceback(record)
    return LogLine(
        _timestamp(record.created),
        _level_name(record.levelno),
        _name(own_source or source or record.name),
        None if app is None else _name(app),
        _message(record),
        _meta(found) if found else None,
    )


def _text(value: object) -> str:
    """Return a value as text; an object's own __str__ may raise anything."""
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a line of the log must not stop what it tells about
        return f"<{type(value).__name__} that cannot be shown>"


def _name(value: object) -> str:
    return _storable(_text(value)[:_LONGEST_NAME])


def _timestamp(seconds: float) -> str:
    """Return the text that JavaScript's toISOString() gives."""
    whole, fraction = divmod(seconds, 1)
    return f"{_second(whole)}.{int(fraction * 1000):03}Z"


@lru_cache(maxsize=4)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the format
        text = f"{_text(record.msg)} {_text(record.args)}"
    text = _storable(text)
    if len(text) > LONGEST_TEXT:
        return f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} more characters)"
    return text


def _traceback(record: logging.LogRecord) -> dict[str, str]:
    found = {}
    info = record.exc_info
    if info and info[0] is not None:
        found["error"] = f"{info[0].__name__}: {_text(info[1])}"
        found["stack"] = record.exc_text or _FORMATTER.formatException(info)
    elif record.exc_text:
        found["stack"] = record.exc_text
    if record.stack_info:
        found["stack_info"] = record.stack_info
    return found


def _meta(found: dict[str, Any]) -> str:
    try:
        text = json_to_text(found)
    except Exception:  # noqa: BLE001 - the error itself shows the value
        text = json_to_text({_text(key): _jsonable(value) for key, value in found.items()})
    if len(text) > LONGEST_TEXT:
        return json_to_text({"truncated": text[:LONGEST_TEXT]})
    return text


def _jsonable(value: object) -> object:
    try:
        json_to_text(value)
    except Exception:  # noqa: BLE001 - as above
        return _text(value)
    return value


def _storable(text: str) -> str:
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


class LogTable:
    """Table `server_logs` of one installation, with the ids of the apps that lines belong to.

    It uses sqlite3 alone, so that no line about the writing of lines is ever logged, and a whole
    batch goes to SQLite as one JSON text: with a statement per line, the writing thread would have
    to win the interpreter back from a busy application after each one.
    """

    outlives_forks: Final = False
    """False where a connection that is open at a fork spoils both processes."""

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

    def close(self) -> None:
        """Do nothing: none is open between batches."""

    def leave_to_parent(self) -> None:
        """Do nothing, as `close`."""

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

"""What a log record becomes in `server_logs`."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streamhub_orm.schema import json_to_text

LONGEST_TEXT: Final = 32_768
"""Characters of a message, and of its JSON, that are kept."""

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


class LogLine(NamedTuple):
    """A row of `server_logs`, but for its id, with the app by name."""

    ts: str
    level: str
    source: str
    app: str | None
    message: str
    meta_json: str | None


@lru_cache(maxsize=64)
def level_name(number: int) -> str:
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
        level_name(record.levelno),
        _storable(_text(own_source or source or record.name)),
        None if app is None else _storable(_text(app)),
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

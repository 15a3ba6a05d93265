"""The server's log: read in pages, and kept for as long as it is to be.

`log_handler` writes it. Sessions are global ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.engine.connections import lossy
from streamhub_orm.errors import LogSettingError, StoredValueError
from streamhub_orm.global_db import App, ServerLog
from streamhub_orm.schema import (
    AsStored,
    ComparableTime,
    TimeRange,
    as_stored,
    comparable,
    json_from_text,
    json_member,
    utc_from_text,
    utc_now,
    without_case,
)
from streamhub_orm.services import apps
from streamhub_orm.services.core import connection_of, rows_of, table_of
from streamhub_orm.services.paging import PageKey, check_page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases

__all__ = [
    "CHUNK_ROWS",
    "LEVELS",
    "RETENTION_DAYS",
    "SOURCES",
    "LogEntry",
    "LogFilter",
    "PageKey",
    "count_expired",
    "expiry",
    "list_",
    "names_app",
    "purge",
]

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
"""Words of the Node core and of the handler; no CHECK holds the column to them."""
SOURCES: Final = (
    *("logs", "livekit", "livekit-webhook", "callbacks", "mqtt", "transcoding", "system"),
    *("recording", "restream", "hls", "broadcast"),  # without app_id
)
"""Sources of the Node core, besides `plugin:<id>` for each plugin; others may be in the table."""
RETENTION_DAYS: Final = 30
"""Days for which lines are kept where LOG_RETENTION_DAYS does not say."""
CHUNK_ROWS: Final = 5_000
"""Lines that are deleted while the write lock is held once."""
_PAUSE_SECONDS: Final = 0.02
"""Between two chunks, so that others who wait for the lock come in."""

_APPS: Final = table_of(App)
_LOGS: Final = table_of(ServerLog)
_ANY_TIME: Final = datetime.fromtimestamp(0, UTC)
_APP_OF_LINE: Final = json_member(_LOGS.c.meta_json, "appName")


def names_app(app: str | sa.BindParameter[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a line without `app_id` names an app in its meta.

    Those of recording, restream, hls and broadcast do. The index of `app_id` leads to the lines
    without one; a malformed meta names no app.
    """
    return _LOGS.c.app_id.is_(None) & (app == _APP_OF_LINE)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Conditions on lines: all that are given must hold."""

    levels: Collection[str] = ()
    """Any of these words; see `LEVELS`."""
    app: str | None = None
    """Lines of the app, by its id or, where they have none, by the `appName` of their meta."""
    source: str | None = None
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    text: str | None = None
    """Part of the message; A to Z match a to z."""


class LogEntry(NamedTuple):
    """A line of the log."""

    id: int
    ts: datetime
    level: str
    source: str | None
    app: str | None
    """None also where the app has been deleted since, unless the line has its name in its meta."""
    message: str
    meta: Any
    """Value of `meta_json`; its text where that is not JSON."""
    key: PageKey
    """Key of the page that ends with this line."""


def list_(
    session: Session,
    filter_: LogFilter | None = None,
    *,
    limit: int = 100,
    after: PageKey | None = None,
) -> list[LogEntry]:
    r"""Return one page of lines, the newest first; those of one time by id.

    `after` is the `key` of the last line of the page before: the next page costs as much as the
    first. Within one day, times of the SQL format come after those of the ISO format, which is what
    both the handler and the Node core write. A byte that is no UTF-8 is shown as `\xff`. Raises
    `UnknownAppError`, and `StoredValueError` for a limit below 1 and a key that no line has.
    """
    check_page(limit, after=after)
    filter_ = filter_ or LogFilter()
    times = TimeRange(filter_.since, filter_.until)
    values: dict[str, Any] = {"limit": limit, **times.parameters(_LOGS.c.ts)}
    if filter_.levels:
        values["levels"] = list(filter_.levels)
    if filter_.app is not None:
        values |= {"app_id": apps.get_id(session, filter_.app), "app_name": filter_.app}
    if filter_.source is not None:
        values["source"] = filter_.source
    if filter_.text is not None:
        values["text"] = _like(filter_.text)
    if after is not None:
        values |= {"key_ts": after.time_text, "key_id": after.id}
    page, connection = _page(_shape(filter_, after)), connection_of(session)
    rows, _ = rows_of(session, lambda: connection.execute(page, values).all(), lossy)
    return [_entry(row) for row in rows]


def count_expired(
    session: Session, retention_days: int = RETENTION_DAYS, *, now: datetime | None = None
) -> int:
    """Return how many lines `purge` would delete; raises `LogSettingError`."""
    until = expiry(retention_days, now=now)
    if until is None:
        return 0
    expired = TimeRange(until=until).within(_LOGS.c.ts)
    number: int = connection_of(session).execute(_COUNT.where(expired)).scalar_one()
    return number


def purge(
    databases: Databases,
    retention_days: int = RETENTION_DAYS,
    *,
    now: datetime | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> int:
    """Delete lines older than so many days, and return how many; 0 days keeps all of them.

    It deletes a chunk per transaction, the oldest lines first, so that other writers wait for one
    chunk at most; what an interrupted run left, the next one deletes. Raises `LogSettingError`.
    """
    until = expiry(retention_days, now=now)
    if chunk_rows < 1:
        setting = "chunk_rows"
        raise LogSettingError(setting, chunk_rows, "a number of lines from 1")
    deleted = 0
    while until is not None:
        chunk = databases.global_session().run(_delete_before, until, limit=chunk_rows)
        deleted += chunk
        if chunk < chunk_rows:
            break
        time.sleep(_PAUSE_SECONDS)
    return deleted


def _delete_before(session: Session, until: datetime, *, limit: int) -> int:
    """Delete the oldest lines from before a time, `limit` at most, and return how many."""
    oldest = TimeRange(until=until)
    values = {"limit": limit, **oldest.parameters(_LOGS.c.ts)}
    return connection_of(session).execute(_DELETE_BEFORE, values).rowcount


def expiry(retention_days: int, *, now: datetime | None = None) -> datetime | None:
    """Return the time before which lines are not kept; None where all are.

    Raises `LogSettingError` for a number below 0.
    """
    if retention_days < 0:
        setting = "retention"
        raise LogSettingError(setting, retention_days, "a number of days, or 0 to keep all")
    try:
        return (now or utc_now()) - timedelta(days=retention_days) if retention_days else None
    except OverflowError:  # before the first year there are no lines
        return None


_COUNT: Final = sa.select(sa.func.count()).select_from(_LOGS)
_OLDEST: Final = (
    sa.select(_LOGS.c.id)
    .where(TimeRange(until=_ANY_TIME).within(_LOGS.c.ts))
    .order_by(_LOGS.c.ts)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_DELETE_BEFORE: Final = sa.delete(_LOGS).where(_LOGS.c.id.in_(_OLDEST))


class _Shape(NamedTuple):
    """Differences between statements; their values are parameters."""

    levels: bool
    app: bool
    source: bool
    since: bool
    until: bool
    text: bool
    after: bool


def _shape(filter_: LogFilter, after: PageKey | None) -> _Shape:
    return _Shape(
        bool(filter_.levels),
        filter_.app is not None,
        filter_.source is not None,
        filter_.since is not None,
        filter_.until is not None,
        filter_.text is not None,
        after is not None,
    )


@cache
def _page(shape: _Shape) -> sa.CompoundSelect[Any] | sa.Select[Any]:
    """Build the statement of a shape, once.

    The two kinds of lines of an app are read in the order of the index, each, and merged: by an OR
    SQLite would collect and sort all of them for one page.
    """
    if shape.app:
        by_id = _LOGS.c.app_id == sa.bindparam("app_id", type_=sa.Integer)
        by_name = names_app(sa.bindparam("app_name", type_=sa.Text))
        both = sa.union_all(_lines(shape, by_id), _lines(shape, by_name))
        ordered = both.order_by(sa.text("2 DESC"), sa.text("1 DESC"))  # both tables have an id
        return ordered.limit(sa.bindparam("limit", type_=sa.Integer))
    lines = _lines(shape, sa.true()).order_by(_LOGS.c.ts.desc(), _LOGS.c.id.desc())
    return lines.limit(sa.bindparam("limit", type_=sa.Integer))


def _lines(shape: _Shape, of_app: sa.ColumnElement[bool]) -> sa.Select[Any]:
    logs = _LOGS.c
    terms = [
        (shape.levels, logs.level.in_(sa.bindparam("levels", expanding=True, type_=sa.Text))),
        (shape.source, logs.source == sa.bindparam("source", type_=sa.Text)),
        (shape.text, _MESSAGE.like(without_case(sa.bindparam("text", type_=sa.Text)), escape="/")),
        (shape.after, sa.tuple_(logs.ts, logs.id) < sa.tuple_(*_KEY)),
    ]
    until = shape.until
    if shape.until and shape.after:
        # Of two upper bounds SQLite searches by one only: by the key's, which is the closer one.
        terms.append((True, comparable(logs.ts) < sa.bindparam("ts_until", type_=ComparableTime)))
        until = False
    times = TimeRange(_ANY_TIME if shape.since else None, _ANY_TIME if until else None)
    return (
        sa.select(*_SHOWN)
        .select_from(_LOGS.outerjoin(_APPS, _APPS.c.id == logs.app_id))
        .where(of_app, *(term for asked, term in terms if asked), times.within(logs.ts))
    )


_KEY: Final = (
    sa.bindparam("key_ts", type_=AsStored(_LOGS.c.ts.type)),
    sa.bindparam("key_id", type_=sa.Integer),
)
_MESSAGE: Final = without_case(_LOGS.c.message)
_SHOWN: Final = (
    _LOGS.c.id,
    as_stored(_LOGS.c.ts).label("ts"),
    *_LOGS.c["level", "source"],
    _APPS.c.name,
    _LOGS.c.message,
    as_stored(_LOGS.c.meta_json).label("meta_json"),
)


def _entry(row: Sequence[Any]) -> LogEntry:
    number, ts_text, level, source, app, message, meta_json = row
    key = PageKey(ts_text, number)
    meta = _meta(meta_json)
    if app is None and isinstance(meta, dict) and isinstance(meta.get("appName"), str):
        app = meta["appName"]
    return LogEntry(number, utc_from_text(ts_text), level, source, app, message, meta, key)


def _meta(stored: str | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        return None if stored is None else json_from_text(stored)
    except StoredValueError:
        return stored


def _like(text: str) -> str:
    """Return the LIKE pattern for a part of a text, in which `%` and `_` are no jokers."""
    escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"

"""Recordings in pages, and their number; `vods` offers both. Every session is the app's."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.app_db import VodStatus
from streamhub_orm.schema import TimeRange
from streamhub_orm.services.core import PageQuery, PointQuery, connection_of, rows_of
from streamhub_orm.services.paging import check_page
from streamhub_orm.services.vod_rows import RAW_VODS, VodRow, decoded, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from streamhub_orm.services.paging import PageKey

__all__ = ["VodFilter", "VodOrder", "count", "count_by_status", "list_"]

_ID: Final = RAW_VODS.c.id
_BEGUN: Final = RAW_VODS.c.started_at
_KEY_ID: Final = sa.bindparam("key_id", type_=sa.Integer)
_KEY_BEGUN: Final = sa.bindparam("key_begun", type_=sa.Text)
_BEHIND_PLUS: Final = {name: sa.literal_column(f"+{name}", sa.Text) for name in ("room", "status")}
_LIMIT: Final = sa.bindparam("limit", type_=sa.Integer)
_ANY_TIME: Final = datetime.fromtimestamp(0, UTC)
_OFFSET: Final = sa.bindparam("offset", type_=sa.Integer)


class VodOrder(StrEnum):
    """Order of a list.

    By `started_at`, recordings without one are the oldest, and equal ones go by id. Within one day
    times of the SQL format, which nothing in the field writes here, come before those of the ISO
    format: that is the order of the index, and of the Node core.
    """

    NEWEST = "-started_at"
    OLDEST = "started_at"
    ID_DESCENDING = "-id"
    ID_ASCENDING = "id"

    @property
    def by_time(self) -> bool:
        """True where `started_at` comes first."""
        return self in {VodOrder.NEWEST, VodOrder.OLDEST}

    @property
    def descending(self) -> bool:
        """True where the greatest comes first."""
        return self in {VodOrder.NEWEST, VodOrder.ID_DESCENDING}


@dataclass(frozen=True, slots=True)
class VodFilter:
    """Conditions on recordings, all of which must hold: `since` inclusive, `until` exclusive."""

    room: str | None = None
    status: VodStatus | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def times(self) -> TimeRange:
        """The range that `started_at` lies in."""
        return TimeRange(self.since, self.until)


class _Part(Enum):
    """Part of an order, which one statement reads."""

    ALL = auto()
    TIMES = auto()
    """All rows that have a time."""
    NULLS = auto()
    """All rows that have none."""
    AFTER_TIME = auto()
    """Rows after the key, up to those without a time in an order by time."""
    AFTER_NULL = auto()
    """Rows without a time, after the key."""


class _Shape(NamedTuple):
    """Differences between statements; their values are parameters."""

    room: bool
    status: bool
    since: bool
    until: bool
    order: VodOrder
    part: _Part
    large_room: bool


_LONGEST_PAGE: Final = 1000
_LARGE_ROOM: Final = 2000
"""So many recordings cost as much to sort as a page costs to find in the order of all rooms."""
# No index holds a room's recordings by time, and SQLite does not know how many there are.
_HAS_MORE: Final = PointQuery(
    sa.select(sa.literal_column("1", sa.Integer))
    .where(RAW_VODS.c.room == sa.bindparam("room"))
    .limit(sa.literal_column("1", sa.Integer))
    .offset(sa.bindparam("count", type_=sa.Integer)),
    "room",
    "count",
)


def list_(  # noqa: PLR0913 - each is one choice of the caller
    session: Session,
    filter_: VodFilter | None = None,
    *,
    order: VodOrder = VodOrder.ID_DESCENDING,
    limit: int = 200,
    after: PageKey | None = None,
    offset: int = 0,
) -> list[VodRow]:
    """Return one page of recordings: 200, or `limit`, which is 1 to 1000.

    `after` is the `key` of the last row of the page before: the next page costs as much as the
    first, and rows that come or go meanwhile neither repeat nor hide others. `offset` leaves so
    many rows out instead, at the price of walking over them. Raises `StoredValueError` where both
    are given, `limit` is out of its range or `offset` below 0, and for a key that no row has.
    """
    check_page(limit, most=_LONGEST_PAGE, after=after, offset=offset, untimed=True)
    filter_ = filter_ or VodFilter()
    values = _values(filter_, after) | {"offset": offset}
    large = (
        order.by_time
        and filter_.room is not None
        and _HAS_MORE.first(session, filter_.room, _LARGE_ROOM) is not None
    )
    rows: list[VodRow] = []
    for part in _parts(filter_, order, after):
        query = _page(_shape(filter_, order, part, large_room=large))
        values["limit"] = limit - len(rows)
        found, is_decoded = rows_of(session, partial(query.all, session, values), decoded)
        rows += made(found, is_decoded=is_decoded)
        if len(rows) == limit:
            break
    return rows


def count(session: Session, filter_: VodFilter | None = None) -> int:
    """Return how many recordings there are."""
    filter_ = filter_ or VodFilter()
    statement = _count(_shape(filter_, VodOrder.NEWEST, _Part.ALL))
    number: int = connection_of(session).execute(statement, _values(filter_, None)).scalar_one()
    return number


_COUNT_BY_STATUS: Final = sa.select(RAW_VODS.c.status, sa.func.count().label("rows")).group_by(
    RAW_VODS.c.status
)


def count_by_status(session: Session) -> dict[VodStatus, int]:
    """Return how many recordings are in each status, 0 included."""
    rows = connection_of(session).execute(_COUNT_BY_STATUS).all()
    found = {row.status: row.rows for row in rows}
    return {status: found.get(status, 0) for status in VodStatus}


def _parts(filter_: VodFilter, order: VodOrder, after: PageKey | None) -> tuple[_Part, ...]:
    """Return what follows a key. NULLs are the least, and no comparison with one holds."""
    if after is None:
        return (_Part.ALL,)
    if not order.by_time:
        return (_Part.AFTER_TIME,)
    if after.time_text is None:
        return (_Part.AFTER_NULL,) if order.descending else (_Part.AFTER_NULL, _Part.TIMES)
    if order.descending and filter_.since is None and filter_.until is None:
        return (_Part.AFTER_TIME, _Part.NULLS)
    return (_Part.AFTER_TIME,)


def _shape(filter_: VodFilter, order: VodOrder, part: _Part, *, large_room: bool = False) -> _Shape:
    return _Shape(
        filter_.room is not None,
        filter_.status is not None,
        filter_.since is not None,
        filter_.until is not None,
        order,
        part,
        large_room,
    )


def _values(filter_: VodFilter, after: PageKey | None) -> dict[str, Any]:
    values: dict[str, Any] = dict(filter_.times.parameters(_BEGUN))
    if filter_.room is not None:
        values["room"] = filter_.room
    if filter_.status is not None:
        values["status"] = VodStatus(filter_.status).value
    if after is not None:
        values |= {"key_begun": after.time_text, "key_id": after.id}
    return values


@cache
def _page(shape: _Shape) -> PageQuery:
    """Build the statement of a shape, once."""
    columns = _columns(shape.order)
    ordered = [column.desc() if shape.order.descending else column.asc() for column in columns]
    statement = sa.select(RAW_VODS).where(*_filter(shape), *_stretch(shape))
    return PageQuery(statement.order_by(*ordered).limit(_LIMIT).offset(_OFFSET))


@cache
def _count(shape: _Shape) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(RAW_VODS).where(*_filter(shape))


def _columns(order: VodOrder) -> tuple[sa.ColumnElement[Any], ...]:
    return (_BEGUN, _ID) if order.by_time else (_ID,)


def _filter(shape: _Shape) -> list[sa.ColumnElement[bool]]:
    """Return what a row must hold to be listed at all."""
    # Behind a plus SQLite searches no index by a column: a large room is picked out of all that lie
    # in order, a small one is searched for and sorted, whatever its status.
    room = _BEHIND_PLUS["room"] if shape.large_room else RAW_VODS.c.room
    status = _BEHIND_PLUS["status"] if shape.room and not shape.large_room else RAW_VODS.c.status
    terms: list[sa.ColumnElement[bool]] = []
    if shape.room:
        terms.append(room == sa.bindparam("room", type_=sa.Text))
    if shape.status:
        terms.append(status == sa.bindparam("status", type_=sa.Text))
    since = TimeRange(since=_ANY_TIME if shape.since else None)
    until = TimeRange(until=_ANY_TIME if shape.until else None)
    # The key bounds the text closer than the range's own end does, and of two bounds on one side
    # SQLite searches by one only, and walks from there.
    keyed = shape.order.by_time and shape.part is _Part.AFTER_TIME
    descending = shape.order.descending
    terms.append((since.refined if keyed and not descending else since.within)(_BEGUN))
    terms.append((until.refined if keyed and descending else until.within)(_BEGUN))
    return terms


def _stretch(shape: _Shape) -> list[sa.ColumnElement[bool]]:
    """Return what a row must hold to lie in the part of the order."""
    if shape.part is _Part.ALL:
        return []
    if shape.part is _Part.TIMES:
        return [_BEGUN.is_not(None)]
    if shape.part is _Part.NULLS:
        return [_BEGUN.is_(None)]
    beyond: Callable[[Any, Any], sa.ColumnElement[bool]]
    beyond = operator.lt if shape.order.descending else operator.gt
    if shape.part is _Part.AFTER_NULL:
        return [_BEGUN.is_(None), beyond(_ID, _KEY_ID)]
    if not shape.order.by_time:
        return [beyond(_ID, _KEY_ID)]
    return [beyond(sa.tuple_(_BEGUN, _ID), sa.tuple_(_KEY_BEGUN, _KEY_ID))]

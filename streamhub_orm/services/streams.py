"""Streams: publishers that are, or were, live in an app. Every session is the app's.

A stream is known by `<room>/<participant>` and is one row however often its publisher comes back.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from streamhub_orm.app_db import Stream, StreamType
from streamhub_orm.databases.sessions import APP_ID, owner_of_new_row
from streamhub_orm.errors import StoredValueError
from streamhub_orm.schema import UtcSql, utc_now
from streamhub_orm.services.core import PointQuery, connection_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "Reconciled",
    "count_active",
    "end",
    "end_by_id",
    "find",
    "list_active",
    "reconcile",
    "stop",
    "update_stats",
    "upsert",
]

_STREAMS: Final = table_of(Stream)
_IS_ACTIVE: Final = _STREAMS.c.status == sa.literal_column("'active'")


_NEW: Final = ("app_id", "stream_id", "type", "room", "participant", "started_at")


def _upsert_query() -> PointQuery:
    new = insert(_STREAMS).values({name: sa.bindparam(name) for name in _NEW})
    is_webrtc = new.excluded.type == sa.literal_column("'webrtc'")
    statement = new.on_conflict_do_update(
        index_elements=[_STREAMS.c.stream_id],
        set_={
            # Behind every other way in stands a WebRTC participant too, so webrtc says nothing new.
            "type": sa.case((is_webrtc, _STREAMS.c.type), else_=new.excluded.type),
            "room": new.excluded.room,
            "participant": new.excluded.participant,
            "status": sa.literal_column("'active'"),
            "ended_at": sa.null(),
        },
    )
    return PointQuery(statement.returning(_STREAMS.c.id), *_NEW)


_UPSERT: Final = _upsert_query()
_END: Final = (
    sa.update(_STREAMS)
    .where(_IS_ACTIVE)
    .values(status=sa.literal_column("'ended'"), ended_at=sa.bindparam("now"))
)
_END_BY_STREAM_ID: Final = PointQuery(
    _END.where(_STREAMS.c.stream_id == sa.bindparam("stream_id_")).returning(_STREAMS.c.id),
    "now",
    "stream_id_",
)
_END_BY_ID: Final = PointQuery(
    _END.where(_STREAMS.c.id == sa.bindparam("id_")).returning(_STREAMS.c.id), "now", "id_"
)
_STOP: Final = PointQuery(
    sa.update(_STREAMS)
    .where(_STREAMS.c.stream_id == sa.bindparam("stream_id_"))
    .values(status=sa.literal_column("'ended'"), ended_at=sa.bindparam("now"))
    .returning(_STREAMS.c.id),
    "now",
    "stream_id_",
)
_MISSING: Final = (
    sa.func.json_each(sa.bindparam("missing", type_=sa.Text)).table_valued("value").alias("missing")
)
_END_MISSING: Final = _END.where(_STREAMS.c.id.in_(sa.select(_MISSING.c.value)))
# Cameras come over a WebSocket and are in no room of the media server's; and its list may be older
# than a publisher who has just come.
_IS_SPARED: Final = sa.or_(
    _STREAMS.c.type == sa.literal_column("'ws-mjpeg'"),
    sa.func.datetime(_STREAMS.c.started_at, type_=UtcSql) > sa.bindparam("settled", type_=UtcSql),
)
_SETTLING: Final = timedelta(seconds=15)
_ACTIVE: Final = sa.select(
    _STREAMS.c.id, _STREAMS.c.stream_id, _STREAMS.c.room, _IS_SPARED.label("is_spared")
).where(_IS_ACTIVE)
_SET_STATS: Final = PointQuery(
    sa.update(_STREAMS)
    .where(_STREAMS.c.stream_id == sa.bindparam("stream_id_"))
    .values(last_stats_json=sa.bindparam("stats"))
    .returning(_STREAMS.c.id),
    "stats",
    "stream_id_",
)
_COUNT_ACTIVE: Final = sa.select(sa.func.count()).select_from(_STREAMS).where(_IS_ACTIVE)
_FIND: Final = sa.select(Stream).where(Stream.stream_id == sa.bindparam("stream_id_"))
_LIST_ACTIVE: Final = (
    sa.select(Stream)
    .where(Stream.status == sa.literal_column("'active'"))
    .order_by(Stream.started_at, Stream.id)
    .execution_options(populate_existing=True)
)
_LIST_ACTIVE_IN_ROOM: Final = _LIST_ACTIVE.where(Stream.room == sa.bindparam("room_"))


class Reconciled(NamedTuple):
    """Differences between the rows of a room and the room itself; stream ids, sorted."""

    ended: list[str]
    """Active rows whose participant had left; they are ended now."""
    unknown: list[str]
    """Participants without an active row; their type is not known: upsert them."""


def _stream_id(room: str, participant: str) -> str:
    """Return the canonical id of a publisher in a room."""
    return f"{room}/{participant}"


def upsert(  # noqa: PLR0913 - what a row is made of
    session: Session,
    *,
    room: str,
    participant: str,
    type: StreamType,  # noqa: A002 - the column's name
    app_id: int | None = None,
    now: datetime | None = None,
) -> int:
    """Make the stream active, new or not, and return its row's id, which it keeps for good.

    One that comes back keeps its `started_at`, the time it was first seen, loses its `ended_at`,
    and keeps its type where the new one is webrtc only: a WHIP or RTMP publisher also shows as a
    WebRTC participant. Objects of it that the session has loaded stay as they are.

    `app_id` is that of the session's app; another one raises `StrayRowError`. An empty room or
    participant and an invalid type raise `StoredValueError`.
    """
    for name, part in (("room", room), ("participant", participant)):
        if not part:
            expected = f"a {name} that is not empty"
            raise StoredValueError(expected, part)
    stream_id = _stream_id(room, participant)
    app_id = owner_of_new_row(session, APP_ID, app_id, stream_id)
    row = _UPSERT.first(session, app_id, stream_id, type, room, participant, now or utc_now())
    return cast("tuple[int]", row)[0]


def end(session: Session, stream_id: str, *, now: datetime | None = None) -> bool:
    """End an active stream; tell whether there was one. An ended one keeps its `ended_at`."""
    return _END_BY_STREAM_ID.first(session, now or utc_now(), stream_id) is not None


def stop(session: Session, stream_id: str, *, now: datetime | None = None) -> bool:
    """End a stream at an operator's wish; tell whether there is one. Its `ended_at` is set anew."""
    return _STOP.first(session, now or utc_now(), stream_id) is not None


def end_by_id(session: Session, row_id: int, *, now: datetime | None = None) -> bool:
    """End an active stream by its row's id; tell whether there was one."""
    return _END_BY_ID.first(session, now or utc_now(), row_id) is not None


def reconcile(
    session: Session, room: str, present: Iterable[str], *, now: datetime | None = None
) -> Reconciled:
    """End the room's active streams whose participants are not `present`; say what differed.

    As in the Node core, streams of type ws-mjpeg are never ended here, nor those that began less
    than 15 s ago. Do not call it for a room that could not be listed. Two statements, however many
    participants there are. Ids are compared here: SQLite's functions would cut one at a NUL, and
    half a surrogate pair cannot be bound.
    """
    wanted = {_stream_id(room, participant) for participant in present}
    connection = connection_of(session)
    now = now or utc_now()
    active = connection.execute(_ACTIVE, {"settled": now - _SETTLING}).all()
    missing = {
        row.id: row.stream_id
        for row in active
        if row.room == room and not row.is_spared and row.stream_id not in wanted
    }
    if missing:
        values = {"missing": json.dumps(list(missing)), "now": now}
        connection.execute(_END_MISSING, values)
    return Reconciled(sorted(missing.values()), sorted(wanted - {row.stream_id for row in active}))


def find(session: Session, stream_id: str) -> Stream | None:
    """Return the stream of `<room>/<participant>`, active or ended."""
    return session.scalars(_FIND, {"stream_id_": stream_id}).one_or_none()


def list_active(session: Session, *, room: str | None = None) -> list[Stream]:
    """Return the active streams, of one room or all, the longest running first.

    Objects that the session has loaded before are refreshed.
    """
    if room is None:
        return list(session.scalars(_LIST_ACTIVE))
    return list(session.scalars(_LIST_ACTIVE_IN_ROOM, {"room_": room}))


def update_stats(session: Session, stream_id: str, stats: dict[str, Any]) -> bool:
    """Keep the latest figures of a stream; tell whether there is such a stream."""
    return _SET_STATS.first(session, stats, stream_id) is not None


def count_active(session: Session) -> int:
    """Return how many streams of the app are active."""
    number: int = connection_of(session).execute(_COUNT_ACTIVE).scalar_one()
    return number

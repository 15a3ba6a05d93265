"""Restream targets: platforms that a room is sent on to. Every session is the app's.

    starting -> active -> failed -> starting (three times at most)
        any of them -> stopped

The URL of a target holds the platform's stream key. No row that leaves this module has it: only
`get_url` returns it, to the process that sends the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import sqlalchemy as sa

from streamhub_orm.app_db import RestreamStatus, RestreamTarget
from streamhub_orm.errors import (
    TargetExistsError,
    TargetStateError,
    TooManyTargetsError,
    UnknownTargetError,
)
from streamhub_orm.schema import member_of, utc_now
from streamhub_orm.services.core import connection_of, table_of
from streamhub_orm.services.restream_urls import PRESETS, mask_url, target_url, without_secrets

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "MOST_OF_A_ROOM",
    "PRESETS",
    "RETRY_SECONDS",
    "Followed",
    "TargetRow",
    "create",
    "delete",
    "find_by_egress",
    "follow_egress",
    "get",
    "get_url",
    "list_",
    "record_retry",
    "set_egress",
    "set_status",
]

_TABLE: Final = table_of(RestreamTarget)
_ENDED_TYPE: Final = _TABLE.c.ended_at.type
MOST_OF_A_ROOM: Final = 10
"""Targets of one room that are starting or active, at most."""
RETRY_SECONDS: Final = (5, 10, 20)
"""Pauses before the relaunches of a target whose sending has failed; after the last it stays so."""

_STARTING, _ACTIVE, _FAILED, _STOPPED = RestreamStatus
_OVER: Final = frozenset({_FAILED, _STOPPED})
_SOURCES: Final = {
    _STARTING: frozenset[RestreamStatus](),
    _ACTIVE: frozenset({_STARTING}),
    _FAILED: frozenset({_STARTING, _ACTIVE}),
    _STOPPED: frozenset({_STARTING, _ACTIVE, _FAILED}),
}
"""For each status, those that `set_status` takes a target from."""
_OF_EGRESS: Final = {
    "EGRESS_ACTIVE": _ACTIVE,
    "EGRESS_COMPLETE": _STOPPED,
    "EGRESS_ABORTED": _STOPPED,
    "EGRESS_FAILED": _FAILED,
    "EGRESS_LIMIT_REACHED": _FAILED,
}
"""What a status of the media server's egress makes of its target."""


class TargetRow(NamedTuple):
    """A target without its URL; fit for logs and JSON."""

    id: int
    app: str
    room: str
    stream_id: str | None
    name: str | None
    platform: str
    url_masked: str
    egress_id: str | None
    status: RestreamStatus
    error: str | None
    retries: int
    started_at: datetime
    ended_at: datetime | None


class Followed(NamedTuple):
    """Target of an egress that has changed its status."""

    target: TargetRow
    retry_after_seconds: int | None
    """Pause after which the sending is to be relaunched, and `record_retry` called; or None."""


_SHOWN: Final = [_TABLE.c[name] for name in TargetRow._fields]
_BY_ID: Final = _TABLE.c.id == sa.bindparam("id_")
_SELECT: Final = sa.select(*_SHOWN)
_GET: Final = _SELECT.where(_BY_ID)
_GET_URL: Final = sa.select(_TABLE.c.url).where(_BY_ID)
_BY_EGRESS: Final = _SELECT.where(_TABLE.c.egress_id == sa.bindparam("egress_id_")).order_by(
    _TABLE.c.id.desc()
)
_IN_USE: Final = sa.select(_TABLE.c.id, _TABLE.c.url).where(
    _TABLE.c.room == sa.bindparam("room_"), _TABLE.c.status.in_([_STARTING, _ACTIVE])
)


def create(  # noqa: PLR0913 - what a row is made of
    session: Session,
    *,
    room: str,
    url: str | None = None,
    key: str | None = None,
    app: str | None = None,
    platform: str = "custom",
    name: str | None = None,
    stream_id: str | None = None,
    egress_id: str | None = None,
    now: datetime | None = None,
) -> TargetRow:
    """Add a target in status `starting`.

    `platform` is one of `PRESETS`, with the stream key, or `url` says where; a key is appended to
    either. Raises `TargetExistsError` where the room is sent to this URL already,
    `TooManyTargetsError` beyond `MOST_OF_A_ROOM`, and `StoredValueError` for a key with a space or
    a slash and where nothing says where. `app` is the session's app; another one raises
    `StrayRowError`.
    """
    url = target_url(platform, url, key)
    in_use = connection_of(session).execute(_IN_USE, {"room_": room}).all()
    same = next((row.id for row in in_use if row.url == url), None)
    if same is not None:
        raise TargetExistsError(same)
    if len(in_use) >= MOST_OF_A_ROOM:
        raise TooManyTargetsError(len(in_use), MOST_OF_A_ROOM)
    target = RestreamTarget(
        app=app,
        room=room,
        stream_id=stream_id,
        name=name,
        platform=platform,
        url=url,
        url_masked=mask_url(url),
        egress_id=egress_id,
        status=RestreamStatus.STARTING,
        started_at=now or utc_now(),
    )
    session.add(target)
    session.flush()
    return get(session, target.id)


def get(session: Session, target_id: int) -> TargetRow:
    """Return a target; raises `UnknownTargetError`."""
    return _made(target_id, connection_of(session).execute(_GET, {"id_": target_id}).first())


def get_url(session: Session, target_id: int) -> str:
    """Return the full URL, a secret: for the process that sends the stream, and nobody else."""
    found = connection_of(session).execute(_GET_URL, {"id_": target_id}).scalar_one_or_none()
    if found is None:
        raise UnknownTargetError(target_id)
    return cast("str", found)


def find_by_egress(session: Session, egress_id: str) -> TargetRow | None:
    """Return the target that an egress of the media server sends to, the newest if several."""
    found = connection_of(session).execute(_BY_EGRESS, {"egress_id_": egress_id}).first()
    return None if found is None else TargetRow._make(found)


def list_(
    session: Session, *, room: str | None = None, status: RestreamStatus | None = None
) -> list[TargetRow]:
    """Return the app's targets in the order they were added; of one room or status where given."""
    statement = _SELECT.order_by(_TABLE.c.id)
    if room is not None:
        statement = statement.where(_TABLE.c.room == room)
    if status is not None:
        statement = statement.where(_TABLE.c.status == status)
    return [TargetRow._make(row) for row in connection_of(session).execute(statement)]


def set_egress(session: Session, target_id: int, egress_id: str | None) -> TargetRow:
    """Note which egress sends to the target; raises `UnknownTargetError`."""
    return _made(target_id, _update(session, target_id, sa.true(), {"egress_id": egress_id}))


def set_status(
    session: Session,
    target_id: int,
    status: RestreamStatus,
    *,
    error: str | None = None,
    now: datetime | None = None,
) -> TargetRow:
    """Set how the sending goes, with the reason where it failed.

    `failed` and `stopped` end the target; `stopped` is final, `failed` may be relaunched and
    stopped. The URL and its parts are hidden in `error`. Raises `UnknownTargetError`, and
    `TargetStateError` for another move, with nothing changed.
    """
    to = member_of(RestreamStatus, status)
    row = _move(session, target_id, to, _SOURCES[to], error=error, now=now)
    if row is None:
        found = get(session, target_id).status
        raise TargetStateError(target_id, found, f"a status that leads to {to}")
    return row


def follow_egress(
    session: Session, egress_id: str, status: str, *, now: datetime | None = None
) -> Followed | None:
    """Do what a status of its egress means for a target; None where no target has this egress.

    EGRESS_ACTIVE is active, EGRESS_FAILED failed and to be relaunched, EGRESS_LIMIT_REACHED failed
    for good, EGRESS_COMPLETE and EGRESS_ABORTED are stopped, unless it has failed. Any other
    status, and one that comes a second time or late, changes nothing.
    """
    target = find_by_egress(session, egress_id)
    to = _OF_EGRESS.get(status)
    if target is None or to is None:
        return None if target is None else Followed(target, None)
    error = f"egress {status.lower()}" if to is _FAILED else None
    row = _move(session, target.id, to, _SOURCES[to] - {_FAILED}, error=error, now=now)
    if row is None:
        return Followed(target, None)
    is_retried = status == "EGRESS_FAILED" and row.retries < len(RETRY_SECONDS)
    return Followed(row, RETRY_SECONDS[row.retries] if is_retried else None)


def record_retry(session: Session, target_id: int, egress_id: str | None) -> TargetRow:
    """Count one more relaunch of a target that has failed, by a new egress; it is `starting`.

    Raises `UnknownTargetError`, and `TargetStateError` for another status and beyond the third.
    """
    values = {
        "status": _STARTING,
        "egress_id": egress_id,
        "retries": _TABLE.c.retries + 1,
        "error": None,
        "ended_at": None,
    }
    may_be = (_TABLE.c.status == _FAILED) & (_TABLE.c.retries < len(RETRY_SECONDS))
    row = _update(session, target_id, may_be, values)
    if row is None:
        found = get(session, target_id)
        expected = f"failed, and relaunched less than {len(RETRY_SECONDS)} times"
        raise TargetStateError(target_id, f"{found.status} after {found.retries}", expected)
    return row


def delete(session: Session, target_id: int) -> None:
    """Delete a target and its URL; raises `UnknownTargetError`."""
    deleted = connection_of(session).execute(sa.delete(_TABLE).where(_BY_ID), {"id_": target_id})
    if deleted.rowcount == 0:
        raise UnknownTargetError(target_id)


def _move(  # noqa: PLR0913 - what a move is made of
    session: Session,
    target_id: int,
    to: RestreamStatus,
    sources: frozenset[RestreamStatus],
    *,
    error: str | None,
    now: datetime | None,
) -> TargetRow | None:
    """Move a target from one of the statuses to another; None where it has none of them."""
    ended_at: Any = None
    if to in _OVER:
        ended_at = sa.func.coalesce(_TABLE.c.ended_at, sa.literal(now or utc_now(), _ENDED_TYPE))
    if error is not None:
        error = without_secrets(error, get_url(session, target_id))
    values = {"status": to, "error": error, "ended_at": ended_at}
    return _update(session, target_id, _TABLE.c.status.in_(sorted(sources)), values)


def _update(
    session: Session, target_id: int, condition: sa.ColumnElement[bool], values: dict[str, Any]
) -> TargetRow | None:
    statement = sa.update(_TABLE).where(_BY_ID, condition).values(values).returning(*_SHOWN)
    row = connection_of(session).execute(statement, {"id_": target_id}).first()
    return None if row is None else TargetRow._make(row)


def _made(target_id: int, row: Any | None) -> TargetRow:  # noqa: ANN401 - a row of either kind
    if row is None:
        raise UnknownTargetError(target_id)
    return TargetRow._make(row)

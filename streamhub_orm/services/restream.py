"""Restream targets: platforms that a room is sent on to. Every session is the app's.

The URL of a target holds the platform's stream key. No row that leaves this module has it: only
`get_url` returns it, to the process that sends the stream.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import unquote

import sqlalchemy as sa

from streamhub_orm.app_db import RestreamStatus, RestreamTarget
from streamhub_orm.errors import UnknownTargetError
from streamhub_orm.schema import utc_now
from streamhub_orm.services.core import connection_of, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "TargetRow",
    "create",
    "delete",
    "find_by_egress",
    "get",
    "get_url",
    "list_",
    "record_retry",
    "set_egress",
    "set_status",
]

_TABLE: Final = table_of(RestreamTarget)
_ENDED_TYPE: Final = _TABLE.c.ended_at.type
_OVER: Final = frozenset({RestreamStatus.FAILED, RestreamStatus.STOPPED})

_HIDDEN: Final = "***"

_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<credentials>[^/?#@\\]*@)?"
    r"(?P<address>(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)(?P<rest>[/?#][^@]*)?",
    re.ASCII | re.IGNORECASE,
)
_BETWEEN_PARTS: Final = re.compile(r"[/?#&=;:@,\s]+")
_SHORTEST_SECRET: Final = 6
"""A shorter part of a URL, such as `live`, is no key, but may well be a word of a message."""


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


_SHOWN: Final = [_TABLE.c[name] for name in TargetRow._fields]
_BY_ID: Final = _TABLE.c.id == sa.bindparam("id_")
_SELECT: Final = sa.select(*_SHOWN)
_GET: Final = _SELECT.where(_BY_ID)
_GET_URL: Final = sa.select(_TABLE.c.url).where(_BY_ID)
_BY_EGRESS: Final = _SELECT.where(_TABLE.c.egress_id == sa.bindparam("egress_id_")).order_by(
    _TABLE.c.id.desc()
)


def create(  # noqa: PLR0913 - what a row is made of
    session: Session,
    *,
    room: str,
    url: str,
    app: str | None = None,
    platform: str = "custom",
    name: str | None = None,
    stream_id: str | None = None,
    egress_id: str | None = None,
    now: datetime | None = None,
) -> TargetRow:
    """Add a target in status `starting`; `url` is the full one, with its key.

    `app` is the session's app; another one raises `StrayRowError`.
    """
    target = RestreamTarget(
        app=app,
        room=room,
        stream_id=stream_id,
        name=name,
        platform=platform,
        url=url,
        url_masked=_mask_url(url),
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
    return _update(session, target_id, egress_id=egress_id)


def set_status(
    session: Session,
    target_id: int,
    status: RestreamStatus,
    *,
    error: str | None = None,
    now: datetime | None = None,
) -> TargetRow:
    """Set how the sending goes, with the reason where it failed; raises `UnknownTargetError`.

    `failed` and `stopped` end the target, the first time they are set; any other status opens it
    again. The URL and its parts are hidden in `error`.
    """
    ended_at: Any = None
    if status in _OVER:
        ended_at = sa.func.coalesce(_TABLE.c.ended_at, sa.literal(now or utc_now(), _ENDED_TYPE))
    if error is not None:
        error = _without_secrets(error, get_url(session, target_id))
    return _update(session, target_id, status=status, error=error, ended_at=ended_at)


def record_retry(session: Session, target_id: int) -> TargetRow:
    """Count one more attempt and set the target to `starting`; raises `UnknownTargetError`."""
    starting = {"status": RestreamStatus.STARTING, "ended_at": None}
    return _update(session, target_id, retries=_TABLE.c.retries + 1, **starting)


def delete(session: Session, target_id: int) -> None:
    """Delete a target and its URL; raises `UnknownTargetError`."""
    deleted = connection_of(session).execute(sa.delete(_TABLE).where(_BY_ID), {"id_": target_id})
    if deleted.rowcount == 0:
        raise UnknownTargetError(target_id)


def _update(session: Session, target_id: int, **values: Any) -> TargetRow:  # noqa: ANN401 - values and expressions
    statement = sa.update(_TABLE).where(_BY_ID).values(values).returning(*_SHOWN)
    return _made(target_id, connection_of(session).execute(statement, {"id_": target_id}).first())


def _made(target_id: int, row: sa.Row[Any] | None) -> TargetRow:
    if row is None:
        raise UnknownTargetError(target_id)
    return TargetRow._make(row)


def _mask_url(url: str) -> str:
    """Return scheme, host and port; everything else may be, or hold, a stream key and is hidden.

    `rtmp://live.example.com:1935/app/key?token=x` becomes `rtmp://live.example.com:1935/***`. What
    is not plainly a URL with a host is hidden as a whole.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return _HIDDEN
    shown = f"{match['scheme']}://{match['address']}"
    hides = match["credentials"] or (match["rest"] or "").strip("/")
    return f"{shown}/{_HIDDEN}" if hides else shown


def _without_secrets(text: str, url: str) -> str:
    """Return a message in which the URL, and what `_mask_url` hides of it, is hidden.

    Media servers and encoders like to repeat the URL in their errors, whole or in part.
    """
    shown = _BETWEEN_PARTS.split(_mask_url(url))
    parts = {part for part in _BETWEEN_PARTS.split(url) if part not in shown}
    parts |= {unquote(part) for part in parts}
    secrets = [url, *(part for part in parts if len(part) >= _SHORTEST_SECRET)]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text

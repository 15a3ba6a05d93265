"""Where rooms are sent on to. Every session is the app's.

The URL of a target holds the platform's stream key. No row that leaves this module has it: only
`get_target_url` returns it, to whoever sends the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import sqlalchemy as sa

from streamhub_orm.app_db import RestreamStatus, RestreamTarget
from streamhub_orm.errors import UnknownTargetError
from streamhub_orm.schema import utc_now
from streamhub_orm.services.core import connection_of, table_of
from streamhub_orm.services.secret_urls import mask_url, without_secrets

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

_TABLE: Final = table_of(RestreamTarget)
_ENDED_TYPE: Final = _TABLE.c.ended_at.type
_OVER: Final = frozenset({RestreamStatus.FAILED, RestreamStatus.STOPPED})


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


def add_target(  # noqa: PLR0913 - what a row is made of
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
        url_masked=mask_url(url),
        egress_id=egress_id,
        status=RestreamStatus.STARTING,
        started_at=now or utc_now(),
    )
    session.add(target)
    session.flush()
    return get_target(session, target.id)


def get_target(session: Session, target_id: int) -> TargetRow:
    """Return a target; raises `UnknownTargetError`."""
    return _made(target_id, connection_of(session).execute(_GET, {"id_": target_id}).first())


def get_target_url(session: Session, target_id: int) -> str:
    """Return the full URL, a secret: for the process that sends the stream, and nobody else."""
    found = connection_of(session).execute(_GET_URL, {"id_": target_id}).scalar_one_or_none()
    if found is None:
        raise UnknownTargetError(target_id)
    return cast("str", found)


def find_target_by_egress(session: Session, egress_id: str) -> TargetRow | None:
    """Return the target that an egress of the media server sends to, the newest if several."""
    found = connection_of(session).execute(_BY_EGRESS, {"egress_id_": egress_id}).first()
    return None if found is None else TargetRow._make(found)


def list_targets(
    session: Session, *, room: str | None = None, status: RestreamStatus | None = None
) -> list[TargetRow]:
    """Return the app's targets in the order they were added; of one room or status where given."""
    statement = _SELECT.order_by(_TABLE.c.id)
    if room is not None:
        statement = statement.where(_TABLE.c.room == room)
    if status is not None:
        statement = statement.where(_TABLE.c.status == status)
    return [TargetRow._make(row) for row in connection_of(session).execute(statement)]


def set_target_egress(session: Session, target_id: int, egress_id: str | None) -> TargetRow:
    """Note which egress sends to the target; raises `UnknownTargetError`."""
    return _update(session, target_id, egress_id=egress_id)


def set_target_status(
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
        error = without_secrets(error, get_target_url(session, target_id))
    return _update(session, target_id, status=status, error=error, ended_at=ended_at)


def count_target_retry(session: Session, target_id: int) -> TargetRow:
    """Count one more attempt and set the target to `starting`; raises `UnknownTargetError`."""
    starting = {"status": RestreamStatus.STARTING, "ended_at": None}
    return _update(session, target_id, retries=_TABLE.c.retries + 1, **starting)


def delete_target(session: Session, target_id: int) -> None:
    """Forget a target and its URL; raises `UnknownTargetError`."""
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

"""Recordings: made, listed, changed, moved from status to status, deleted.

Every session is the app's.

    recording -> uploading -> ready
         |         |  ^
         +-> failed <-+

`failed` may be uploaded again; its row and its file stay. No other move is legal, and none to the
status that a recording has: of two workers that claim an upload, one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

import sqlalchemy as sa

from streamhub_orm.app_db import Vod, VodStatus
from streamhub_orm.errors import UnknownVodError, VodFieldError, VodStateError
from streamhub_orm.schema import member_of, utc_now
from streamhub_orm.services import variants
from streamhub_orm.services.core import PointQuery, get_row
from streamhub_orm.services.paging import PageKey
from streamhub_orm.services.vod_listing import VodFilter, VodOrder, count, count_by_status, list_
from streamhub_orm.services.vod_rows import RAW_VODS, VodChanges, VodFields, VodRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "DeletedVod",
    "PageKey",
    "VodChanges",
    "VodFields",
    "VodFilter",
    "VodOrder",
    "VodRow",
    "count",
    "count_by_status",
    "create",
    "delete",
    "find_by_egress",
    "find_in_progress",
    "get",
    "list_",
    "set_status",
    "update",
]

_SOURCES: Final = {
    VodStatus.RECORDING: frozenset[VodStatus](),
    VodStatus.UPLOADING: frozenset({VodStatus.RECORDING, VodStatus.FAILED}),
    VodStatus.READY: frozenset({VodStatus.UPLOADING}),
    VodStatus.FAILED: frozenset({VodStatus.RECORDING, VodStatus.UPLOADING}),
}
"""For each status, those that a recording may come from."""


_ALLOWED: Final = frozenset(VodChanges.__annotations__)

# The condition of idx_vods_egress, as Vod.written_by_egress states it.
_BY_EGRESS: Final = PointQuery(
    sa.select(RAW_VODS)
    .where(
        sa.func.json_valid(RAW_VODS.c.metatags_json),
        sa.func.json_extract(RAW_VODS.c.metatags_json, sa.literal_column("'$.egressId'"))
        == sa.bindparam("egress_id"),
    )
    .order_by(RAW_VODS.c.id.desc()),
    "egress_id",
)
# The condition of idx_vods_stream_in_progress, as Vod.in_progress states it.
_IN_PROGRESS: Final = PointQuery(
    sa.select(RAW_VODS)
    .where(
        RAW_VODS.c.stream_id == sa.bindparam("stream_id_"),
        RAW_VODS.c.status.in_([sa.literal_column("'recording'"), sa.literal_column("'uploading'")]),
    )
    .order_by(RAW_VODS.c.id.desc()),
    "stream_id_",
)
_BY_ID: Final = PointQuery(sa.select(RAW_VODS).where(RAW_VODS.c.id == sa.bindparam("id_")), "id_")


@dataclass(frozen=True, slots=True)
class DeletedVod:
    """Files that a deleted recording leaves behind, for the caller to delete."""

    object_keys: tuple[str, ...]
    """Keys in the object store: its file and its snapshot, then its variants and their segments.

    A store adds the app's prefix where a key lacks it.
    """
    local_path: str | None
    """Path of its local file, whose snapshot lies in the app's folder as `snapshots/<base>.jpg`."""


def create(
    session: Session,
    *,
    name: str,
    app_id: int | None = None,
    stream_id: str | None = None,
    now: datetime | None = None,
    **fields: Unpack[VodFields],
) -> VodRow:
    """Add a recording in status `recording`, begun `now` unless `started_at` says otherwise.

    `stream_id` is the room where it is not given. `recordings` makes names and metatags. `app_id`
    is that of the session's app; another one raises `StrayRowError`. Raises `VodFieldError` for a
    column that is not in `VodFields`.
    """
    _check(fields)
    stream_id = fields.get("room") if stream_id is None else stream_id
    values = {"started_at": now or utc_now(), **fields}
    vod = Vod(app_id=app_id, name=name, stream_id=stream_id, status=VodStatus.RECORDING, **values)
    session.add(vod)
    session.flush()
    return get(session, vod.id)


def get(session: Session, vod_id: int) -> VodRow:
    """Return a recording; raises `UnknownVodError`."""
    found = _find(session, _BY_ID, vod_id)
    if found is None:
        raise UnknownVodError(vod_id)
    return found


def find_by_egress(session: Session, egress_id: str) -> VodRow | None:
    """Return the recording that an egress of the media server writes, the newest if several."""
    return _find(session, _BY_EGRESS, egress_id)


def find_in_progress(session: Session, stream_id: str) -> VodRow | None:
    """Return the stream's recording in progress: recorded or uploaded, of the highest id."""
    return _find(session, _IN_PROGRESS, stream_id)


def _find(session: Session, query: PointQuery, key: str | int) -> VodRow | None:
    row = query.first(session, key)
    return None if row is None else VodRow._make(row)


def update(session: Session, vod_id: int, /, **changes: Unpack[VodChanges]) -> None:
    """Change a recording; raises `VodFieldError` for a column that is not in `VodChanges`.

    Raises `UnknownVodError` where there is no such recording.
    """
    _check(changes)
    if _update(session, vod_id, sa.true(), dict(changes)) == 0:
        raise UnknownVodError(vod_id)


def set_status(
    session: Session,
    vod_id: int,
    to: VodStatus,
    /,
    *,
    now: datetime | None = None,
    **changes: Unpack[VodChanges],
) -> None:
    """Move a recording to a status, and change it in the same statement.

    Where it leaves `recording`, it has ended `now`, unless `ended_at` says otherwise. Raises
    `VodStateError` where the move is not legal, with nothing changed, `UnknownVodError` where there
    is no such recording, and `StoredValueError` for an invalid status. Of two that try the same
    move at once, one succeeds.
    """
    _check(changes)
    to = member_of(VodStatus, to)
    comes_from = Vod.status.in_(sorted(_SOURCES[to]))
    values: dict[str, Any] = {**changes, "status": to}
    if VodStatus.RECORDING in _SOURCES[to]:
        end = sa.literal(now or utc_now(), Vod.ended_at.type)
        values.setdefault("ended_at", sa.func.coalesce(Vod.ended_at, end))
    if _update(session, vod_id, comes_from, values) == 0:
        found = get(session, vod_id).status
        raise VodStateError(vod_id, found, to, _SOURCES[to])


def _update(
    session: Session, vod_id: int, condition: sa.ColumnElement[bool], values: dict[str, Any]
) -> int:
    """Update by the session, which brings objects that it has loaded up to date."""
    if not values:
        return session.scalar(sa.select(sa.func.count()).where(Vod.id == vod_id)) or 0
    statement = sa.update(Vod).where(Vod.id == vod_id, condition).values(values)
    return cast("sa.CursorResult[Any]", session.execute(statement)).rowcount


def delete(session: Session, vod_id: int) -> DeletedVod:
    """Delete a recording and its variants; return what is left of it outside the database.

    Raises `UnknownVodError`, and `StoredValueError` where a variant does not say what its segments
    are, or names one outside of the app's prefix; then nothing is deleted.
    """
    vod = get_row(session, Vod, vod_id, UnknownVodError)
    keys = [vod.file_key, vod.snapshot_key, *variants.delete_all(session, vod_id)]
    session.delete(vod)
    session.flush()
    return DeletedVod(tuple(dict.fromkeys(key for key in keys if key)), vod.local_path)


def _check(changes: VodFields) -> None:
    refused = changes.keys() - _ALLOWED
    if refused:
        raise VodFieldError(refused, _ALLOWED)

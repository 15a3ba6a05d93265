"""A recording as it is read in numbers: the stored values, decoded when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.app_db import VodStatus
from streamhub_orm.schema import json_from_text, utc_from_text

if TYPE_CHECKING:
    from datetime import datetime


class PageKey(NamedTuple):
    """Where a page of recordings ends, and the next one begins; two values that JSON can hold."""

    started_at_text: str | None
    id: int


class _Stored(NamedTuple):
    """The columns of `vods` in their order, as they are stored."""

    id: int
    app_id: int
    stream_id: str | None
    room: str | None
    name: str
    file_key: str | None
    s3_url: str | None
    public_url: str | None
    size_bytes: int | None
    duration_s: float | None
    width: int | None
    height: int | None
    format: str | None
    status_text: str
    local_path: str | None
    started_at_text: str | None
    ended_at_text: str | None
    metatags_text: str | None
    snapshot_key: str | None


class VodRow(_Stored):
    """One recording, read-only. To change it, call the services or load the `Vod` by its id.

    A page of these costs about what plain sqlite3 takes to fetch it; a `Vod` each costs four times
    as much. What ends in `_text` is stored so; the property without it decodes it at each access,
    and raises `StoredValueError` for what has not the column's form.
    """

    __slots__ = ()

    @property
    def status(self) -> VodStatus:
        """How far the recording has come."""
        return VodStatus(self.status_text)

    @property
    def started_at(self) -> datetime | None:
        """When the recording began, in UTC."""
        return None if self.started_at_text is None else utc_from_text(self.started_at_text)

    @property
    def ended_at(self) -> datetime | None:
        """When the recording ended, in UTC."""
        return None if self.ended_at_text is None else utc_from_text(self.ended_at_text)

    @property
    def metatags_json(self) -> Any | None:  # noqa: ANN401 - any JSON
        """What the media server and others noted about the recording."""
        return None if self.metatags_text is None else json_from_text(self.metatags_text)

    @property
    def key(self) -> PageKey:
        """Where a page ends if this is its last row."""
        return PageKey(self.started_at_text, self.id)


_RENAMED: Final = {
    "status_text": "status",
    "started_at_text": "started_at",
    "ended_at_text": "ended_at",
    "metatags_text": "metatags_json",
}

# Columns without the model's types: nothing is decoded on the way.
RAW_VODS: Final = sa.table(
    "vods", *(sa.column(_RENAMED.get(field, field)) for field in VodRow._fields)
)

"""Names and metatags of recordings, and names of rooms, as the Node core makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from streamhub_orm.errors import StoredValueError

__all__ = ["Recording", "file_name_part", "ready_tags", "room_name", "slug", "variant_tags"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_IN_SLUG: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_IN_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that begins: what its row says of it.

    vods.create(session, name=it.name, room=it.room, stream_id=it.stream_id,
                metatags_json=it.tags("EG_1"), started_at=it.began_at)
    """

    app: str
    room: str
    began_at: datetime
    """Aware; of the first part where it is split. Names hold it in milliseconds."""
    stream_id: str | None = None
    """None is the room as a whole."""
    mode: str = "room-composite"
    """Or `participant`."""
    split_minutes: int = 0
    snapshot_seconds: int = 0
    part: int | None = None
    """Number of the part, from 0; None where it is not split."""
    snapshot_prefix: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no row could say."""
        given: object = self.began_at  # what a caller really passes
        if not isinstance(given, datetime) or given.utcoffset() is None:
            expected = "a datetime with a time zone"
            raise StoredValueError(expected, given)
        if self.part is not None and self.part < 0:
            expected = "a part from 0"
            raise StoredValueError(expected, self.part)

    @property
    def name(self) -> str:
        """The name, which is that of its file as well: `stage-ann-1769860800123-p000.mp4`."""
        part = "" if self.part is None else f"-p{self.part:03}"
        return f"{self._stem}{part}.mp4"

    @property
    def session_id(self) -> str:
        """Id that the parts of one recording share: `live:stage-ann-1769860800123`."""
        return f"{self.app}:{self._stem}"

    def tags(self, egress_id: str) -> dict[str, Any]:
        """Return the metatags at its start."""
        tags: dict[str, Any] = {
            "egressId": egress_id,
            "mode": self.mode,
            "room": self.room,
            "app": self.app,
            "sessionId": self.session_id,
            "splitMinutes": self.split_minutes,
            "snapshotSeconds": self.snapshot_seconds,
            "partIndex": self.part or 0,
            "isPart": self.part is not None,
        }
        if self.snapshot_prefix is not None:
            tags["snapshotPrefix"] = self.snapshot_prefix
        return tags

    @property
    def _stem(self) -> str:
        milliseconds = (self.began_at - _EPOCH) // timedelta(milliseconds=1)
        stream_id = self.room if self.stream_id is None else self.stream_id
        return f"{slug(stream_id)}-{milliseconds}"


def ready_tags(
    tags: dict[str, Any] | None,
    *,
    duration_s: float | None,
    width: int | None,
    height: int | None,
    codec: str | None,
) -> dict[str, Any]:
    """Return the metatags of a recording that is ready: those it had, and what its file is."""
    found = {"durationS": duration_s, "width": width, "height": height, "codec": codec}
    return {**(tags or {}), **found}


def variant_tags(
    tags: dict[str, Any] | None,
    *,
    hls_master_key: str | None = None,
    count: int = 0,
    error: str | None = None,
) -> dict[str, Any]:
    """Return the metatags of a recording that was transcoded: those it had, and its variants.

    `hls_master_key` is the stored key of the master playlist and `count` the number of variants;
    where transcoding failed, `error` is told instead, and what an earlier run told stays.
    """
    if error is not None:
        return {**(tags or {}), "variantsError": error}
    told = {name: it for name, it in (tags or {}).items() if name != "variantsError"}
    master = {} if hls_master_key is None else {"hlsMasterKey": hls_master_key}
    return {**told, **master, "variantCount": count}


def slug(text: str) -> str:
    """Return a text as a part of a name: `stage/ann` becomes `stage-ann`, and nothing `rec`."""
    return _NOT_IN_SLUG.sub("-", text).strip("-") or "rec"


def file_name_part(text: str) -> str:
    """Return a text as a part of a file's name: each character but A-Z a-z 0-9 _ - becomes `_`.

    One that JavaScript counts as two becomes two.
    """
    return _NOT_IN_FILE_NAME.sub(lambda match: "__" if match[0] > "\uffff" else "_", text)


def room_name(prefix: str, room: str = "") -> str:
    """Return the name of a room of the app whose rooms have this prefix.

    The prefix alone is a room; another name gets it and `-` in front, unless it has them.
    """
    if not room:
        return prefix
    return room if room == prefix or room.startswith(f"{prefix}-") else f"{prefix}-{room}"

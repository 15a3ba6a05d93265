"""The columns of a recording: as they are read, and as a caller may set them."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

import sqlalchemy as sa

from streamhub_orm.app_db import VodStatus
from streamhub_orm.errors import HiddenValueError
from streamhub_orm.schema import json_from_text, member_of, utc_from_text
from streamhub_orm.services.paging import PageKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime


__all__ = ["RAW_VODS", "VodChanges", "VodFields", "VodRow", "decoded", "made"]

# Rows that services read are NamedTuples: `_make` of these 19 columns takes 0.4 µs, a frozen
# dataclass 1.9 µs, and a page has hundreds. Frozen slotted dataclasses are for values that are
# computed, and for rows that hold a secret, which a tuple would show to `%` and to JSON.


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
    and raises `StoredValueError` for what has not the column's form. So does reading a text that is
    no UTF-8.
    """

    __slots__ = ()

    @property
    def status(self) -> VodStatus:
        """Status, as `vods.set_status` moves it."""
        return member_of(VodStatus, self.status_text)

    @property
    def started_at(self) -> datetime | None:
        """Start of the recording, in UTC."""
        return None if self.started_at_text is None else utc_from_text(self.started_at_text)

    @property
    def ended_at(self) -> datetime | None:
        """End of the recording, in UTC."""
        return None if self.ended_at_text is None else utc_from_text(self.ended_at_text)

    @property
    def metatags_json(self) -> dict[str, Any] | None:
        """Notes of the media server and others about the recording."""
        return None if self.metatags_text is None else json_from_text(self.metatags_text)

    @property
    def key(self) -> PageKey:
        """Key of the page that ends with this row."""
        return PageKey(self.started_at_text, self.id)


class _NotUtf8(bytes):
    """A stored text that is none."""

    __slots__ = ()


class _UnreadableVodRow(VodRow):
    """A recording of which a text is no UTF-8: reading that one raises `HiddenValueError`."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any column
        """Return a column or a property."""
        return _readable(super().__getattribute__(name))

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as tuple declares it
        """Return a column by its place."""
        return _readable(super().__getitem__(index))

    def __iter__(self) -> Iterator[Any]:
        """Go through the columns."""
        return map(_readable, super().__iter__())


def _readable(value: object) -> object:
    if isinstance(value, _NotUtf8):
        expected = "text in UTF-8"
        raise HiddenValueError(expected, f"{len(value)} bytes that are none")
    return value


def decoded(text: bytes) -> object:
    """Return the text, or what `made` makes a row of that fails where it is read, alone."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _NotUtf8(text)


def made(rows: Iterable[Sequence[Any]], *, is_decoded: bool) -> Iterator[VodRow]:
    """Return the rows of these columns, whose texts may be what `decoded` returned."""
    if not is_decoded:
        # `_make` does the same in Python: 15 µs instead of 5 for a page of 50.
        return map(tuple.__new__, repeat(VodRow), rows)
    return (
        (_UnreadableVodRow if _NotUtf8 in map(type, row) else VodRow)._make(row) for row in rows
    )


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


class VodFields(TypedDict, total=False):
    """Columns that a new recording may have besides its identity, its name and its status.

    They repeat names of `VodRow` since a TypedDict and a NamedTuple cannot share fields, and a row
    holds times and JSON as text.
    """

    room: str | None
    file_key: str | None
    s3_url: str | None
    public_url: str | None
    size_bytes: int | None
    duration_s: float | None
    width: int | None
    height: int | None
    format: str | None
    local_path: str | None
    started_at: datetime | None
    ended_at: datetime | None
    metatags_json: dict[str, Any] | None
    snapshot_key: str | None


class VodChanges(VodFields, total=False):
    """Columns of a recording that may be changed: neither its identity nor its status."""

    name: str

"""Variants: the files that a recording exists in. Every session is the app's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.app_db import VariantKind, Vod, VodVariant
from streamhub_orm.errors import (
    HiddenValueError,
    StoredValueError,
    UnknownVariantError,
    UnknownVodError,
)
from streamhub_orm.services.core import get_row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "FORMATS",
    "create",
    "delete",
    "delete_all",
    "list_",
]

FORMATS: Final = ("hls", "hls-h264", "webm-vp8")
"""Formats that the Node core makes; no CHECK holds the column to them."""

_PLACE: Final = sa.case(
    {kind.value: place for place, kind in enumerate(VariantKind)},
    value=VodVariant.kind,
)
"""Master, rendition, alternate: the order in which the kinds are declared."""
_LIST: Final = (
    sa.select(VodVariant)
    .where(VodVariant.vod_id == sa.bindparam("vod_id_"))
    .order_by(
        _PLACE,
        VodVariant.height.desc().nulls_last(),
        VodVariant.id,
    )
)


def create(  # noqa: PLR0913 - what a row is made of
    session: Session,
    vod_id: int,
    *,
    format: str,  # noqa: A002 - the column's name
    kind: VariantKind = VariantKind.RENDITION,
    height: int | None = None,
    bitrate_kbps: int | None = None,
    file_key: str | None = None,
    size_bytes: int | None = None,
    extra_json: dict[str, Any] | None = None,
) -> VodVariant:
    """Add a file of a recording; raises `UnknownVodError` where there is no such recording.

    A rendition of `FORMATS` that is HLS names its segments: `{"segmentKeys": [key, …]}` as
    `extra_json`; `StoredValueError` is raised for what is no list of keys. No foreign key holds the
    two together, so whoever deletes a recording calls `vods.delete`.
    """
    _segment_keys(extra_json, "extra_json")
    if session.scalar(sa.select(Vod.id).where(Vod.id == vod_id)) is None:
        raise UnknownVodError(vod_id)
    variant = VodVariant(
        vod_id=vod_id,
        kind=kind,
        format=format,
        height=height,
        bitrate_kbps=bitrate_kbps,
        file_key=file_key,
        size_bytes=size_bytes,
        extra_json=extra_json,
    )
    session.add(variant)
    session.flush()
    return variant


def list_(session: Session, vod_id: int) -> list[VodVariant]:
    """Return a recording's files as a player offers them.

    The master first, then renditions from the highest picture to the lowest, then alternates; those
    of one height in the order in which they came, and what has no height last of its kind.
    """
    return list(session.scalars(_LIST, {"vod_id_": vod_id}))


def delete(session: Session, variant_id: int) -> list[str]:
    """Delete one file's row; return its object keys, for the caller to delete the objects.

    Those are its own and those of its segments. Raises `UnknownVariantError`, and
    `StoredValueError` where `extra_json` does not say what the segments are, or names one outside
    of the app's prefix, such as `../other/seg_0000.ts`; then nothing is deleted.
    """
    variant = get_row(session, VodVariant, variant_id, UnknownVariantError)
    keys = _object_keys(variant)
    session.delete(variant)
    session.flush()
    return keys


def delete_all(session: Session, vod_id: int) -> list[str]:
    """Delete the rows of all of a recording's files; return their object keys, in list order.

    Raises `StoredValueError` as `delete` does; then nothing is deleted.
    """
    keys = [key for variant in list_(session, vod_id) for key in _object_keys(variant)]
    session.execute(sa.delete(VodVariant).where(VodVariant.vod_id == vod_id))
    return keys


def _object_keys(variant: VodVariant) -> list[str]:
    """Return the key of a file, then those of its segments, as the Node core stores them."""
    segments = _segment_keys(variant.extra_json, f"extra_json of variant {variant.id}")
    return [key for key in (variant.file_key, *segments) if key]


def _segment_keys(extra: object, place: str) -> list[str]:
    if not isinstance(extra, dict):
        return []
    try:
        segments = extra.get("segmentKeys") or []
    except HiddenValueError as error:
        raise HiddenValueError(error.kind.replace("extra_json", place), error.value) from None
    if not isinstance(segments, list) or not all(isinstance(key, str) for key in segments):
        expected = f"a list of texts as segmentKeys in {place}"
        raise StoredValueError(expected, type(segments).__name__)
    outside = next((key for key in segments if ".." in key.split("/")), None)
    if outside is not None:
        expected = f"keys of objects below the app's prefix as segmentKeys in {place}"
        raise StoredValueError(expected, outside)
    return segments

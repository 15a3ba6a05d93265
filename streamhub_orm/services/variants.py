"""Variants: the files that a recording exists in. Every session is the app's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.app_db import VariantKind, Vod, VodVariant
from streamhub_orm.errors import StoredValueError, UnknownVariantError, UnknownVodError
from streamhub_orm.services.core import get_row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "create",
    "delete",
    "delete_all",
    "list_",
]

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
        VodVariant.bitrate_kbps.desc().nulls_last(),
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

    No foreign key holds the two together, so whoever deletes a recording calls `vods.delete`.
    """
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

    The master first, then renditions from the highest picture to the lowest, then alternates; of
    one height the higher bitrate first; what has no height or bitrate comes last of its kind.
    """
    return list(session.scalars(_LIST, {"vod_id_": vod_id}))


def delete(session: Session, variant_id: int) -> list[str]:
    """Delete one file's row; return its object keys, for the caller to delete the objects.

    Those are its own and those of its segments. Raises `UnknownVariantError`, and
    `StoredValueError` where `extra_json` does not say what the segments are.
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
    extra = variant.extra_json
    segments = extra.get("segmentKeys") if isinstance(extra, dict) else None
    if not isinstance(segments, list | None) or not all(
        isinstance(key, str) for key in segments or ()
    ):
        expected = f"a list of texts as segmentKeys in extra_json of variant {variant.id}"
        raise StoredValueError(expected, type(segments).__name__)
    return [key for key in (variant.file_key, *(segments or ())) if key]

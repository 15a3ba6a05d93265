"""The files of a recording: their order, and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import VariantKind, VodVariant
from streamhub_orm.errors import StoredValueError, UnknownVariantError, UnknownVodError
from streamhub_orm.services import variants, vods
from streamhub_orm.testing.checks import plans_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@pytest.fixture
def vod_id(app_session: Session) -> int:
    return vods.create(app_session, app_id=1, name="opening").id


def test_variants_are_listed_as_the_core_lists_them(app_session: Session, vod_id: int) -> None:
    """Schema reference, VODs: master, renditions by height descending, alternates; ties by id."""
    expected = [
        (VariantKind.MASTER, None, None),
        (VariantKind.RENDITION, 1080, 3000),
        (VariantKind.RENDITION, 1080, 4000),
        (VariantKind.RENDITION, 1080, None),
        (VariantKind.RENDITION, 720, 9000),
        (VariantKind.RENDITION, None, 9000),
        (VariantKind.ALTERNATE, 2160, None),
        (VariantKind.ALTERNATE, None, None),
    ]
    for kind, height, bitrate in [*expected[4:], *expected[:4]]:
        variants.create(
            app_session, vod_id, kind=kind, format="hls", height=height, bitrate_kbps=bitrate
        )
    found = variants.list_(app_session, vod_id)
    assert [(v.kind, v.height, v.bitrate_kbps) for v in found] == expected


def test_equal_variants_keep_the_order_they_came_in(app_session: Session, vod_id: int) -> None:
    ids = [variants.create(app_session, vod_id, format=name).id for name in ("mp4", "webm", "mp4")]
    assert [variant.id for variant in variants.list_(app_session, vod_id)] == ids


def test_variant_is_stored_as_the_node_core_stores_it(app_session: Session, vod_id: int) -> None:
    variants.create(app_session, vod_id, format="mp4", extra_json={"codec": "avc1"})
    row = app_session.execute(sa.text("SELECT * FROM vod_variants")).mappings().one()
    assert (row["kind"], row["extra_json"]) == ("rendition", '{"codec":"avc1"}')
    assert len(row["created_at"]) == len("2026-01-31 12:00:00")


def test_variant_of_no_recording_is_refused(app_session: Session, vod_id: int) -> None:
    """There is no foreign key that would."""
    with pytest.raises(UnknownVodError, match="no recording 8"):
        variants.create(app_session, vod_id + 7, format="mp4")
    assert app_session.scalars(sa.select(VodVariant)).all() == []


def test_deleted_variant_leaves_its_key(app_session: Session, vod_id: int) -> None:
    kept = variants.create(app_session, vod_id, format="mp4", file_key="a.mp4")
    gone = variants.create(app_session, vod_id, format="hls", file_key="a.m3u8")
    assert variants.delete(app_session, gone.id) == ["a.m3u8"]
    assert variants.list_(app_session, vod_id) == [kept]
    with pytest.raises(UnknownVariantError, match="no variant 2"):
        variants.delete(app_session, gone.id)


def test_deleted_variants_leave_their_keys(app_session: Session, vod_id: int) -> None:
    other = vods.create(app_session, app_id=1, name="closing").id
    for key in ("a.mp4", None, "a.m3u8"):
        variants.create(app_session, vod_id, format="mp4", file_key=key)
    variants.create(app_session, other, format="mp4", file_key="b.mp4")
    assert sorted(variants.delete_all(app_session, vod_id)) == ["a.m3u8", "a.mp4"]
    assert variants.list_(app_session, vod_id) == []
    assert len(variants.list_(app_session, other)) == 1


def test_list_and_deletion_search_the_index(app_session: Session, vod_id: int) -> None:
    (listed,) = plans_of(app_session, lambda: variants.list_(app_session, vod_id))
    found, deleted = plans_of(app_session, lambda: variants.delete_all(app_session, vod_id))
    for plan in (listed, found, deleted):
        assert "INDEX idx_vod_variants_vod (vod_id=?)" in plan
        assert "SCAN" not in plan


def test_deleted_variants_leave_the_keys_of_their_segments(
    app_session: Session, vod_id: int
) -> None:
    """Schema reference, S3: per variant, in list order, `file_key` and then `segmentKeys`."""
    for kind, key, extra in (
        (VariantKind.RENDITION, "720p/index.m3u8", {"segmentKeys": ["720p/0.ts", "720p/1.ts"]}),
        (VariantKind.MASTER, "master.m3u8", None),
    ):
        variants.create(
            app_session, vod_id, kind=kind, format="hls-h264", file_key=key, extra_json=extra
        )
    deleted = vods.delete(app_session, vod_id)
    assert deleted.object_keys == ("master.m3u8", "720p/index.m3u8", "720p/0.ts", "720p/1.ts")


BAD_EXTRA = [
    '{"segmentKeys":"seg.ts"}',
    '{"segmentKeys":["seg.ts",5]}',
    '{"segmentKeys":{"a":"seg.ts"}}',
    '{"segmentKeys":["hls/0.ts","../other/0.ts"]}',
    '{"segmentKeys":["hls/../../0.ts"]}',
    '{"segmentKeys":["hls/0.ts"]',
    "7",
]


@pytest.mark.parametrize("extra", BAD_EXTRA)
def test_variant_that_does_not_name_its_segments_stays(
    app_session: Session, vod_id: int, extra: str
) -> None:
    """Its segments would lie in the store for ever, known to nobody. Others are deleted."""
    variant = variants.create(app_session, vod_id, format="hls").id
    other = vods.create(app_session, name="closing").id
    variants.create(app_session, other, format="hls", extra_json={"segmentKeys": ["b.ts"]})
    spoil = sa.text("UPDATE vod_variants SET extra_json = :extra WHERE id = :id")
    app_session.execute(spoil, {"extra": extra, "id": variant})
    app_session.expire_all()
    for delete in (
        lambda: variants.delete(app_session, variant),
        lambda: vods.delete(app_session, vod_id),
    ):
        with pytest.raises(StoredValueError, match=r"in extra_json of variant 1\b"):
            delete()
    assert [it.id for it in variants.list_(app_session, vod_id)] == [variant]
    assert vods.get(app_session, vod_id).name == "opening"
    assert vods.delete(app_session, other).object_keys == ("b.ts",)


@pytest.mark.parametrize("segments", ["seg.ts", ["seg.ts", 5], {"a": "b"}, ["../0.ts"]])
def test_segments_that_are_no_keys_are_not_stored(
    app_session: Session, vod_id: int, segments: object
) -> None:
    extra = {"segmentKeys": segments}
    with pytest.raises(StoredValueError, match="as segmentKeys in extra_json"):
        variants.create(app_session, vod_id, format="hls", extra_json=extra)
    assert variants.list_(app_session, vod_id) == []

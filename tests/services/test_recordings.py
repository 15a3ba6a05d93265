"""Names and metatags of recordings: by the rules of the core, and as JavaScript applies them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.app_db import VodStatus
from streamhub_orm.errors import StoredValueError
from streamhub_orm.services import recordings, vods
from streamhub_orm.services.recordings import Recording
from tests.services.node import ask_node

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

AT = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)
ANN = Recording("live", "live-stage", AT, "live-stage/ann b")
TEXTS = [
    "",
    "stage/ann",
    "--a--b--",
    "é/ü",
    "live-room 1/Ann & Ben",
    "a.b_c-d",
    "🎥",
    "a🎥🎥b",
    "///",
    "-",
    ".hidden.",
    "a\nb\tc",
    "ﬁ/\uff11",
]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("stage/ann", "stage-ann"),
        ("a//b", "a-b"),
        ("-a.b_C9-", "a.b_C9"),
        ("/é/", "rec"),
        ("", "rec"),
    ],
)
def test_slug_replaces_runs_and_cuts_its_ends(text: str, slug: str) -> None:
    """Schema reference, VODs: runs become '-', outer '-' cut, empty = `rec`."""
    assert recordings.slug(text) == slug


def test_slugs_and_file_names_are_those_of_javascript() -> None:
    script = """
      const texts = JSON.parse(process.argv[1]);
      console.log(JSON.stringify([
        texts.map(t => t.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^-+|-+$/g, '') || 'rec'),
        texts.map(t => t.replace(/[^A-Za-z0-9_-]/g, '_'))]))"""
    slugs, names = json.loads(ask_node(script, json.dumps(TEXTS)))
    assert [recordings.slug(text) for text in TEXTS] == slugs
    assert [recordings.file_name_part(text) for text in TEXTS] == names


def test_name_is_slug_milliseconds_and_part() -> None:
    """Schema reference, VODs: slug(stream_id)-<epoch ms>[-p000].mp4; stream_id is the room."""
    milliseconds = int(AT.timestamp()) * 1000 + 123
    assert ANN.name == f"live-stage-ann-b-{milliseconds}.mp4"
    assert replace(ANN, part=0).name == f"live-stage-ann-b-{milliseconds}-p000.mp4"
    assert replace(ANN, part=12).name.endswith("-p012.mp4")
    assert Recording("live", "live", AT).name == f"live-{milliseconds}.mp4"
    abroad = AT.astimezone(timezone(timedelta(hours=5)))
    assert replace(ANN, began_at=abroad).name == ANN.name


def test_tags_at_the_start_are_those_of_the_core() -> None:
    """Schema reference, VODs: metatags_json at start."""
    milliseconds = int(AT.timestamp()) * 1000 + 123
    tags = ANN.tags("EG_1")
    assert list(tags.items()) == [
        ("egressId", "EG_1"),
        ("mode", "room-composite"),
        ("room", "live-stage"),
        ("app", "live"),
        ("sessionId", f"live:live-stage-ann-b-{milliseconds}"),
        ("splitMinutes", 0),
        ("snapshotSeconds", 0),
        ("partIndex", 0),
        ("isPart", False),
    ]
    part = replace(ANN, mode="participant", split_minutes=15, part=3, snapshot_prefix="snapshots/x")
    assert part.tags("EG_2") == {
        **tags,
        "egressId": "EG_2",
        "mode": "participant",
        "splitMinutes": 15,
        "partIndex": 3,
        "isPart": True,
        "snapshotPrefix": "snapshots/x",
    }
    assert part.session_id == ANN.session_id


def test_recording_is_found_by_its_tags_and_gets_those_of_its_file(app_session: Session) -> None:
    """Schema reference, VODs: when ready + durationS, width, height, codec."""
    made = vods.create(
        app_session, name=ANN.name, room=ANN.room, metatags_json=ANN.tags("EG_1"), started_at=AT
    )
    row = vods.find_by_egress(app_session, "EG_1")
    assert row == made
    tags = recordings.ready_tags(
        made.metatags_json, duration_s=2.5, width=1280, height=720, codec="h264"
    )
    vods.set_status(app_session, made.id, VodStatus.UPLOADING)
    vods.set_status(app_session, made.id, VodStatus.READY, metatags_json=tags)
    file = {"durationS": 2.5, "width": 1280, "height": 720, "codec": "h264"}
    assert vods.get(app_session, made.id).metatags_json == {**ANN.tags("EG_1"), **file}


def test_recording_that_no_row_could_tell_of_is_refused() -> None:
    with pytest.raises(StoredValueError, match="time zone"):
        replace(ANN, began_at=AT.replace(tzinfo=None))
    with pytest.raises(StoredValueError, match="a part from 0"):
        replace(ANN, part=-1)


@pytest.mark.parametrize(
    ("room", "name"),
    [("", "tv"), ("tv", "tv"), ("tv-1", "tv-1"), ("tv1", "tv-tv1"), ("stage", "tv-stage")],
)
def test_room_has_the_app_s_prefix_once(room: str, name: str) -> None:
    """Schema reference, room naming."""
    assert recordings.room_name("tv", room) == name


def test_tags_after_transcoding_are_those_of_the_core() -> None:
    """Reference, VODs: after transcoding hlsMasterKey, variantCount, or variantsError."""
    before = {"egressId": "EG_1", "height": 720}
    failed = recordings.variant_tags(before, error="no encoder")
    assert failed == {**before, "variantsError": "no encoder"}
    again = recordings.variant_tags(failed, hls_master_key="hls/a/master.m3u8", count=3)
    assert again == {**before, "hlsMasterKey": "hls/a/master.m3u8", "variantCount": 3}
    assert recordings.variant_tags(None, count=1) == {"variantCount": 1}
    assert before == {"egressId": "EG_1", "height": 720}

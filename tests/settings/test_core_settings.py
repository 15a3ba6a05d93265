"""What config.yaml means to the Node core, sentence by sentence of its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from streamhub_orm.errors import ConfigFileError
from streamhub_orm.settings import effective_settings, load_app_config, new_app_settings
from streamhub_orm.settings.app_config import dump_document, parse_document

NEW: dict[str, Any] = yaml.safe_load("""\
name: tv-2
display_name: tv-2
room_prefix: tv-2
recording: {enabled: true, mode: room-composite, layout: grid, local_dir: recordings,
  delete_local_after_upload: true, split_minutes: 0, snapshot_seconds: 0}
s3: {provider: wasabi, bucket: '', region: us-east-1,
  endpoint: 'https://s3.us-east-1.wasabisys.com', force_path_style: false,
  prefix: streamhub/tv-2, public_url: '',
  access_key_env: APP_TV_2_S3_KEY, secret_key_env: APP_TV_2_S3_SECRET}
webrtc: {adaptive: true, layers: [{name: high, height: 720}, {name: med, height: 480},
  {name: low, height: 240}]}
rtmp: {enabled: true, transcode: true}
transcoding: {enabled: false, encoding: h264, vod_adaptive: false, vod_renditions: []}
callbacks: {url: '', secret: ''}
mqtt: {enabled: false, url: '', username: '', password_env: APP_TV_2_MQTT_PASSWORD,
  topic_prefix: streamhub/tv-2, qos: 0, tls: false, events: [all],
  logs: {enabled: false, level: info}}
latency_alert: {enabled: false, threshold_ms: 1000, cooldown_seconds: 60, interval_seconds: 10}
features: {rtmp_password: false, viewer_counter: true, chat: false, reactions: false,
  hidden_qc: true, adaptive_player: true, public_playback: true}
""")
"""The reference's table, for the app tv-2."""
WS_INGEST = {"enabled": True, "max_cameras": 0, "max_fps": 15, "max_frame_kb": 256}
PATH = Path("config.yaml")


def read(text: str) -> dict[str, Any]:
    return effective_settings(parse_document(PATH, text.encode()), "tv-2")


def keys_of(document: dict[str, Any]) -> list[object]:
    return [(key, keys_of(it) if isinstance(it, dict) else None) for key, it in document.items()]


def test_new_app_has_exactly_the_keys_of_the_core_in_its_order() -> None:
    """config.yaml, "A new app gets exactly these keys, in this order"."""
    made = new_app_settings("tv-2")
    assert made == NEW
    assert keys_of(made) == keys_of(NEW)
    assert yaml.safe_load(dump_document(PATH, made)) == NEW


@pytest.mark.parametrize(
    ("app", "slug"), [("live", "LIVE"), ("a--b-1", "A_B_1"), ("0-tv", "0_TV"), ("tv-2", "TV_2")]
)
def test_names_of_secrets_have_the_slug(app: str, slug: str) -> None:
    """config.yaml, "name in upper case, each run outside A-Z 0-9 as one `_`"."""
    made = new_app_settings(app)
    assert made["s3"]["access_key_env"] == f"APP_{slug}_S3_KEY"
    assert made["mqtt"]["password_env"] == f"APP_{slug}_MQTT_PASSWORD"


def test_live_is_shown_as_live() -> None:
    """config.yaml, "display_name (the name; `Live` for live)"."""
    assert new_app_settings("live")["display_name"] == "Live"
    assert new_app_settings("live-2")["display_name"] == "live-2"


def test_what_is_read_of_a_new_file_is_what_is_in_it_and_ws_ingest() -> None:
    """config.yaml, "(absent) ws_ingest"."""
    expected = {**NEW, "features": {**NEW["features"], "ws_ingest": WS_INGEST}}
    assert read(dump_document(PATH, NEW).decode()) == expected


def test_file_is_laid_over_the_defaults_key_by_key_inside_each_block() -> None:
    """config.yaml, "Reading lays the file over these defaults"; unknown keys are there as well."""
    text = "recording: {layout: speaker, own: 1}\nmqtt: {logs: {enabled: true}}\nhls: {x: 2}\n"
    found = read(text + "features: {ws_ingest: {max_fps: 5}}\n")
    assert found["recording"] == {**NEW["recording"], "layout": "speaker", "own": 1}
    assert found["mqtt"] == {**NEW["mqtt"], "logs": {"enabled": True, "level": "info"}}
    assert found["features"]["ws_ingest"] == {**WS_INGEST, "max_fps": 5}
    assert found["hls"] == {"x": 2}
    assert found["s3"] == NEW["s3"]


def test_null_stays_but_in_webrtc() -> None:
    """config.yaml, "null values stay (not in webrtc)"; a block without a value has the defaults."""
    found = read("s3: {endpoint: ~}\nwebrtc: {adaptive: ~, layers: ~, own: ~}\ncallbacks:\n")
    assert found["s3"]["endpoint"] is None
    assert found["webrtc"] == {**NEW["webrtc"], "own": None}
    assert found["callbacks"] == NEW["callbacks"]


def test_empty_layers_and_events_fall_back() -> None:
    """config.yaml, "empty layers or events fall back"."""
    found = read("webrtc: {layers: []}\nmqtt: {events: []}\n")
    assert found["webrtc"]["layers"] == NEW["webrtc"]["layers"]
    assert found["mqtt"]["events"] == ["all"]


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("{}", True),
        ("rtmp: {enabled: true}", True),
        ("rtmp: {transcode: true}", True),
        ("rtmp: {transcode: false}", False),
        ("transcoding:", True),
        ("transcoding: {}", False),
        ("transcoding: {vod_adaptive: true}\nrtmp: {transcode: true}", False),
        ("transcoding: {enabled: true}\nrtmp: {transcode: false}", True),
    ],
)
def test_app_without_a_transcoding_block_transcodes_as_rtmp_says(
    text: str, *, enabled: bool
) -> None:
    """config.yaml, "No `transcoding` block = legacy app", "a block without `enabled` = off"."""
    assert read(text)["transcoding"]["enabled"] is enabled


@pytest.mark.parametrize(
    ("value", "minutes", "seconds"),
    [("30", 30, 30), ("15", 15, 0), ("1", 0, 1), ("17", 0, 0), ("'30'", 0, 0), ("true", 0, 0)],
)
def test_other_lengths_act_as_0(value: str, minutes: int, seconds: int) -> None:
    """config.yaml, "others act as 0"."""
    found = read(f"recording: {{split_minutes: {value}, snapshot_seconds: {value}}}")["recording"]
    assert (found["split_minutes"], found["snapshot_seconds"]) == (minutes, seconds)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\nrecording: on air\n", 2, "recording holding a text"),
        ("mqtt:\n  logs: [a]\n", 2, "mqtt.logs holding a list"),
        ("webrtc: 7\n", 1, "webrtc holding a number"),
    ],
)
def test_block_of_the_wrong_type_is_refused_with_its_line(text: str, line: int, found: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(text)
    assert (caught.value.line, caught.value.found) == (line, found)


def test_file_that_is_not_there_reads_as_an_app_of_old(tmp_path: Path) -> None:
    found = effective_settings(load_app_config(tmp_path / "config.yaml"), "tv-2")
    assert found["recording"] == NEW["recording"]

"""Changes of config.yaml lose no key, no comment and no earlier file; a refusal changes nothing."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamhub_orm.errors import ConfigFileError, UnknownConfigBackupError, UnknownPresetError
from streamhub_orm.settings import (
    PRESETS,
    apply_preset,
    change_app_config,
    effective_settings,
    list_config_backups,
    load_app_config,
    new_app_settings,
    revert_app_config,
    write_app_config,
)
from streamhub_orm.settings.app_config import parse_document
from streamhub_orm.settings.core_settings import merged
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.settings import Edited

NOW = datetime(2026, 5, 4, 3, 2, 1, 123_999, tzinfo=UTC)
KEPT = "config.yaml.bak.20260504T030201123Z"
FIELD = """\
# tv-2: settings of this app
name: tv-2
room_prefix: tv-2
distribution: {mode: edge}   # read by the edge
their_own: [yes, 22:30, 0600, 1_000, 2024-01-31, 0x1F, "null"]
recording:
  enabled: true      # the whole day
  max_minutes: 90    # ours
s3:
  provider: minio
  # the bucket of the old site
  bucket: media
  endpoint: http://127.0.0.1:9000
  storage_class: cold
webrtc:
  adaptive: false
  codec: vp9
mqtt:
  logs: {enabled: true, topic: x}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "config.yaml"
    found.write_text(FIELD, encoding="utf-8")
    found.chmod(0o640)
    return found


def change(path: Path, changes: dict[str, Any]) -> Edited:
    return change_app_config(path, "tv-2", changes, now=NOW)


def document_of(path: Path) -> dict[str, Any]:
    return load_app_config(path).document


def refuse(path: Path, content: bytes) -> ConfigFileError:
    """Write a whole text that is to be refused, and return why it was."""
    before = fingerprint_files(path.parent)
    with pytest.raises(ConfigFileError) as caught:
        write_app_config(path, "tv-2", content, now=NOW)
    assert fingerprint_files(path.parent) == before
    return caught.value


def test_changed_key_is_the_only_line_that_changes(path: Path) -> None:
    """Comments, unknown keys of every block and at top level, and odd texts are as before."""
    change(path, {"recording": {"enabled": False}})
    changed = path.read_text(encoding="utf-8")
    assert changed == FIELD.replace("enabled: true      #", "enabled: false     #")


def test_changes_are_merged_and_missing_blocks_appear(path: Path) -> None:
    before = document_of(path)
    changes = {
        "s3": {"bucket": "yes", "prefix": ""},
        "mqtt": {"events": ["publish"], "logs": {"level": "warn"}},
        "callbacks": {"url": "https://example.org/hook"},
        "own": {"deep": {"er": [1, {"a": None}]}},
    }
    change(path, changes)
    assert document_of(path) == merged(before, changes)
    assert yaml.safe_load(path.read_text("utf-8"))["s3"]["bucket"] == "yes"
    assert "# the bucket of the old site" in path.read_text("utf-8")


def test_file_before_is_kept_with_its_mode_and_bytes(path: Path) -> None:
    """config.yaml, "first copy the file to `config.yaml.bak.<YYYYMMDDTHHMMSSmmmZ>`"."""
    edited = change(path, {"s3": {"bucket": "new"}})
    assert edited.backup == path.with_name(KEPT)
    assert edited.backup.read_text(encoding="utf-8") == FIELD
    assert {stat.S_IMODE(it.stat().st_mode) for it in (path, edited.backup)} == {0o640}
    assert sorted(it.name for it in path.parent.iterdir()) == ["config.yaml", KEPT]


def test_change_of_nothing_writes_nothing(path: Path) -> None:
    before = fingerprint_files(path.parent)
    assert change(path, {"s3": {"bucket": "media"}}).backup is None
    assert fingerprint_files(path.parent) == before


def test_twenty_last_files_are_kept_and_other_files_stay(path: Path) -> None:
    """config.yaml, "the 20 last names are kept"; two changes in a millisecond are two files."""
    others = ["config.yaml.bak.old", "config.yaml.bak.20260504T030201Z", "config.yaml.back"]
    for name in others:
        path.with_name(name).write_text("mine", encoding="utf-8")
    for number in range(25):
        moment = NOW + timedelta(milliseconds=number // 2)
        write_app_config(path, "tv-2", b"number: %d\n" % number, now=moment)
    kept = list_config_backups(path)
    assert len(kept) == 20
    assert kept == sorted(kept, reverse=True)
    numbers = [parse_document(path, path.with_name(it).read_bytes()).document for it in kept]
    assert [it["number"] for it in numbers] == list(range(23, 3, -1))
    assert all(path.with_name(name).read_text("utf-8") == "mine" for name in others)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\ns3: &y {bucket: m}\nrecording: *y\n",
        "s3: {bucket: a, bucket: b}\nown: 1\n",
        "base: &b {bucket: a, region: r}\ns3:\n  <<: *b\n  prefix: p\n",
        "? s3\n: {bucket: x}\n",
        "%YAML 1.1\n---\ns3: {bucket: x}\nown: yes\n",
        "\ufeffs3: {bucket: x}\n",
        "{s3: {bucket: x}, own: [1, 2]}",
        "s3: !!map {bucket: x}\n'own key': |\n  many\n  lines\n",
        "own: .nan\n",
        "s3: {}\nown: 0o17\nlist:\n    -   a\n    - b\n",
    ],
)
def test_file_of_any_form_means_what_was_asked_afterwards(path: Path, text: str) -> None:
    """Where it cannot be changed in its text, its comments go and its keys stay."""
    path.write_text(text, encoding="utf-8")
    expected = merged(document_of(path), {"s3": {"bucket": "new"}})
    change(path, {"s3": {"bucket": "new"}})
    assert repr(document_of(path)) == repr(expected)


KEYS = st.sampled_from(["a", "b", "s3", "yes", "é", "1", "x y"])
ODD = ["no", "22:30", "0x1", "~", "# no", "- a", "a: b", " ", "\n", "'\"", "%", "*x"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.text(max_size=12),
    st.sampled_from(ODD),
)
VALUES = st.recursive(
    LEAVES,
    lambda it: st.lists(it, max_size=3) | st.dictionaries(KEYS, it, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from(["own", "theirs"]), VALUES, max_size=2)


@settings(
    max_examples=int(os.environ.get("STREAMHUB_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=MAPPINGS, changes=MAPPINGS, flow=st.sampled_from([True, False, None]))
def test_any_change_of_any_document_means_what_was_asked(
    path: Path, before: dict[str, Any], changes: dict[str, Any], *, flow: bool | None
) -> None:
    text = yaml.safe_dump(before, default_flow_style=flow, allow_unicode=True)
    path.write_text(f"# kept\n{text}", encoding="utf-8")
    held = document_of(path)
    try:
        expected = merged(held, changes)
        change(path, changes)
    except ConfigFileError as error:
        assert "a mapping" in error.expected or "YAML" in error.expected  # noqa: PT017
        assert document_of(path) == held
    else:
        assert document_of(path) == expected
        assert effective_settings(load_app_config(path), "tv-2")["name"] == "tv-2"


def test_one_is_not_true(path: Path) -> None:
    """Python holds them for equal; the core does not."""
    path.write_text("recording: {enabled: 1}\n", encoding="utf-8")
    assert change(path, {"recording": {"enabled": True}}).changed
    assert document_of(path)["recording"]["enabled"] is True


def test_file_just_kept_stays_where_a_clock_was_wrong(path: Path) -> None:
    for number in range(20):
        moment = NOW.replace(year=2030 + number)
        write_app_config(path, "tv-2", b"number: %d\n" % number, now=moment)
    edited = change(path, {"n": "now"})
    assert edited.backup is not None
    assert edited.backup.exists()
    assert len(list_config_backups(path)) == 21


def test_missing_file_is_made_with_the_defaults_of_the_core(path: Path) -> None:
    path.unlink()
    path.parent.chmod(0o775)
    assert change(path, {"s3": {"bucket": "b"}}).backup is None
    assert document_of(path) == merged(new_app_settings("tv-2"), {"s3": {"bucket": "b"}})
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_aws_without_an_endpoint_clears_the_endpoint(path: Path) -> None:
    """S3, "setting `aws` by API without endpoint clears the endpoint"."""
    change(path, {"s3": {"provider": "aws"}})
    assert document_of(path)["s3"]["endpoint"] == ""
    change(path, {"s3": {"provider": "aws", "endpoint": "https://s3.eu-west-1.amazonaws.com"}})
    assert document_of(path)["s3"]["endpoint"] == "https://s3.eu-west-1.amazonaws.com"
    change(path, {"s3": {"region": "eu-west-1"}})
    assert document_of(path)["s3"]["endpoint"] == "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(("rtmp", "enabled"), [("{}", True), ("{transcode: false}", False)])
def test_new_transcoding_block_does_not_turn_transcoding_off(
    path: Path, rtmp: str, *, enabled: bool
) -> None:
    """A block without `enabled` means off; an app without the block goes by rtmp.transcode."""
    path.write_text(f"rtmp: {rtmp}\n", encoding="utf-8")
    change(path, {"transcoding": {"vod_adaptive": True}})
    found = effective_settings(load_app_config(path), "tv-2")["transcoding"]
    assert (found["enabled"], found["vod_adaptive"]) == (enabled, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recording": {"enabled": "yes"}}, "a text for recording.enabled; expected true or false"),
        ({"recording": {"split_minutes": 17}}, "one of 0, 15, 30, 60, 90, 120"),
        ({"recording": {"split_minutes": True}}, "recording.split_minutes; expected a number"),
        ({"recording": {"mode": "all"}}, "one of room-composite, participant"),
        ({"recording": "off"}, "a text for recording; expected a mapping"),
        ({"mqtt": {"logs": [1]}}, "a list for mqtt.logs; expected a mapping"),
        ({"transcoding": {"vod_renditions": [{"height": 100, "bitrate_kbps": 1}]}}, "144 to 4320"),
        ({"transcoding": {"vod_renditions": [720]}}, "height"),
        ({"display_name": 7}, "a number for display_name"),
        ({"name": "live"}, "'tv-2'"),
        ({"own": object()}, "plain values"),
    ],
)
def test_value_that_does_not_fit_is_refused(
    path: Path, changes: dict[str, Any], words: str
) -> None:
    before = fingerprint_files(path.parent)
    with pytest.raises(ConfigFileError) as caught:
        change(path, changes)
    assert words in str(caught.value)
    assert fingerprint_files(path.parent) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3: [a]\n", "line 1: found s3 holding a list; expected a mapping"),
        ("a: 1\ns3: media\n", "line 2: found s3 holding a text"),
        ("a: [1\n", "YAML"),
        ("- a\n", "a mapping of settings"),
        ("display_name: [a]\n", "a list as display_name"),
    ],
)
def test_change_of_a_file_that_cannot_take_it_is_refused(path: Path, text: str, words: str) -> None:
    """Config blocks of the wrong type: a clear error, nothing changed."""
    path.write_text(text, encoding="utf-8")
    before = fingerprint_files(path.parent)
    with pytest.raises(ConfigFileError) as caught:
        change(path, {"s3": {"bucket": "x"}})
    assert words in str(caught.value)
    assert fingerprint_files(path.parent) == before


def test_whole_text_is_written_to_the_byte(path: Path) -> None:
    """config.yaml, "Raw edits keep every byte"; carriage returns and a missing end of line too."""
    content = b"# a\r\nname:   tv-2 \r\nroom_prefix: x\r\nown: {b: 1}"
    edited = write_app_config(path, "tv-2", content, now=NOW)
    assert path.read_bytes() == content
    assert edited.backup is not None
    assert edited.backup.read_text("utf-8") == FIELD
    assert edited.warnings == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "a mapping of settings"),
        ("just a text", "a mapping of settings"),
        ("", "no settings"),
        ("# nothing\n", "no settings"),
        ("a: [1\n", "Nothing was changed"),
        ("a: " + "x" * 99_998, "100001 characters"),
        ("a: " + "😀" * 50_000, "100003 characters"),
        ("name: live\n", "line 1: found the name of another app; expected 'tv-2'"),
        ("name: 2\n", "the name of another app"),
        ("s3: media\n", "s3 holding a text"),
        ("a: 1\ns3:\n", "line 2: found s3 without a value"),
        ("recording: true\n", "recording holding true or false"),
        ("recording: ~\n", "recording without a value"),
        ("webrtc: 1\n", "webrtc holding a number"),
        ("room_prefix: 1\n", "a number as room_prefix"),
    ],
)
def test_whole_text_that_breaks_a_rule_is_refused(path: Path, text: str, words: str) -> None:
    """config.yaml, "Raw rules"."""
    assert words in str(refuse(path, text.encode()))


def test_whole_text_at_the_limit_and_an_empty_mapping_are_taken(path: Path) -> None:
    write_app_config(path, "tv-2", b"a: " + b"x" * 99_997, now=NOW)
    write_app_config(path, "tv-2", b"{}\n", now=NOW)
    assert path.read_bytes() == b"{}\n"


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    assert "no UTF-8" in str(refuse(path, b"a: \xff\n"))


def test_whole_text_replaces_a_file_that_nobody_can_read(path: Path) -> None:
    path.write_bytes(b"a: [\xff\n")
    edited = write_app_config(path, "tv-2", b"room_prefix: x\n", now=NOW)
    assert edited.backup is not None
    assert edited.backup.read_bytes() == b"a: [\xff\n"


def test_what_the_core_warns_of_is_warned_of(path: Path) -> None:
    """config.yaml, "Only warned"; no value is shown."""
    text = "s3: {key: hidden1, secret: hidden2}\nmqtt: {password: hidden3}\n"
    warnings = write_app_config(path, "tv-2", text.encode(), now=NOW).warnings
    assert all(it.startswith(f"{path}: ") for it in warnings)
    assert [it.split()[1] for it in warnings] == ["s3.key", "s3.secret", "mqtt.password", "no"]
    assert "hidden" not in repr(warnings)
    assert change(path, {"room_prefix": "x"}).warnings == warnings[:3]


def test_file_is_reverted_by_name_and_forth_again(path: Path) -> None:
    change(path, {"s3": {"bucket": "new"}})
    changed = path.read_bytes()
    edited = revert_app_config(path, "tv-2", KEPT, now=NOW + timedelta(seconds=1))
    assert path.read_text("utf-8") == FIELD
    assert edited.backup is not None
    assert edited.backup.read_bytes() == changed


@pytest.mark.parametrize(
    "name", ["", "config.yaml", "../secret", "config.yaml.bak.20260504T030201999Z"]
)
def test_unknown_kept_file_is_refused_and_names_those_that_there_are(path: Path, name: str) -> None:
    change(path, {"s3": {"bucket": "new"}})
    before = fingerprint_files(path.parent)
    with pytest.raises(UnknownConfigBackupError, match=KEPT):
        revert_app_config(path, "tv-2", name, now=NOW)
    assert fingerprint_files(path.parent) == before


def test_kept_file_that_is_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("room_prefix: stolen\n")
    path.with_name(KEPT).symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigFileError, match="a link"):
        revert_app_config(path, "tv-2", KEPT, now=NOW)
    assert path.read_text("utf-8") == FIELD
    path.unlink()
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigFileError, match="a link"):
        change(path, {"s3": {"bucket": "new"}})
    assert (tmp_path / "outside").read_text() == "room_prefix: stolen\n"


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "low-latency",
            {
                "rtmp.transcode": False,
                "transcoding.enabled": False,
                "distribution": {"mode": "edge"},
                "hls": {"segment_seconds": 2, "list_size": 3},
            },
        ),
        (
            "high-quality-recording",
            {
                "recording.enabled": True,
                "rtmp.transcode": True,
                "transcoding.enabled": True,
                "transcoding.vod_adaptive": True,
                "heights": [1080, 720, 480],
                "hls": None,
            },
        ),
        (
            "mass-audience-HLS",
            {
                "recording.enabled": True,
                "rtmp.transcode": True,
                "transcoding.enabled": True,
                "transcoding.vod_adaptive": True,
                "heights": [720, 480, 360],
                "distribution": {"mode": "cdn"},
                "hls": {"segment_seconds": 4, "list_size": 10},
            },
        ),
    ],
)
def test_preset_changes_what_it_is_for_and_nothing_else(
    path: Path, preset: str, expected: dict[str, Any]
) -> None:
    """config.yaml, "Presets"."""
    before = document_of(path)
    assert apply_preset(path, "tv-2", preset, now=NOW).backup == path.with_name(KEPT)
    found = effective_settings(load_app_config(path), "tv-2")
    heights = [it["height"] for it in found["transcoding"]["vod_renditions"]]
    found["heights"] = heights
    wanted = {"webrtc.adaptive": True, "features.adaptive_player": True, **expected}
    for key, value in wanted.items():
        block, _, name = key.partition(".")
        assert (found[block][name] if name else found.get(block)) == value, key
    kept = document_of(path)
    for key in ("name", "room_prefix", "s3", "their_own", "mqtt"):
        assert kept[key] == before[key]
    assert kept["webrtc"] == {"adaptive": True, "codec": "vp9"}
    assert kept["recording"]["max_minutes"] == 90
    assert "# the bucket of the old site" in path.read_text("utf-8")


def test_no_preset_touches_what_none_may() -> None:
    """config.yaml, "never touch s3, callbacks, names, room_prefix"."""
    for changes in PRESETS.values():
        assert not changes.keys() & {"s3", "callbacks", "name", "display_name", "room_prefix"}


def test_unknown_preset_is_refused(path: Path) -> None:
    before = fingerprint_files(path.parent)
    with pytest.raises(UnknownPresetError, match="low-latency, high-quality-recording"):
        apply_preset(path, "tv-2", "slow", now=NOW)
    assert fingerprint_files(path.parent) == before

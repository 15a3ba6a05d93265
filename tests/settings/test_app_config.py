"""config.yaml: read as the Node core reads it, written in one step, faults named with a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from streamhub_orm.errors import ConfigFileError
from streamhub_orm.settings import load_app_config
from streamhub_orm.settings.app_config import dump_document

if TYPE_CHECKING:
    from pathlib import Path

FIELD = """\
# live: settings of this app
recording:
  enabled: true
  max_minutes: 90
hls: {segment_seconds: 4.5, variants: [1080p, 720p]}
their_own: [yes, 22:30, 0600, 1_000, 2024-01-31, 0x1F, ~, "null", 1e3, .inf]
s3:
  provider: minio
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_missing_and_empty_files_hold_no_settings(path: Path) -> None:
    assert load_app_config(path).document == {}
    for text in ("", "# nothing yet\n", "---\n", "null\n"):
        assert load_app_config(write(path, text)).document == {}


def test_values_mean_what_they_mean_to_the_node_core(path: Path) -> None:
    """The core schema of YAML 1.2: words, times and dates are texts, 0600 is six hundred."""
    document = load_app_config(write(path, FIELD)).document
    assert document["their_own"] == [
        *("yes", "22:30", 600, "1_000", "2024-01-31", 31, None, "null", 1000.0, float("inf"))
    ]
    assert document["hls"] == {"segment_seconds": 4.5, "variants": ["1080p", "720p"]}


def test_written_document_keeps_unknown_keys_and_their_order(path: Path) -> None:
    before = load_app_config(write(path, FIELD))
    path.write_bytes(dump_document(path, before.document))
    after = load_app_config(path)
    assert after.document == before.document
    assert list(after.document) == ["recording", "hls", "their_own", "s3"]


def test_written_document_means_the_same_by_yaml_1_1(path: Path) -> None:
    """What the two versions read differently is quoted."""
    texts = ["yes", "22:30", "1_000", "2024-01-31", "0o7", "1e3", "true", "12", "~", ""]
    path.write_bytes(dump_document(path, {"texts": list(texts)}))
    assert load_app_config(path).document == {"texts": texts}
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {"texts": texts}


def test_value_that_yaml_has_no_form_for_is_refused(path: Path) -> None:
    with pytest.raises(ConfigFileError, match="plain values"):
        dump_document(path, {"bad": object()})


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "expected ',' or ']'"),
        ("a: 1\n  b: 2\n", 2, "mapping values are not allowed here"),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", 2, "could not determine a constructor"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("- a\n- b\n", 1, "a list"),
        ("just a text\n", 1, "a text"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
    ],
)
def test_bad_file_is_refused_with_its_line(path: Path, text: str, line: int, found: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        load_app_config(write(path, text))
    assert caught.value.line == line
    assert found in caught.value.found
    assert str(caught.value).startswith(f"{path}, line {line}: found ")


def test_bytes_that_are_no_utf_8_are_refused_with_their_line(path: Path) -> None:
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigFileError, match="line 2: found bytes that are no UTF-8"):
        load_app_config(path)


def test_control_characters_huge_and_deep_files_and_folders_are_refused(path: Path) -> None:
    for text in ("a: \x07\n", "a: " + "x" * 1_100_000, "[" * 5000):
        with pytest.raises(ConfigFileError):
            load_app_config(write(path, text))
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigFileError):
        load_app_config(path)


def test_section_that_is_no_mapping_is_refused_with_its_line(path: Path) -> None:
    config = load_app_config(write(path, "a: 1\ns3: yes please\n"))
    assert config.section("nowhere") == {}
    with pytest.raises(ConfigFileError, match=r"line 2: found s3 holding a text"):
        config.section("s3")

"""secrets.json: private, written in one step, resolved before the environment, never shown."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import MissingSecretError, SecretsFileError
from streamhub_orm.settings import load_secrets, save_secrets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.json"


def test_missing_file_holds_no_secrets(path: Path) -> None:
    assert dict(load_secrets(path)) == {}


def test_saved_secrets_are_a_flat_private_json_object(path: Path) -> None:
    """Also where the file was open to all before."""
    path.write_text("{}")
    path.chmod(0o644)
    save_secrets(path, {"S3_KEY": "ü", "B": "2"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == {"S3_KEY": "ü", "B": "2"}
    assert dict(load_secrets(path)) == {"S3_KEY": "ü", "B": "2"}
    assert list(path.parent.iterdir()) == [path]


def test_environment_comes_before_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty value counts as none, in either."""
    save_secrets(path, {"A": "file", "B": "", "C": "file"})
    secrets = load_secrets(path)
    environment = {"A": "", "B": "environment", "C": "environment"}
    found = {name: secrets.resolve(name, environment) for name in environment}
    assert found == {"A": "file", "B": "environment", "C": "environment"}
    monkeypatch.setenv("D", "mine")
    assert secrets.resolve("D") == "mine"


def test_secret_that_is_nowhere_is_named(path: Path) -> None:
    with pytest.raises(MissingSecretError) as caught:
        load_secrets(path).resolve("S3_ACCESS_KEY", {})
    assert str(caught.value).startswith(f"{path}: found no entry S3_ACCESS_KEY, and no such env")


def test_secret_that_somebody_put_in_place_of_its_name_is_not_shown(path: Path) -> None:
    with pytest.raises(MissingSecretError) as caught:
        load_secrets(path).resolve("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", {})
    assert "wJalr" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


def test_repr_shows_names_alone(path: Path) -> None:
    save_secrets(path, {"A": "the-value"})
    shown = repr(load_secrets(path))
    assert "'A'" in shown
    assert "the-value" not in shown


@pytest.mark.parametrize(
    ("content", "found", "line"),
    [
        (b'{\n"A": "the-value",\n}', "no JSON", 3),
        (b'["the-value"]', "a JSON list", None),
        (b'{"A": {"B": "the-value"}}', "'A' holding a dict", None),
        (b'{"A": 12345}', "'A' holding a int", None),
        (b'{"A": "the-value\xff"}', "no UTF-8", None),
        (b"[" * 100_000, "nested too deeply", None),
    ],
)
def test_bad_file_is_refused_without_showing_what_it_holds(
    path: Path, content: bytes, found: str, line: int | None
) -> None:
    path.write_bytes(content)
    with pytest.raises(SecretsFileError) as caught:
        load_secrets(path)
    assert found in caught.value.found
    assert caught.value.line == line
    shown = "".join(traceback.format_exception(caught.value))
    assert "the-value" not in shown
    assert "12345" not in shown


def test_number_of_5000_digits_is_refused_in_words(tmp_path: Path) -> None:
    """Python raises a ValueError of its own for it, which is no JSONDecodeError."""
    path = tmp_path / "secrets.json"
    path.write_text('{"KEY": ' + "9" * 5000 + "}", encoding="utf-8")
    with pytest.raises(SecretsFileError, match="too many digits") as caught:
        load_secrets(path)
    assert "9999" not in str(caught.value)

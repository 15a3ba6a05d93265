"""The section `s3` of config.yaml: the core's defaults, references to keys, faults by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import ConfigFileError, MissingSecretError
from streamhub_orm.settings import S3Settings, Secrets, load_app_config, s3_settings_of

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"APP_TV_2_S3_KEY": "ak", "APP_TV_2_S3_SECRET": "sk"}


def settings_from(
    folder: Path,
    section: str,
    environment: dict[str, str] | None = None,
    secrets: dict[str, str] | None = None,
) -> S3Settings | None:
    path = folder / "config.yaml"
    path.write_text(f"s3:\n{section}  bucket: rec\n", encoding="utf-8")
    entries = Secrets(folder / "secrets.json", KEYS if secrets is None else secrets)
    return s3_settings_of(load_app_config(path), "tv-2", entries, environment or {})


@pytest.mark.parametrize("text", ["", "a: 1\n", "s3:\n", "s3: null\n", "s3: {bucket: ''}\n"])
def test_app_without_a_bucket_has_no_store(tmp_path: Path, text: str) -> None:
    """A fresh app of the core has the section, and no bucket."""
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    config = load_app_config(tmp_path / "config.yaml")
    assert s3_settings_of(config, "tv-2", Secrets(tmp_path / "secrets.json", {})) is None


def test_defaults_are_those_of_the_core(tmp_path: Path) -> None:
    """Else a config that lacks `prefix` would address other objects than the core does."""
    assert settings_from(tmp_path, "") == S3Settings(
        bucket="rec",
        access_key="ak",
        secret_key="sk",  # noqa: S106
        region="us-east-1",
        endpoint="https://s3.us-east-1.wasabisys.com",
        force_path_style=False,
        prefix="streamhub/tv-2",
        public_url=None,
    )


def test_key_without_a_value_has_none(tmp_path: Path) -> None:
    found = settings_from(tmp_path, "  endpoint:\n  prefix: ''\n  region: ''\n")
    assert found is not None
    assert (found.endpoint, found.prefix, found.region) == (None, "", "us-east-1")


def test_everything_given_is_taken(tmp_path: Path) -> None:
    found = settings_from(
        tmp_path,
        "  provider: minio\n  region: eu-1\n  endpoint: http://minio.example:9000/\n"
        "  force_path_style: true\n  prefix: /live/\n  public_url: https://cdn.example/m/\n",
    )
    assert found is not None
    assert (found.region, found.force_path_style, found.prefix) == ("eu-1", True, "live")
    assert (found.endpoint, found.public_url) == (
        "http://minio.example:9000",
        "https://cdn.example/m",
    )


def test_environment_comes_before_secrets_json(tmp_path: Path) -> None:
    """And an empty variable counts as none."""
    environment = {"APP_TV_2_S3_KEY": "from-env", "APP_TV_2_S3_SECRET": ""}
    found = settings_from(tmp_path, "", environment)
    assert found is not None
    assert (found.access_key, found.secret_key) == ("from-env", "sk")


@pytest.mark.parametrize("name", ["PATH", "APP_TV_S3_KEY", "APP_TV_2", "BACKUP_S3_ACCESS_KEY_ID"])
def test_reference_to_what_is_not_the_apps_own_is_refused(tmp_path: Path, name: str) -> None:
    """Its value would go to whatever endpoint the same file names."""
    section = f"  endpoint: https://evil.example\n  access_key_env: {name}\n"
    with pytest.raises(ConfigFileError) as caught:
        settings_from(tmp_path, section, {name: "canary"}, {**KEYS, name: "canary"})
    assert caught.value.found == f"{name} as s3.access_key_env"
    assert "begins with APP_TV_2_" in caught.value.expected
    assert caught.value.line == 3
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("listed", ["SHARED_KEY", "OTHER, SHARED_KEY", "*"])
def test_operator_may_list_further_names(tmp_path: Path, listed: str) -> None:
    environment = {"STREAMHUB_SECRET_NAMES": listed, "SHARED_KEY": "shared"}
    found = settings_from(tmp_path, "  access_key_env: SHARED_KEY\n", environment)
    assert found is not None
    assert found.access_key == "shared"


@pytest.mark.parametrize(
    ("section", "found", "expected"),
    [
        ("  region: 5\n", "a number as s3.region", "a text"),
        ("  force_path_style: 'yes'\n", "a text as s3.force_path_style", "true or false"),
        ("  endpoint: minio:9000\n", "no such URL as s3.endpoint", "http://"),
        ("  endpoint: http://u:hidden@minio\n", "no such URL as s3.endpoint", "without a password"),
        ("  endpoint: http://u%3Ahidden%40minio\n", "no such URL as s3.endpoint", "password"),
        ("  endpoint: http://minio/?key=hidden\n", "no such URL as s3.endpoint", "a query"),
        ("  endpoint: http://minio/#hidden\n", "no such URL as s3.endpoint", "a query"),
        ("  public_url: //cdn\n", "no such URL as s3.public_url", "https://"),
        ("  access_key_env: ''\n", "nothing as s3.access_key_env", "the name of a secret"),
        ("  secret_key_env: aB3hidden\n", "of the name that config.yaml gives", "begins with"),
    ],
)
def test_fault_is_named_with_its_line(
    tmp_path: Path, section: str, found: str, expected: str
) -> None:
    with pytest.raises(ConfigFileError) as caught:
        settings_from(tmp_path, section)
    assert caught.value.found.startswith(found)
    assert expected in caught.value.expected
    assert caught.value.line == 2
    assert "hidden" not in str(caught.value)


def test_reference_to_a_key_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSecretError, match="no entry APP_TV_2_S3_KEY"):
        settings_from(tmp_path, "", {}, {})


def test_repr_hides_the_keys(tmp_path: Path) -> None:
    shown = repr(settings_from(tmp_path, "", secrets=dict.fromkeys(KEYS, "canary")))
    assert "rec" in shown
    assert "canary" not in shown

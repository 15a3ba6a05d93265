"""The section `s3` of config.yaml: defaults, references to keys, faults with their line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import ConfigFileError, MissingSecretError
from streamhub_orm.settings import (
    Provider,
    S3Settings,
    Secrets,
    load_app_config,
    load_secrets,
    s3_settings_of,
)

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = "  bucket: rec\n  access_key_env: AK\n  secret_key_env: SK\n"


def settings_from(folder: Path, section: str) -> S3Settings | None:
    path = folder / "config.yaml"
    path.write_text(f"s3:\n{section}{NEEDED}", encoding="utf-8")
    secrets = Secrets(folder / "secrets.json", {"AK": "file-ak"})
    return s3_settings_of(load_app_config(path), secrets, {"AK": "env-ak", "SK": "env-sk"})


def test_app_without_the_section_has_no_store(tmp_path: Path) -> None:
    for text in ("", "a: 1\n", "s3:\n", "s3: null\n"):
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        config = load_app_config(tmp_path / "config.yaml")
        assert s3_settings_of(config, load_secrets(tmp_path / "secrets.json")) is None


def test_defaults_are_aws_in_its_first_region(tmp_path: Path) -> None:
    assert settings_from(tmp_path, "") == S3Settings(
        bucket="rec",
        access_key="file-ak",
        secret_key="env-sk",  # noqa: S106
        provider=Provider.AWS,
        region="us-east-1",
        endpoint=None,
        force_path_style=False,
        prefix="",
        public_url=None,
    )


def test_everything_given_is_taken(tmp_path: Path) -> None:
    found = settings_from(
        tmp_path,
        "  provider: minio\n  region: eu-1\n  endpoint: http://minio.example:9000/\n"
        "  force_path_style: false\n  prefix: /live/\n  public_url: https://cdn.example/m/\n",
    )
    assert found is not None
    assert (found.provider, found.region) == (Provider.MINIO, "eu-1")
    assert (found.endpoint, found.public_url) == (
        "http://minio.example:9000",
        "https://cdn.example/m",
    )
    assert (found.force_path_style, found.prefix) == (False, "live")


def test_defaults_go_by_the_provider(tmp_path: Path) -> None:
    """MinIO knows its buckets by path; Wasabi's endpoint follows from the region."""
    minio = settings_from(tmp_path, "  provider: minio\n  endpoint: http://127.0.0.1:9000\n")
    wasabi = settings_from(tmp_path, "  provider: wasabi\n  region: eu-west-1\n")
    assert minio is not None
    assert minio.force_path_style
    assert wasabi is not None
    assert wasabi.endpoint == "https://s3.eu-west-1.wasabisys.com"


@pytest.mark.parametrize(
    ("section", "found", "expected"),
    [
        ("  provider: gcs\n", "'gcs' as s3.provider", "one of aws, wasabi, minio"),
        ("  region: 5\n", "a number as s3.region", "a text"),
        ("  force_path_style: 'yes'\n", "a text as s3.force_path_style", "true or false"),
        ("  endpoint: minio:9000\n", "no such URL as s3.endpoint", "http://"),
        ("  endpoint: http://u:hidden@minio\n", "no such URL as s3.endpoint", "without a password"),
        ("  provider: minio\n", "nothing as s3.endpoint", "MinIO"),
        ("  public_url: //cdn\n", "no such URL as s3.public_url", "https://"),
    ],
)
def test_fault_is_named_with_its_line(
    tmp_path: Path, section: str, found: str, expected: str
) -> None:
    with pytest.raises(ConfigFileError) as caught:
        settings_from(tmp_path, section)
    assert caught.value.found == found
    assert expected in caught.value.expected
    assert caught.value.line == (1 if found == "nothing as s3.endpoint" else 2)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("missing", ["bucket", "access_key_env", "secret_key_env"])
def test_what_is_needed_is_asked_for(tmp_path: Path, missing: str) -> None:
    lines = [line for line in NEEDED.splitlines(keepends=True) if f"{missing}:" not in line]
    path = tmp_path / "config.yaml"
    path.write_text("a: 1\ns3:\n" + "".join(lines), encoding="utf-8")
    secrets = Secrets(tmp_path / "secrets.json", {"AK": "1", "SK": "2"})
    with pytest.raises(ConfigFileError, match=rf"line 2: found nothing as s3\.{missing}"):
        s3_settings_of(load_app_config(path), secrets)


def test_reference_to_a_key_that_is_nowhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"s3:\n{NEEDED}", encoding="utf-8")
    with pytest.raises(MissingSecretError, match="no entry AK"):
        s3_settings_of(load_app_config(path), load_secrets(tmp_path / "secrets.json"), {})


def test_repr_hides_the_keys(tmp_path: Path) -> None:
    shown = repr(settings_from(tmp_path, ""))
    assert "rec" in shown
    assert "ak" not in shown
    assert "sk" not in shown

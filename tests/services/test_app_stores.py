"""The store of an app, from its config.yaml and from secrets.json, on a real server."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    AppNameError,
    ConfigFileError,
    IrregularFileError,
    MissingSecretError,
    StoreDeniedError,
)
from streamhub_orm.services import apps
from streamhub_orm.settings import save_secrets
from streamhub_orm.storage import store_for_app

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm import Databases
    from streamhub_orm.settings import S3Settings

KEY_NAMES = {"access_key_env": "APP_TV_2_KEY", "secret_key_env": "APP_TV_2_SECRET"}


def make_app(databases: Databases, s3: dict[str, object]) -> None:
    with databases.global_session() as session:
        apps.create(session, databases.place, "tv-2", config={"s3": {**KEY_NAMES, **s3}})


def save_keys(databases: Databases, access_key: str, secret_key: str) -> None:
    keys = {"APP_TV_2_KEY": access_key, "APP_TV_2_SECRET": secret_key}
    save_secrets(databases.place.secrets, keys)


@pytest.fixture
def on_minio(databases: Databases, s3_settings: S3Settings) -> Databases:
    """An app tv-2 whose recordings lie in a bucket of a real server, under the prefix tv-2."""
    save_keys(databases, s3_settings.access_key, s3_settings.secret_key)
    section = {
        "bucket": s3_settings.bucket,
        "endpoint": s3_settings.endpoint,
        "force_path_style": True,
    }
    make_app(databases, {"force_path_style": True, "prefix": "tv-2", **section})
    return databases


def test_app_without_s3_has_no_store(databases: Databases) -> None:
    assert store_for_app(databases.place, "live") is None


def test_store_of_an_app_takes_and_gives_its_recordings(
    on_minio: Databases, s3_settings: S3Settings, tmp_path: Path
) -> None:
    """Under its prefix, and by a presigned URL to whoever has it."""
    (tmp_path / "a").write_bytes(b"a recording")
    store = store_for_app(on_minio.place, "tv-2")
    assert store is not None
    with store:
        assert store.put(tmp_path / "a", "stage/a b.mp4").key == "tv-2/stage/a b.mp4"
        assert store.head("tv-2/stage/a b.mp4").size_bytes == 11
        url = store.presigned_url("stage/a b.mp4", seconds=60)
        endpoint, bucket = s3_settings.endpoint, s3_settings.bucket
        assert store.public_url("stage/a b.mp4") == f"{endpoint}/{bucket}/tv-2/stage/a%20b.mp4"
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        assert answer.read() == b"a recording"


def test_keys_come_from_the_environment_first(
    on_minio: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong ones, here: the store refuses them, and the error does not show them."""
    monkeypatch.setenv("APP_TV_2_KEY", "of-the-environment")
    monkeypatch.setenv("APP_TV_2_SECRET", "of-the-environment")
    store = store_for_app(on_minio.place, "tv-2")
    assert store is not None
    with store, pytest.raises(StoreDeniedError) as caught:
        list(store.iter_objects())
    assert "of-the-environment" not in str(caught.value)


def test_keys_that_are_nowhere_are_named(on_minio: Databases) -> None:
    on_minio.place.secrets.unlink()
    with pytest.raises(MissingSecretError, match="APP_TV_2_KEY"):
        store_for_app(on_minio.place, "tv-2")


def test_urls_of_an_app_that_keeps_to_the_defaults(databases: Databases) -> None:
    save_keys(databases, "AK", "SK")
    make_app(databases, {"provider": "wasabi", "bucket": "rec"})
    store = store_for_app(databases.place, "tv-2")
    assert store is not None
    with store:
        assert (
            store.public_url("a.mp4")
            == "https://rec.s3.us-east-1.wasabisys.com/streamhub/tv-2/a.mp4"
        )
        signed = store.presigned_url("a.mp4")
        assert signed.startswith("https://rec.s3.us-east-1.wasabisys.com/streamhub/tv-2/a.mp4?")


def test_fault_in_the_section_names_file_and_line(databases: Databases) -> None:
    path = databases.place.app_config("live")
    path.write_text("recording: {}\ns3:\n  bucket: [tape]\n", encoding="utf-8")
    with pytest.raises(ConfigFileError, match=r"config\.yaml, line 3: found a list"):
        store_for_app(databases.place, "live")


def test_config_that_lies_outside_of_apps_is_not_read(databases: Databases, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("s3: {provider: tape}\n", encoding="utf-8")
    databases.place.app_config("live").unlink()
    (databases.place.apps / "live/config.yaml").symlink_to(tmp_path / "config.yaml")
    with pytest.raises(IrregularFileError, match=r"found a link to .*; expected"):
        store_for_app(databases.place, "live")
    with pytest.raises(AppNameError):
        store_for_app(databases.place, "../live")

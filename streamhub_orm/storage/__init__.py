"""Object stores: one contract, S3 and a local folder behind it; and the store of an app.

boto3 takes most of a second to import, so nothing here imports it before an S3 store is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.settings import load_app_config, load_secrets, s3_settings_of
from streamhub_orm.storage.contract import ObjectInfo, ObjectStore
from streamhub_orm.storage.keys import object_key, object_url
from streamhub_orm.storage.local import LocalStore
from streamhub_orm.storage.verified import VerifiedReader

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage.s3 import S3Store

__all__ = [
    "LocalStore",
    "ObjectInfo",
    "ObjectStore",
    "VerifiedReader",
    "object_key",
    "object_url",
    "open_s3_store",
    "store_for_app",
]


_APP_SECONDS: Final = 8.0
"""So that a store that takes connections and never answers ends a purge within 30 s."""


def open_s3_store(settings: S3Settings, *, read_seconds: float = 15.0) -> S3Store:
    """Return the store that the settings name; nothing is sent yet. The caller closes it.

    One answer is waited for `read_seconds`, at most three times.
    """
    from streamhub_orm.storage.s3 import S3Store  # noqa: PLC0415 - boto3 is slow to import

    return S3Store(settings, read_seconds=read_seconds)


def store_for_app(place: DataDir, name: str) -> ObjectStore | None:
    """Return the app's object store, or None where its config.yaml names no bucket.

    The keys come from the environment, else from secrets.json. Nothing is sent yet; the caller
    closes it. Raises `AppNameError`, `ConfigFileError`, `SecretsFileError` or `MissingSecretError`.
    """
    config = load_app_config(place.app_config(name))
    settings = s3_settings_of(config, name, load_secrets(place.secrets))
    return None if settings is None else open_s3_store(settings, read_seconds=_APP_SECONDS)

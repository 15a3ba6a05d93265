"""The object store of one app, from its config.yaml and the installation's secrets.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.settings import load_app_config, load_secrets, s3_settings_of
from streamhub_orm.storage import open_s3_store

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import ObjectStore

__all__ = ["load_s3_settings", "store_for_app"]


def load_s3_settings(place: DataDir, name: str) -> S3Settings | None:
    """Read where an app's objects lie; None where its config.yaml has no section `s3`.

    The keys come from secrets.json, else from the environment. Raises `AppNameError`,
    `ConfigFileError`, `SecretsFileError` or `MissingSecretError`.
    """
    config = load_app_config(place.app_config(name))
    return s3_settings_of(config, load_secrets(place.secrets))


def store_for_app(place: DataDir, name: str) -> ObjectStore | None:
    """Return the app's object store, or None where it has none; nothing is sent yet.

    The caller closes it. Raises what `load_s3_settings` raises.
    """
    settings = load_s3_settings(place, name)
    return None if settings is None else open_s3_store(settings)

"""Settings outside the databases: an app's config.yaml, secrets.json and the environment."""

from streamhub_orm.settings.access import AccessMode, AccessSettings
from streamhub_orm.settings.app_config import AppConfig, load_app_config, save_app_config
from streamhub_orm.settings.archives import ArchiveSettings
from streamhub_orm.settings.s3 import S3Settings, s3_settings_of
from streamhub_orm.settings.secrets import Secrets, load_secrets, save_secrets

__all__ = [
    "AccessMode",
    "AccessSettings",
    "AppConfig",
    "ArchiveSettings",
    "S3Settings",
    "Secrets",
    "load_app_config",
    "load_secrets",
    "s3_settings_of",
    "save_app_config",
    "save_secrets",
]

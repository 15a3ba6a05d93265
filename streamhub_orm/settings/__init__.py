"""Settings outside the databases: an app's config.yaml, secrets.json and the environment."""

from streamhub_orm.settings.access import AccessMode, AccessSettings
from streamhub_orm.settings.app_config import AppConfig, load_app_config
from streamhub_orm.settings.archives import ArchiveSettings
from streamhub_orm.settings.config_edits import (
    Edited,
    apply_preset,
    change_app_config,
    list_config_backups,
    revert_app_config,
    write_app_config,
)
from streamhub_orm.settings.core_settings import effective_settings, new_app_settings
from streamhub_orm.settings.presets import PRESETS
from streamhub_orm.settings.s3 import S3Settings, s3_settings_of
from streamhub_orm.settings.secrets import Secrets, load_secrets, save_secrets

__all__ = [
    "PRESETS",
    "AccessMode",
    "AccessSettings",
    "AppConfig",
    "ArchiveSettings",
    "Edited",
    "S3Settings",
    "Secrets",
    "apply_preset",
    "change_app_config",
    "effective_settings",
    "list_config_backups",
    "load_app_config",
    "load_secrets",
    "new_app_settings",
    "revert_app_config",
    "s3_settings_of",
    "save_secrets",
    "write_app_config",
]

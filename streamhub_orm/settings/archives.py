"""Settings of archives: the BACKUP_* variables of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import EnvironmentSettingError
from streamhub_orm.settings.s3 import PLAIN_URL, S3Settings, is_plain_url

if TYPE_CHECKING:
    from collections.abc import Mapping

RETENTION_DAYS: Final = 30
_RETENTION: Final = "BACKUP_RETENTION_DAYS"
_RECIPIENTS: Final = "BACKUP_AGE_RECIPIENTS"
_ENDPOINT: Final = "BACKUP_S3_ENDPOINT"
_PREFIX: Final = "streamhub-backups"
_REGION: Final = "us-east-1"


@dataclass(frozen=True)
class ArchiveSettings:
    """Places of archives and how long they stay, as far as the environment says."""

    data_dir: Path | None
    """BACKUP_DATA_DIR: the installation to archive; None leaves it to DATA_DIR."""
    local_dir: Path | None
    """BACKUP_LOCAL_DIR; None leaves it to the default, `backups` in the installation."""
    retention_days: int
    """BACKUP_RETENTION_DAYS; 0 keeps archives of any age."""
    s3: S3Settings | None
    """BACKUP_S3_*; None where no bucket is named."""
    recipients: tuple[str, ...] = ()
    """BACKUP_AGE_RECIPIENTS: public keys that new archives are encrypted for, divided by commas."""
    identity: Path | None = None
    """BACKUP_AGE_IDENTITY: the file with the identity that opens encrypted archives."""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> ArchiveSettings:
        """Read the variables; an empty one counts as unset.

        Raises `EnvironmentSettingError` for an invalid number or URL and for missing keys.
        """
        found = os.environ if environment is None else environment
        return cls(
            _path(found, "BACKUP_DATA_DIR"),
            _path(found, "BACKUP_LOCAL_DIR"),
            _days(found.get(_RETENTION) or str(RETENTION_DAYS)),
            _s3(found),
            tuple(filter(None, map(str.strip, found.get(_RECIPIENTS, "").split(",")))),
            _path(found, "BACKUP_AGE_IDENTITY"),
        )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    return Path(value).absolute() if value else None


def _days(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        expected = "a whole number of days, 0 to keep all"
        raise EnvironmentSettingError(_RETENTION, repr(value), expected)
    return int(value)


def _s3(environment: Mapping[str, str]) -> S3Settings | None:
    bucket = environment.get("BACKUP_S3_BUCKET")
    if not bucket:
        return None
    endpoint = (environment.get(_ENDPOINT) or "").rstrip("/") or None
    if endpoint is not None and not is_plain_url(endpoint):
        raise EnvironmentSettingError(_ENDPOINT, "no such URL", PLAIN_URL)
    return S3Settings(
        bucket=bucket,
        access_key=_required(environment, "BACKUP_S3_ACCESS_KEY_ID"),
        secret_key=_required(environment, "BACKUP_S3_SECRET_ACCESS_KEY"),
        region=environment.get("BACKUP_S3_REGION") or _REGION,
        endpoint=endpoint,
        # A bucket as a host name needs DNS for it, which an endpoint of one's own seldom has.
        force_path_style=endpoint is not None,
        prefix=(environment.get("BACKUP_S3_PREFIX") or _PREFIX).strip("/"),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        expected = "a key of the bucket that BACKUP_S3_BUCKET names"
        raise EnvironmentSettingError(name, "nothing", expected)
    return value

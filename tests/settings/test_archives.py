"""The BACKUP_* variables of the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamhub_orm.errors import EnvironmentSettingError
from streamhub_orm.settings import ArchiveSettings

BUCKET = {
    "BACKUP_S3_BUCKET": "safe",
    "BACKUP_S3_ACCESS_KEY_ID": "canary-access",
    "BACKUP_S3_SECRET_ACCESS_KEY": "canary-secret",
}


def test_nothing_set_keeps_thirty_days_and_names_no_bucket() -> None:
    found = ArchiveSettings.load({"BACKUP_LOCAL_DIR": "", "BACKUP_S3_BUCKET": ""})
    assert found == ArchiveSettings(None, None, 30, None)


def test_variables_of_the_field_are_honoured() -> None:
    found = ArchiveSettings.load(
        {
            "BACKUP_DATA_DIR": "/srv/streamhub",
            "BACKUP_LOCAL_DIR": "/var/backups",
            "BACKUP_RETENTION_DAYS": "0",
            "BACKUP_S3_ENDPOINT": "https://s3.example.org",
            "BACKUP_S3_REGION": "eu-1",
            "BACKUP_S3_PREFIX": "/night/",
            **BUCKET,
        }
    )
    assert (found.data_dir, found.local_dir) == (Path("/srv/streamhub"), Path("/var/backups"))
    assert found.retention_days == 0
    assert found.s3 is not None
    assert (found.s3.endpoint, found.s3.region) == ("https://s3.example.org", "eu-1")
    assert (found.s3.prefix, found.s3.force_path_style) == ("night", True)


def test_bucket_of_aws_gets_the_fields_prefix_and_hides_its_keys() -> None:
    found = ArchiveSettings.load(BUCKET)
    assert found.s3 is not None
    assert (found.s3.prefix, found.s3.endpoint) == ("streamhub-backups", None)
    assert "canary" not in repr(found)


@pytest.mark.parametrize("days", ["-1", "1.5", "soon", "١٢"])
def test_days_that_are_none_are_refused(days: str) -> None:
    with pytest.raises(EnvironmentSettingError, match="BACKUP_RETENTION_DAYS"):
        ArchiveSettings.load({"BACKUP_RETENTION_DAYS": days})


def test_bucket_without_a_key_is_refused_by_the_name_of_the_variable() -> None:
    lacking = {**BUCKET, "BACKUP_S3_SECRET_ACCESS_KEY": ""}
    with pytest.raises(EnvironmentSettingError, match="BACKUP_S3_SECRET_ACCESS_KEY"):
        ArchiveSettings.load(lacking)


@pytest.mark.parametrize("endpoint", ["foo", "http://user:canary@127.0.0.1:9", "ftp://host"])
def test_endpoint_that_is_no_plain_url_is_refused_unseen(endpoint: str) -> None:
    """A password in it would stand in every error about the bucket."""
    with pytest.raises(EnvironmentSettingError, match="BACKUP_S3_ENDPOINT") as refused:
        ArchiveSettings.load({**BUCKET, "BACKUP_S3_ENDPOINT": endpoint})
    assert "canary" not in str(refused.value)

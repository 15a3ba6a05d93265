"""Installations to back up, and their archives."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Protocol

import pytest

from streamhub_orm.archives.create import create_archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation


@pytest.fixture
def installation(make_installation: MakeInstallation) -> Installation:
    """Databases of several apps, some with a -wal that a killed writer left."""
    found = make_installation("pre_tenancy", rows=12)
    secrets = found.global_path.with_name("secrets.json")
    secrets.write_text('{"S3_KEY": "a-secret-key"}', encoding="utf-8")
    secrets.chmod(0o600)
    (found.data_dir / "apps/live/config.yaml").write_text("display_name: Läufer\n", "utf-8")
    return found


@pytest.fixture
def created(installation: Installation, tmp_path: Path) -> Created:
    """A backup of it."""
    return create_archive(installation.data_dir, tmp_path / "backups")


class MakeArchive(Protocol):
    """Writes a .tar.gz as an attacker, or a shell script, would."""

    def __call__(self, members: Mapping[str, bytes | tarfile.TarInfo]) -> Path: ...


@pytest.fixture
def make_archive(tmp_path: Path) -> MakeArchive:
    """Make an archive that no code of the product had a hand in."""

    def make(members: Mapping[str, bytes | tarfile.TarInfo]) -> Path:
        path = tmp_path / "streamhub-backup-20240229T235959Z.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, content in members.items():
                if isinstance(content, tarfile.TarInfo):
                    content.name = name
                    tar.addfile(content)
                else:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        return path

    return make

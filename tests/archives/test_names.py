"""Names of archives, and of the files in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.names import ArchiveName, Part, PartKind, part_named
from streamhub_orm.data_dir import DataDir

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)


def test_archive_name_is_the_one_of_the_field() -> None:
    assert str(ArchiveName(AT)) == "streamhub-backup-20260131T235958Z.tar.gz"
    assert ArchiveName.parse("streamhub-backup-20260131T235958Z.tar.gz") == ArchiveName(AT)


def test_archive_that_lacks_something_says_so_in_its_name() -> None:
    name = str(ArchiveName(AT, complete=False))
    assert name == "streamhub-backup-20260131T235958Z.incomplete.tar.gz"
    assert ArchiveName.parse(name) == ArchiveName(AT, complete=False)


@pytest.mark.parametrize(
    "name",
    [
        "streamhub-backup-20260131T235958Z.tar",
        "streamhub-backup-20261331T235958Z.tar.gz",
        "x-streamhub-backup-20260131T235958Z.tar.gz",
        "streamhub-backup-20260131T235958Z.tar.gz\n",
        "streamhub-backup-\uff12\uff10260131T235958Z.tar.gz",
    ],
)
def test_archive_name_of_another_form_is_none(name: str) -> None:
    assert ArchiveName.parse(name) is None


@pytest.mark.parametrize(
    ("part", "name", "path"),
    [
        (Part(PartKind.GLOBAL), "data/streamhub.db", "data/streamhub.db"),
        (Part(PartKind.SECRETS), "data/secrets.json", "data/secrets.json"),
        (Part(PartKind.APP, "live"), "data/apps/live/app.db", "apps/live/app.db"),
        (Part(PartKind.LEGACY, "live"), "data/apps/live/vods.db", "apps/live/vods.db"),
        (Part(PartKind.CONFIG, "tv-2"), "data/apps/tv-2/config.yaml", "apps/tv-2/config.yaml"),
    ],
)
def test_member_has_a_name_in_the_archive_and_a_path_in_an_installation(
    part: Part, name: str, path: str, tmp_path: Path
) -> None:
    place = DataDir.fresh(tmp_path)
    assert part.name == name
    assert part_named(name) == part
    assert part.path_in(place) == place.root / path


@pytest.mark.parametrize(
    "name",
    [
        "data/apps/../app.db",
        "data/apps/UPPER/app.db",
        "data/apps/live/other.db",
        "data/apps/live/app.db\n",
        "apps/live/app.db",
        "/data/streamhub.db",
    ],
)
def test_path_that_no_member_has_is_none(name: str) -> None:
    assert part_named(name) is None

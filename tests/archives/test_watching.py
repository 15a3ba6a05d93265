"""Archives that are watched: their age, what they hold, how they differ, and a drill."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives import (
    Places,
    check_freshness,
    create_archive,
    drill,
    survey_archives,
)
from streamhub_orm.archives.contents import compare_manifests, read_manifest
from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.archives.verify import verify_stored
from streamhub_orm.errors import DamagedArchiveError, UnusableArchiveError
from streamhub_orm.upgrade import upgrade_installation
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.archives.conftest import MakeArchive
    from tests.support.installations import Installation


@pytest.fixture
def places(installation: Installation, created: Created) -> Places:
    return Places(installation.data_dir, created.archive.parent, None, 30)


def test_place_with_a_young_archive_is_fresh(places: Places) -> None:
    (found,) = check_freshness(places, max_age=timedelta(hours=26), verify=True)
    assert (found.place, found.error) == ("local", None)
    assert found.newest is not None


def test_old_incomplete_damaged_and_future_ones_raise_the_alarm(
    places: Places, created: Created
) -> None:
    old = created.archive.with_name(str(ArchiveName(datetime.now(UTC) - timedelta(hours=30))))
    created.archive.rename(old)
    future = ArchiveName(datetime.now(UTC) + timedelta(days=9))
    unfinished = ArchiveName(datetime.now(UTC), complete=False)
    for name in (future, unfinished):
        old.with_name(str(name)).write_bytes(old.read_bytes())
    (late,) = check_freshness(places, max_age=timedelta(hours=26))
    assert late.error == "the newest complete backup is 30 h old, at most 26 h"
    assert check_freshness(places, max_age=timedelta(hours=31))[0].error is None
    old.write_bytes(old.read_bytes()[:-4000])
    assert check_freshness(places)[0].error is None
    (damaged,) = check_freshness(places, verify=True)
    assert "damaged" in str(damaged.error)
    old.unlink()
    assert check_freshness(places)[0].error == "no complete backup"


def test_folder_that_is_not_there_raises_the_alarm(installation: Installation) -> None:
    places = Places(installation.data_dir, installation.data_dir / "nowhere", None, 30)
    (found,) = check_freshness(places)
    assert "nowhere" in str(found.error)


def test_difference_names_files_and_rows(
    installation: Installation, created: Created, tmp_path: Path
) -> None:
    path = installation.data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'n', 'rtmp')")
    (installation.data_dir / "apps/live/config.yaml").unlink()
    later = create_archive(installation.data_dir, tmp_path / "later")
    before, after = read_manifest(created.archive), read_manifest(later.archive)
    assert not compare_manifests(before, before)
    found = {it.name: it for it in compare_manifests(before, after)}
    assert set(found) == {"data/apps/live/app.db", "data/apps/live/config.yaml"}
    assert found["data/apps/live/config.yaml"].change == "removed"
    rows = found["data/apps/live/app.db"].rows
    assert {table: after - before for table, (before, after) in rows.items()} == {"streams": 1}


def test_archive_of_a_script_has_no_contents_to_show(make_archive: MakeArchive) -> None:
    with pytest.raises(UnusableArchiveError, match="no manifest"):
        read_manifest(make_archive({"data/secrets.json": b"{}"}))


def test_drill_restores_checks_and_leaves_nothing(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = fingerprint_files(places.data_dir)
    drilled = drill(places)
    assert drilled.ok, drilled.faults
    assert drilled.databases > 2
    assert fingerprint_files(places.data_dir) == before
    assert not list(scratch.iterdir())


def test_drill_finds_what_is_wrong_in_the_databases(
    installation: Installation, places: Places
) -> None:
    """The archive is as it was written, and what it holds is wrong all the same."""
    upgrade_installation(installation.data_dir)
    path = installation.data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP INDEX idx_vods_room")
    create_archive(installation.data_dir, places.folder)
    drilled = drill(places)
    assert not drilled.ok
    assert drilled.faults == ["live: index idx_vods_room is missing"]


def test_verification_is_recorded_with_the_file_and_void_once_it_is_written_to(
    places: Places, created: Created
) -> None:
    (before,) = survey_archives(places)
    assert (before.verified_at, before.verification) == (None, "not verified yet")
    check_freshness(places, verify=True)
    (facts,) = survey_archives(places)
    assert facts.verified_at is not None
    assert facts.in_words() == f"{created.archive.name} is 0 min old, verified 0 min ago"
    with created.archive.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0")
    assert survey_archives(places)[0].verified_at is None


def test_damaged_archive_is_not_recorded_as_verified(places: Places, created: Created) -> None:
    created.archive.write_bytes(created.archive.read_bytes()[:-4000])
    with pytest.raises(DamagedArchiveError):
        verify_stored(places, "latest")
    assert survey_archives(places)[0].verified_at is None


@pytest.mark.parametrize("verify", [verify_stored, drill])
def test_verify_and_drill_record_it(
    places: Places, verify: Callable[[Places, str], object]
) -> None:
    verify(places, "latest")
    assert check_freshness(places)[0].verified_at is not None

"""A backup holds every database as it is, or says which one it lacks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.format import load_manifest
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import NotADatabaseError, SpaceError, UpgradeRunningError
from tests.support.installations.snapshot import fingerprint_files, load_database

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.conftest import MakeDisk
    from tests.support.installations import Installation

UNPROVABLE_SECONDS = 2.1
"""A change so young leaves open whether another followed within the same tick."""


def extract(archive: Path, folder: Path) -> Path:
    """Extract as an operator does, by GNU tar."""
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return folder


def test_backup_holds_the_rows_of_every_database(
    installation: Installation, created: Created, tmp_path: Path
) -> None:
    """Those in a left-over -wal, too; and secrets.json and each config.yaml."""
    out = extract(created.archive, tmp_path / "out") / "data"
    assert created.complete
    databases = {"streamhub.db": installation.global_path}
    for path in (installation.data_dir / "apps").rglob("*.db"):
        if path.stat().st_size:
            databases[str(path.relative_to(installation.data_dir))] = path
    assert len(databases) > 4
    for name, path in databases.items():
        copied, source = load_database(out / name), load_database(path)
        assert copied is not None
        assert source is not None
        assert copied.tables == source.tables, name
    assert (out / "secrets.json").read_text("utf-8") == '{"S3_KEY": "a-secret-key"}'
    assert "Läufer" in (out / "apps/live/config.yaml").read_text("utf-8")


def test_backup_changes_nothing_of_the_installation(
    installation: Installation, tmp_path: Path
) -> None:
    before = fingerprint_files(installation.data_dir)
    create_archive(installation.data_dir, tmp_path / "backups")
    assert fingerprint_files(installation.data_dir) == before


def test_backup_and_what_lies_in_it_are_private(created: Created, tmp_path: Path) -> None:
    assert created.archive.stat().st_mode & 0o777 == 0o600
    out = extract(created.archive, tmp_path / "out")
    assert (out / "data/secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in created.archive.parent.iterdir()] == [created.archive.name]


def test_manifest_says_what_is_in_each_file(created: Created, tmp_path: Path) -> None:
    manifest = load_manifest(created.archive)
    assert manifest == created.manifest
    entry = created.manifest.entries["data/apps/live/app.db"]
    out = extract(created.archive, tmp_path / "out")
    path = out / entry.name
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    assert digest.stdout.split()[0] == entry.sha256
    assert path.stat().st_size == entry.bytes
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT count(*) FROM streams").fetchone()[0]
    assert entry.rows is not None
    assert entry.rows["streams"] == found > 0


def test_second_backup_reads_no_unchanged_file_again(
    installation: Installation, tmp_path: Path
) -> None:
    """It is whole all the same, and what changed is in it."""
    time.sleep(UNPROVABLE_SECONDS)
    folder = tmp_path / "backups"
    first = create_archive(installation.data_dir, folder)
    second = create_archive(installation.data_dir, folder)
    assert (first.reused, second.reused) == (0, len(first.manifest.files))
    changed = installation.data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(changed)) as connection, connection:
        connection.execute("DELETE FROM streams")
    third = create_archive(installation.data_dir, folder)
    assert third.reused == second.reused - 1
    rows = third.manifest.entries["data/apps/live/app.db"].rows
    assert rows is not None
    assert rows["streams"] == 0
    assert verify_archive(third.archive).ok


def test_change_within_the_tick_of_the_backup_is_seen_by_the_next(
    installation: Installation, tmp_path: Path
) -> None:
    """The times of a file that was just written prove nothing, so it is read again."""
    path = installation.data_dir / "apps/live/app.db"
    folder = tmp_path / "backups"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE streams SET room = 'before'")
        create_archive(installation.data_dir, folder)
        connection.execute("UPDATE streams SET room = 'after'")
        second = create_archive(installation.data_dir, folder)
    out = extract(second.archive, tmp_path / "out") / "data/apps/live/app.db"
    with closing(sqlite3.connect(out)) as connection:
        assert connection.execute("SELECT DISTINCT room FROM streams").fetchall() == [("after",)]


def test_file_with_restored_times_is_read_again(installation: Installation, tmp_path: Path) -> None:
    """Mtime can be set by any program, ctime by none."""
    path = installation.data_dir / "apps/live/config.yaml"
    time.sleep(UNPROVABLE_SECONDS)
    folder = tmp_path / "backups"
    create_archive(installation.data_dir, folder)
    found = path.stat()
    path.write_text("display_name: Laeufer\n", "utf-8")
    assert path.stat().st_size == found.st_size
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    second = create_archive(installation.data_dir, folder)
    out = extract(second.archive, tmp_path / "out")
    assert "Laeufer" in (out / "data/apps/live/config.yaml").read_text("utf-8")


def test_file_is_read_again_where_the_archive_before_is_damaged(
    installation: Installation, tmp_path: Path
) -> None:
    """A fragment is taken over only if it is as it was written."""
    time.sleep(UNPROVABLE_SECONDS)
    first = create_archive(installation.data_dir, tmp_path / "backups")
    entry = first.manifest.entries["data/streamhub.db"]
    with first.archive.open("r+b") as file:
        file.seek(entry.offset + entry.packed_bytes // 2)
        file.write(b"damage")
    second = create_archive(installation.data_dir, tmp_path / "backups")
    assert second.reused == len(first.manifest.files) - 1
    assert verify_archive(second.archive).ok


def test_backup_without_a_damaged_database_says_so(
    installation: Installation, tmp_path: Path
) -> None:
    """The others are in it; it is named incomplete, and the next one is whole again."""
    path = installation.data_dir / "apps/live/app.db"
    kept = path.read_bytes()
    path.with_name("app.db-wal").unlink(missing_ok=True)
    path.write_bytes(kept[:5000] + b"\xff" * 4000 + kept[9000:])
    partial = create_archive(installation.data_dir, tmp_path / "backups")
    assert not partial.complete
    assert list(partial.manifest.failures) == ["data/apps/live/app.db"]
    assert partial.archive.name.endswith(".incomplete.tar.gz")
    assert "data/apps/tv-2/app.db" in partial.manifest.entries
    assert verify_archive(partial.archive).ok
    path.write_bytes(kept)
    assert create_archive(installation.data_dir, tmp_path / "backups").complete


def test_backup_holds_what_a_busy_writer_committed_before_it(
    installation: Installation, tmp_path: Path
) -> None:
    """A connection that stays open with rows in the -wal, as the Node core's does."""
    path = installation.data_dir / "apps/tv-2/app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as core:
        core.execute("PRAGMA journal_mode = WAL")
        core.execute("INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'new', 'rtmp')")
        done = create_archive(installation.data_dir, tmp_path / "backups")
        out = extract(done.archive, tmp_path / "out")
        with closing(sqlite3.connect(out / "data/apps/tv-2/app.db")) as connection:
            query = "SELECT count(*) FROM streams WHERE stream_id = 'new'"
            assert connection.execute(query).fetchone() == (1,)
        core.execute("INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'newer', 'rtmp')")


def test_backup_while_an_upgrade_runs_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    lock = installation.global_path.with_name("streamhub.db.lock")
    with run_lock(lock), pytest.raises(UpgradeRunningError):
        create_archive(installation.data_dir, tmp_path / "backups")
    assert not (tmp_path / "backups").exists()


def test_backup_that_is_refused_leaves_no_folder(installation: Installation) -> None:
    """The global database is none any more, so there is nothing to back up."""
    installation.global_path.with_name("streamhub.db-wal").unlink(missing_ok=True)
    installation.global_path.write_bytes(b"garbage" * 1000)
    with pytest.raises(NotADatabaseError):
        create_archive(installation.data_dir, installation.data_dir / "deep" / "backups")
    assert not (installation.data_dir / "deep").exists()


def test_backup_onto_a_full_disk_leaves_no_folder(
    installation: Installation, make_disk: MakeDisk
) -> None:
    disk = make_disk(4)
    (disk / "filler").write_bytes(bytes(4096))
    with pytest.raises(SpaceError):
        create_archive(installation.data_dir, disk / "backups")
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_backup_that_is_refused_keeps_a_folder_that_was_there(
    installation: Installation, tmp_path: Path
) -> None:
    installation.global_path.with_name("streamhub.db-wal").unlink(missing_ok=True)
    installation.global_path.write_bytes(b"garbage" * 1000)
    (tmp_path / "mine").mkdir()
    with pytest.raises(NotADatabaseError):
        create_archive(installation.data_dir, tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def test_backup_clears_away_what_a_dead_run_left(
    installation: Installation, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    first = create_archive(installation.data_dir, folder)
    shutil.copytree(folder, tmp_path / "kept")
    (folder / ".streamhub-backup-another").mkdir()
    mark = next(iter(_scratch_names(installation)))
    (folder / mark).mkdir()
    (folder / mark / "archive").write_bytes(b"half")
    second = create_archive(installation.data_dir, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [".streamhub-backup-another", first.archive.name, second.archive.name]
    )


def _scratch_names(installation: Installation) -> list[str]:
    """See which name the product gives its unfinished work, by watching it at work."""
    seen: list[str] = []
    folder = installation.data_dir.with_name("watched")

    def look(*_: object) -> None:
        seen.extend(path.name for path in folder.iterdir() if path.is_dir())

    create_archive(installation.data_dir, folder, progress=look)
    return seen

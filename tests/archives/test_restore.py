"""A restore brings every row back, sets the present files aside, and can be undone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.restore import restore_archive, undo_restore
from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import (
    ArchiveError,
    DamagedArchiveError,
    DatabaseInUseError,
    DataDirError,
    SpaceError,
    UnusableArchiveError,
    UpgradeRunningError,
)
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files, load_database, load_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.archives.conftest import MakeArchive
    from tests.conftest import MakeDisk, MakeInstallation
    from tests.support.installations import Installation

HOLD_OPEN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def tables_of(data_dir: Path) -> dict[str, object]:
    """Read every table of every database of an installation."""
    snapshot = load_snapshot(data_dir)
    found: dict[str, object] = {"global": snapshot.registry.tables}
    for kind, databases in (("app", snapshot.app_dbs), ("vods", snapshot.vods_dbs)):
        found |= {f"{kind} {app}": database.tables for app, database in databases.items()}
    return found


def spoil(installation: Installation) -> None:
    """Lose rows, a file and a secret."""
    for path in (installation.global_path, installation.data_dir / "apps/live/app.db"):
        with closing(sqlite3.connect(path)) as connection, connection:
            query = "SELECT name FROM sqlite_master WHERE name IN ('streams', 'apps')"
            for (name,) in connection.execute(query).fetchall():
                connection.execute(f"DELETE FROM {name} WHERE rowid > 1")
    (installation.data_dir / "apps/tv-2/app.db").write_bytes(b"ruined")
    installation.global_path.with_name("secrets.json").unlink()


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_restore_brings_back_every_row_and_secret(
    make_installation: MakeInstallation, tmp_path: Path, layout: str
) -> None:
    found = make_installation("pre_tenancy", layout, rows=12)
    secrets = found.global_path.with_name("secrets.json")
    secrets.write_text('{"K": "v"}', "utf-8")
    before = tables_of(found.data_dir)
    archive = create_archive(found.data_dir, tmp_path / "backups").archive
    spoil(found)
    restore_archive(archive, found.data_dir)
    assert tables_of(found.data_dir) == before
    assert secrets.read_text("utf-8") == '{"K": "v"}'
    assert secrets.stat().st_mode & 0o777 == 0o600


def test_restore_into_an_empty_folder_makes_an_installation(
    installation: Installation, created: Created, tmp_path: Path
) -> None:
    """Moving to another machine: the nested layout, ready to be upgraded."""
    restored = restore_archive(created.archive, tmp_path / "new" / "place")
    assert tables_of(restored.data_dir) == tables_of(installation.data_dir)
    assert run_in_process("--data-dir", restored.data_dir, "upgrade").status == 0
    assert run_in_process("--data-dir", restored.data_dir, "check").status == 0


def test_restore_into_a_new_folder_that_is_refused_leaves_nothing(
    created: Created, tmp_path: Path
) -> None:
    created.archive.write_bytes(created.archive.read_bytes()[:-5000])
    with pytest.raises(DamagedArchiveError):
        restore_archive(created.archive, tmp_path / "new" / "place")
    assert not (tmp_path / "new").exists()


def test_rehearsed_restore_into_a_new_folder_leaves_nothing(
    created: Created, tmp_path: Path
) -> None:
    restore_archive(created.archive, tmp_path / "new", dry_run=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kibibytes", [4, 8, 100])
def test_restore_into_a_new_folder_on_a_full_disk_leaves_nothing(
    created: Created, make_disk: MakeDisk, kibibytes: int
) -> None:
    disk = make_disk(kibibytes)
    (disk / "filler").write_bytes(bytes(4096))
    with pytest.raises(SpaceError):
        restore_archive(created.archive, disk / "new")
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_restore_beside_another_one_into_the_same_new_folder_leaves_it_its_lock(
    created: Created, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one got the lock first, in the folder that this one had made."""
    place = DataDir.fresh(tmp_path / "new")

    @contextmanager
    def outrun(path: Path) -> Iterator[None]:
        with run_lock(path), run_lock(path):
            yield

    monkeypatch.setattr("streamhub_orm.archives.restore_target.run_lock", outrun)
    with pytest.raises(UpgradeRunningError):
        restore_archive(created.archive, place.root)
    assert place.lock_path.exists()


def test_restore_that_is_refused_keeps_the_lock_of_an_installation(
    installation: Installation, created: Created
) -> None:
    """Without it two runs could lock two files of one name."""
    created.archive.write_bytes(created.archive.read_bytes()[:-5000])
    with pytest.raises(DamagedArchiveError):
        restore_archive(created.archive, installation.data_dir)
    assert (installation.data_dir / "data/streamhub.db.lock").exists()


def test_restore_works_where_the_global_database_is_lost(
    installation: Installation, created: Created
) -> None:
    before = tables_of(installation.data_dir)
    installation.global_path.unlink()
    restore_archive(created.archive, installation.data_dir)
    assert tables_of(installation.data_dir) == before


def test_restore_of_a_folder_that_is_no_installation_is_refused(
    created: Created, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_bytes(b"cat")
    with pytest.raises(DataDirError):
        restore_archive(created.archive, tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["cat.jpg"]  # noqa: PTH208 - names


def test_restore_is_undone_and_the_undoing_too(
    installation: Installation, created: Created
) -> None:
    """Every row, and the file that is no database, as they were before the restore."""
    spoil(installation)
    before, ruined = contents_of(installation.data_dir), "apps/tv-2/app.db"
    assert before[ruined] == b"ruined"
    restored = restore_archive(created.archive, installation.data_dir)
    after = contents_of(installation.data_dir)
    assert restored.set_aside is not None
    undone = undo_restore(restored.set_aside, installation.data_dir)
    assert contents_of(installation.data_dir) == before
    assert not restored.set_aside.exists()
    assert undone.set_aside is not None
    undo_restore(undone.set_aside, installation.data_dir)
    assert contents_of(installation.data_dir) == after


def contents_of(root: Path) -> dict[str, object]:
    """Read every file of an installation: the tables of a database, the bytes of what is none."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        ours = not name.startswith("pre-restore-") and not name.endswith(("-wal", "-shm", ".lock"))
        if path.is_file() and ours:
            content = path.read_bytes()
            database = load_database(path) if content.startswith(b"SQLite format 3") else None
            found[name] = content if database is None else database.tables
    return found


def test_undo_takes_away_what_the_restore_added(
    installation: Installation, created: Created
) -> None:
    path = installation.data_dir / "apps/tv-2/app.db"
    path.unlink()
    restored = restore_archive(created.archive, installation.data_dir)
    assert path.exists()
    assert restored.set_aside is not None
    undo_restore(restored.set_aside, installation.data_dir)
    assert not path.exists()


def test_undo_of_what_no_restore_made_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    before = fingerprint_files(installation.data_dir)
    with pytest.raises(ArchiveError, match="pre-restore"):
        undo_restore(tmp_path / "other", installation.data_dir)
    assert fingerprint_files(installation.data_dir).items() >= before.items()


@pytest.mark.parametrize(
    "record",
    [b"[" * 200_000, b'{"files": ' + b"9" * 5_000 + b"}", b'{"files": []}', b"\xff", b"{}"],
    ids=["deep", "long number", "list", "no text", "nothing"],
)
def test_undo_with_an_unreadable_record_is_refused(
    installation: Installation, created: Created, record: bytes
) -> None:
    restored = restore_archive(created.archive, installation.data_dir)
    assert restored.set_aside is not None
    (restored.set_aside / "restored.json").write_bytes(record)
    before = fingerprint_files(installation.data_dir)
    with pytest.raises(ArchiveError, match="no readable restored"):
        undo_restore(restored.set_aside, installation.data_dir)
    assert fingerprint_files(installation.data_dir) == before


def test_restore_of_one_app_touches_no_other(installation: Installation, created: Created) -> None:
    before = tables_of(installation.data_dir)
    spoil(installation)
    spoiled = tables_of(installation.data_dir)
    restored = restore_archive(created.archive, installation.data_dir, app="live")
    assert all(name.startswith("data/apps/live/") for name in restored.files)
    after = tables_of(installation.data_dir)
    assert after["app live"] == before["app live"]
    assert after["global"] == spoiled["global"]


def test_restore_of_an_app_that_the_archive_lacks_is_refused(
    installation: Installation, created: Created
) -> None:
    with pytest.raises(ArchiveError, match="no files of app 'no-such-app'"):
        restore_archive(created.archive, installation.data_dir, app="no-such-app")


def test_restored_app_that_is_not_registered_is_named(
    installation: Installation, created: Created
) -> None:
    with closing(sqlite3.connect(installation.global_path)) as connection, connection:
        connection.execute("DELETE FROM apps WHERE name = 'live'")
    restored = restore_archive(created.archive, installation.data_dir, app="live")
    assert restored.unregistered == ["live"]


def test_rehearsed_restore_touches_nothing(installation: Installation, created: Created) -> None:
    spoil(installation)
    before = fingerprint_files(installation.data_dir)
    restored = restore_archive(created.archive, installation.data_dir, dry_run=True)
    assert "data/streamhub.db" in restored.files
    assert restored.set_aside is None
    assert fingerprint_files(installation.data_dir) == before


def test_restore_of_an_archive_with_a_bad_file_touches_nothing(
    installation: Installation, make_archive: MakeArchive
) -> None:
    """The bad one is the last, so all others were unpacked before it was found."""
    good = installation.global_path.read_bytes()
    archive = make_archive({"data/streamhub.db": good, "data/apps/live/app.db": b"x" * 4096})
    before = fingerprint_files(installation.data_dir)
    with pytest.raises(DamagedArchiveError, match=r"data/apps/live/app\.db"):
        restore_archive(archive, installation.data_dir)
    assert fingerprint_files(installation.data_dir) == before


def test_restore_of_a_newer_release_is_refused(
    installation: Installation, make_archive: MakeArchive, tmp_path: Path
) -> None:
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("CREATE TABLE apps (id)")
        connection.execute("INSERT INTO alembic_version VALUES ('g9999')")
    archive = make_archive({"data/streamhub.db": newer.read_bytes()})
    with pytest.raises(DamagedArchiveError, match="g9999"):
        restore_archive(archive, installation.data_dir)


def test_archive_of_a_shell_script_is_restored(installation: Installation, tmp_path: Path) -> None:
    """Operators made theirs with cp and tar: no manifest, a folder before each file."""
    tree = tmp_path / "tree/data"
    (tree / "apps/live").mkdir(parents=True)
    for source, target in (
        (installation.global_path, tree / "streamhub.db"),
        (installation.data_dir / "apps/tv-2/app.db", tree / "apps/live/app.db"),
    ):
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    archive = tmp_path / "streamhub-backup-20200101T000000Z.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", tmp_path / "tree", "data"], check=True)
    with pytest.raises(UnusableArchiveError, match=r"no manifest.*--no-manifest.*no checksum"):
        restore_archive(archive, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()
    restored = restore_archive(archive, tmp_path / "fresh", no_manifest=True)
    assert restored.to_json()["checksums"] is False
    assert sorted(restored.files) == ["data/apps/live/app.db", "data/streamhub.db"]
    assert run_in_process("--data-dir", tmp_path / "fresh", "upgrade").status == 0


def test_incomplete_backup_is_restored_only_when_asked_for(
    installation: Installation, tmp_path: Path
) -> None:
    path = installation.data_dir / "apps/tv-2/app.db"
    path.write_bytes(b"ruined, and longer than nothing")
    path.with_name("app.db-wal").unlink(missing_ok=True)
    archive = create_archive(installation.data_dir, tmp_path / "backups").archive
    with pytest.raises(ArchiveError, match=r"lacks data/apps/tv-2/app\.db"):
        restore_archive(archive, installation.data_dir)
    restored = restore_archive(archive, installation.data_dir, allow_incomplete=True)
    assert "data/apps/tv-2/app.db" not in restored.files
    assert path.read_bytes() == b"ruined, and longer than nothing"


def test_restore_while_a_process_has_a_database_open_is_refused(
    installation: Installation, created: Created
) -> None:
    path = installation.data_dir / "apps/live/app.db"
    before = tables_of(installation.data_dir)
    command = [sys.executable, "-c", HOLD_OPEN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseInUseError, match=rf"app\.db by process {holder.pid} \(python"):
            restore_archive(created.archive, installation.data_dir)
        holder.communicate()
    assert tables_of(installation.data_dir) == before
    assert not list(installation.data_dir.glob("pre-restore-*"))
    assert not (installation.data_dir / ".streamhub-restore").exists()


def test_restore_sees_a_user_that_only_sqlite_knows_of(
    installation: Installation, created: Created, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another user's process hides its open files; its lock on the database tells."""
    path = installation.data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
    monkeypatch.setattr("streamhub_orm.archives.in_use._PROCESSES", tmp_path / "no-proc")
    command = [sys.executable, "-c", HOLD_OPEN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DatabaseInUseError, match=rf"app\.db by process {holder.pid}\)"):
            restore_archive(created.archive, installation.data_dir)
        holder.communicate()


def test_restore_while_an_upgrade_runs_is_refused(
    installation: Installation, created: Created
) -> None:
    lock = installation.global_path.with_name("streamhub.db.lock")
    with run_lock(lock), pytest.raises(UpgradeRunningError):
        restore_archive(created.archive, installation.data_dir)

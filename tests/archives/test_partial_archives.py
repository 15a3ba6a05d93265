"""Archives of the field that hold a part of an installation: restored, and what lacks is named."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.prune import prune_store
from streamhub_orm.archives.restore import restore_archive
from streamhub_orm.archives.retention import Retention
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.errors import UnusableArchiveError
from streamhub_orm.storage import LocalStore
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NAME = "streamhub-backup-20260131T120000Z.tar.gz"
GLOBAL = "data/streamhub.db"
SECRETS = "data/secrets.json"


@pytest.fixture
def installation(make_installation: MakeInstallation) -> Installation:
    """One whose apps have their own databases, as the Node core of today keeps them."""
    found = make_installation("node_head", rows=12)
    found.global_path.with_name("secrets.json").write_text('{"K": "v"}', encoding="utf-8")
    return found


def script_archive(installation: Installation, folder: Path, *, apps: bool, rest: bool) -> Path:
    """Write an archive as the core's script does: copies by SQLite under data/, then tar."""
    tree = folder / "tree" / "data"
    databases = list((installation.data_dir / "apps").glob("*/app.db")) if apps else []
    sources = {path: tree / path.relative_to(installation.data_dir) for path in databases}
    if rest:
        sources[installation.global_path] = tree / "streamhub.db"
    for source, target in sources.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    if rest:
        (tree / "secrets.json").write_text('{"K": "v"}', encoding="utf-8")
    path = folder / NAME
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tree, "./data")
    path.chmod(0o600)
    return path


def part_of(apps: list[str], *names: str) -> list[str]:
    return sorted(f"data/apps/{app}/{name}" for app in apps for name in names)


def test_archive_of_app_databases_alone_restores_them_and_names_what_it_lacks(
    installation: Installation, tmp_path: Path
) -> None:
    """Backups, "Docker … gives only app databases"."""
    archive = script_archive(installation, tmp_path / "a", apps=True, rest=False)
    before = load_snapshot(installation.data_dir)
    apps = [it.parent.name for it in installation.data_dir.glob("apps/*/app.db")]
    lacks = sorted([GLOBAL, SECRETS, *part_of(apps, "config.yaml")])
    found = verify_archive(archive)
    assert (found.ok, found.complete, sorted(found.lacks)) == (True, False, lacks)

    with closing(sqlite3.connect(installation.data_dir / "apps/live/app.db")) as spoilt, spoilt:
        spoilt.execute("DELETE FROM vods")
    with pytest.raises(UnusableArchiveError, match="--no-manifest"):
        restore_archive(archive, installation.data_dir)
    restored = restore_archive(archive, installation.data_dir, no_manifest=True)
    assert restored.files == part_of(apps, "app.db")
    assert sorted(restored.lacks) == lacks
    after = load_snapshot(installation.data_dir)
    assert after.registry.tables == before.registry.tables
    assert {app: it.tables for app, it in after.app_dbs.items()} == {
        app: it.tables for app, it in before.app_dbs.items()
    }


def test_archive_of_the_global_database_alone_names_the_databases_of_its_apps(
    installation: Installation, tmp_path: Path
) -> None:
    """Backups, "a plain server … gives only global database and secrets"."""
    archive = script_archive(installation, tmp_path / "a", apps=False, rest=True)
    with closing(sqlite3.connect(installation.global_path)) as connection:
        apps = [name for (name,) in connection.execute("SELECT name FROM apps")]
    lacks = part_of(apps, "app.db", "config.yaml")
    found = verify_archive(archive)
    assert (found.ok, found.complete, sorted(found.lacks)) == (True, False, lacks)

    shown = run_in_process("backup", "verify", archive)
    assert shown.status == 0
    assert "It is incomplete" in shown.stdout
    assert "warning: it lacks data/apps/live/app.db\n" in shown.stdout
    words = ("backup", "restore", archive, "--no-manifest")
    done = run_in_process("--data-dir", tmp_path / "new", *words)
    assert done.status == 0
    assert "warning: the backup lacks data/apps/live/app.db" in done.stdout
    assert (tmp_path / "new/data/secrets.json").stat().st_mode & 0o777 == 0o600


def test_two_partial_archives_make_a_whole_installation(
    installation: Installation, tmp_path: Path
) -> None:
    """In either order; what they both lack is named, and an upgrade goes through."""
    global_ = script_archive(installation, tmp_path / "a", apps=False, rest=True)
    apps = script_archive(installation, tmp_path / "b", apps=True, rest=False)
    before = load_snapshot(installation.data_dir)
    for number, archives in enumerate(((global_, apps), (apps, global_))):
        target = tmp_path / f"new{number}"
        for archive in archives:
            restore_archive(archive, target, no_manifest=True)
        after = load_snapshot(target)
        assert after.registry.tables == before.registry.tables
        assert {app: it.tables for app, it in after.app_dbs.items()} == {
            app: it.tables for app, it in before.app_dbs.items()
        }
        assert run_in_process("--data-dir", target, "upgrade").status == 0
        assert run_in_process("--data-dir", target, "check").status == 0


def test_script_archive_of_all_databases_is_complete(
    installation: Installation, tmp_path: Path
) -> None:
    archive = script_archive(installation, tmp_path / "a", apps=True, rest=True)
    found = verify_archive(archive)
    assert (found.ok, found.complete) == (True, True)
    assert all(name.endswith("config.yaml") for name in found.lacks)


def test_own_archive_lacks_nothing(installation: Installation, tmp_path: Path) -> None:
    archive = create_archive(installation.data_dir, tmp_path / "backups").archive
    assert verify_archive(archive).lacks == []


def test_partial_archive_never_counts_as_the_last_good_one(
    installation: Installation, tmp_path: Path
) -> None:
    """Newer than the whole one, it would have let that go."""
    folder = tmp_path / "backups"
    whole = create_archive(installation.data_dir, folder).archive
    whole = whole.rename(folder / "streamhub-backup-20250131T120000Z.tar.gz")
    script_archive(installation, folder, apps=True, rest=False)
    pruned = prune_store(LocalStore(folder), Retention(days=1, count=None))
    assert pruned.good == whole.name
    assert whole.exists()

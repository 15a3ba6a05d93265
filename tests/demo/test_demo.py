"""The demo installations: what they promise before any upgrade."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from streamhub_orm import demo
from streamhub_orm.data_dir import DataDir, require_app_name
from streamhub_orm.demo import ERAS, write_demo
from streamhub_orm.errors import DemoTargetError
from streamhub_orm.upgrade import upgrade_installation


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }


def query(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return [row[0] for row in connection.execute(statement)]


def test_demo_is_the_same_at_every_call(tmp_path: Path) -> None:
    write_demo(tmp_path / "one")
    write_demo(tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.parametrize("era", [None, *ERAS])
def test_every_database_is_sound_and_closed(tmp_path: Path, era: str | None) -> None:
    write_demo(tmp_path, era)
    databases = [path for path in tmp_path.rglob("*.db*") if path.stat().st_size]
    assert databases
    for path in databases:
        assert not path.name.endswith(("-wal", "-shm"))
        assert query(path, "PRAGMA integrity_check") == ["ok"]
        assert query(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("era", [None, *ERAS])
def test_demo_registers_the_apps_whose_stories_it_tells(tmp_path: Path, era: str | None) -> None:
    write_demo(tmp_path, era)
    text = (tmp_path / "DEMO.txt").read_text(encoding="utf-8").partition("Apps:")[2]
    told = dict(line.split(maxsplit=1) for line in text.splitlines() if line.startswith("    "))
    registered = query(DataDir.find(tmp_path).global_db, "SELECT name FROM apps ORDER BY id")
    assert registered == list(told)
    for app in registered:
        require_app_name(app)
        assert (tmp_path / "apps" / app / "recordings").is_dir()


def test_demo_shows_every_era(tmp_path: Path) -> None:
    write_demo(tmp_path)
    apps = tmp_path / "apps"
    assert not (apps / "live/app.db").exists()
    assert "snapshot_key" in query(
        apps / "radio/vods.db", "SELECT name FROM pragma_table_info('vods')"
    )
    old_columns = query(apps / "archive-2019/vods.db", "SELECT name FROM pragma_table_info('vods')")
    assert not {"snapshot_key", "metatags_json"} & set(old_columns)
    assert query(apps / "studio/app.db", "PRAGMA user_version") == [2]
    assert query(apps / "arena/app.db", "SELECT key FROM _streamhub_meta ORDER BY key") == [
        "ingress_import_done",
        "vods_import_done",
    ]
    assert query(apps / "cinema/app.db", "SELECT 1 FROM streams WHERE type = 'ws-mjpeg'") == [1]
    assert (apps / "webcam/app.db").stat().st_size == 0


def test_demo_holds_colliding_ids_orphans_and_both_timestamp_formats(tmp_path: Path) -> None:
    write_demo(tmp_path)
    path = DataDir.find(tmp_path).global_db
    ours = "FROM vods WHERE app_id = (SELECT id FROM apps WHERE name = 'radio')"
    assert set(query(path, f"SELECT id {ours}")) & set(
        query(tmp_path / "apps/radio/vods.db", "SELECT id FROM vods")
    )
    assert query(path, "SELECT id FROM vods WHERE app_id NOT IN (SELECT id FROM apps)")
    assert query(path, "SELECT app FROM ingress_auth WHERE app NOT IN (SELECT name FROM apps)")
    assert set(query(path, f"SELECT substr(started_at, 11, 1) {ours}")) == {" ", "T"}
    registered = set(query(path, "SELECT name FROM apps"))
    assert list(DataDir.find(tmp_path).unregistered(registered)) == ["old-test"]


def test_keys_and_backup_of_an_installation_are_for_its_owner_alone(tmp_path: Path) -> None:
    write_demo(tmp_path, "node_split")
    (backup,) = query(
        tmp_path / "data/streamhub.db",
        "SELECT value FROM _streamhub_meta WHERE key = 'per_app_split_backup'",
    )
    for path in (tmp_path / "data/secrets.json", Path(backup)):
        assert path.parent == tmp_path / "data"
        assert path.stat().st_mode & 0o777 == 0o600


def test_target_that_holds_anything_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DemoTargetError):
        write_demo(tmp_path)
    assert digests(tmp_path) == {"mine.txt": hashlib.sha256(b"keep").hexdigest()}


def test_target_that_is_a_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.touch()
    with pytest.raises(DemoTargetError):
        write_demo(target, "monolith")


def test_failure_half_way_leaves_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, dump: str, data_dir: Path) -> None:
        assert (data_dir / "DEMO.txt").exists()
        assert path.parent.is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_build_database", fail)
    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path)
    assert not list(tmp_path.iterdir())


def test_upgrade_accounts_for_every_row_of_the_demo(tmp_path: Path) -> None:
    """The numbers follow from the rows that each app is given; see DEMO.txt for its story."""
    write_demo(tmp_path)
    report = upgrade_installation(tmp_path, jobs=1)
    assert report.error is None
    assert {app.app: astuple(app.account.imported) for app in report.apps} == {
        "live": (5, 6, 2),
        "radio": (6 + 5, 12 + 6, 2),
        "archive-2019": (6, 12, 2),
        "studio": (5 - 2, 6 - 3, 2),
        "arena": (0, 0, 0),
        "cinema": (0, 0, 0),
        "webcam": (0, 0, 2),
    }
    assert astuple(report.total("superseded")) == (0, 1, 0)
    assert astuple(report.total("unmatched")) == (6, 10, 0)
    assert astuple(report.orphans) == (1, 2, 1)
    assert report.unregistered == ["old-test"]


@pytest.mark.parametrize(
    ("era", "imported"),
    [
        ("monolith", (16, 20, 4)),
        ("vods_db", (28, 44, 4)),
        ("pre_tenancy", (14, 17, 4)),
        ("node_split", (8, 10, 0)),
        ("node_head", (0, 0, 0)),
    ],
)
def test_upgrade_of_an_era_imports_what_is_not_there_yet(
    tmp_path: Path, era: str, imported: tuple[int, int, int]
) -> None:
    write_demo(tmp_path, era)
    report = upgrade_installation(tmp_path, jobs=1)
    assert report.error is None
    assert astuple(report.total("imported")) == imported
    assert not upgrade_installation(tmp_path, jobs=1).changed

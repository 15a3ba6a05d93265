"""What somebody put beside a database under the name of a backup is neither trusted nor removed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.engine import backups
from streamhub_orm.engine.backups import back_up, prune_backups
from streamhub_orm.init import make_installation
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path

FUTURE: Final = "bak-2199-01-01T00-00-00-000Z"
PAST: Final = "bak-2001-01-01T00-00-00-000Z"


@pytest.fixture
def app_db(tmp_path: Path) -> Path:
    """Give the database of an app that stands one revision behind, with no backup beside it."""
    place = make_installation(tmp_path / "installation")
    path = place.app_db("live")
    done = run_in_process("--data-dir", place.root, "downgrade", "a0008", "--app", "live")
    assert done.status == 0, done
    for backup in path.parent.glob("app.db.bak-*"):
        backup.unlink()
    return path


def names_beside(path: Path) -> list[str]:
    return sorted(it.name for it in path.parent.glob(f"{path.name}.*") if "-shm" not in it.name)


def test_backup_that_is_a_link_to_another_file_is_never_taken_for_one(
    app_db: Path, tmp_path: Path
) -> None:
    """Its content may be right today; whoever owns what it leads to can change it tomorrow."""
    real = back_up(app_db)
    elsewhere = tmp_path / "elsewhere"
    shutil.copyfile(real, elsewhere)
    real.unlink()
    planted = app_db.with_name(f"app.db.{FUTURE}")
    planted.symlink_to(elsewhere)

    made = back_up(app_db)

    assert made != planted
    assert not made.is_symlink()


def test_database_itself_under_the_name_of_a_backup_is_never_taken_for_one(tmp_path: Path) -> None:
    """An operator restored by `ln BACKUP app.db`: both are one file, and none is a backup."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
    real = back_up(path)
    path.unlink()
    path.hardlink_to(real)

    made = back_up(path)

    assert not made.samefile(path)


@pytest.mark.parametrize("name", ["bak-mine", "bak-1", "bak-2026-01-31", f"{PAST}.sha256"])
def test_file_of_the_operators_own_is_never_pruned_and_never_counts(
    app_db: Path, name: str
) -> None:
    """Only names that a backup of ours or the core's can have are backups."""
    mine = app_db.with_name(f"app.db.{name}")
    mine.write_text("mine")

    for _ in range(2):
        up = run_in_process("--data-dir", app_db.parents[2], "upgrade", "--keep-backups", "1")
        assert up.status == 0, up
        down = run_in_process("--data-dir", app_db.parents[2], "downgrade", "a0008", "--app=live")
        assert down.status == 0, down
    up = run_in_process("--data-dir", app_db.parents[2], "--json", "upgrade", "--keep-backups", "1")

    [app] = up.report["apps"]
    assert names_beside(app_db) == sorted([app["backup"].rpartition("/")[2], mine.name])


def test_backup_of_this_run_is_kept_though_others_seem_newer(app_db: Path) -> None:
    """A clock that went backwards gives the newest backup the oldest name."""
    for number in range(3):
        app_db.with_name(f"app.db.bak-2199-01-01T00-00-00-00{number}Z").write_text("older in truth")

    up = run_in_process("--data-dir", app_db.parents[2], "--json", "upgrade", "--keep-backups", "1")

    [app] = up.report["apps"]
    assert app["backup"].rpartition("/")[2] in names_beside(app_db)


def test_resumed_run_finds_its_backup_though_the_clock_went_backwards(
    app_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same content is backed up once, whatever the names beside it say."""
    first = back_up(app_db)
    app_db.with_name(f"app.db.{FUTURE}").write_text("of a time to come")
    monkeypatch.setattr(backups, "time_stamp", lambda: "2001-01-01T00-00-00-000Z")

    assert back_up(app_db) == first


def test_backups_of_one_instant_get_names_of_their_own(
    app_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that stands still, or comes back to the same millisecond, overwrites nothing."""
    instants = iter(["2001-01-01T00-00-00-000Z"] * 3 + ["2001-01-01T00-00-00-001Z"])
    monkeypatch.setattr(backups, "time_stamp", lambda: next(instants))
    first = back_up(app_db)
    content = first.read_bytes()
    with closing(sqlite3.connect(app_db)) as connection, connection:
        connection.execute("INSERT INTO app_plugins (plugin_id) VALUES ('new')")

    assert back_up(app_db) != first
    assert first.read_bytes() == content


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
def test_thing_that_is_no_file_under_the_name_of_a_backup_stops_nothing(
    app_db: Path, kind: str
) -> None:
    """It is neither read nor removed, and the backup is made beside it."""
    planted = app_db.with_name(f"app.db.{PAST}")
    if kind == "folder":
        planted.mkdir()
    elif kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.symlink_to("nothing")

    up = run_in_process("--data-dir", app_db.parents[2], "upgrade", "--keep-backups", "1")

    assert up.status == 0, up
    assert len(names_beside(app_db)) == 2


def test_pruning_takes_what_sqlite_left_beside_a_backup_with_it(tmp_path: Path) -> None:
    """Whoever looked into a backup left a -wal and a -shm of it."""
    path = tmp_path / "app.db"
    for number in range(3):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"app.db.bak-2001-01-01T00-00-00-00{number}Z{suffix}").touch()

    prune_backups(path, keep=1, protected=frozenset())

    kept = "app.db.bak-2001-01-01T00-00-00-002Z"
    assert {it.name for it in tmp_path.iterdir()} == {kept, f"{kept}-wal", f"{kept}-shm"}

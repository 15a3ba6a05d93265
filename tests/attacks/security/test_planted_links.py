"""Links and special files in every place where this project opens or makes a file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import NotADatabaseError
from tests.support.installations import Options
from tests.support.installations.commands import run_alembic_in_process, run_in_process
from tests.support.installations.snapshot import fingerprint_files, load_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NO_WAL = Options(killed_writers=False)
CONTENT = b"precious"


@pytest.fixture
def found(make_installation: MakeInstallation) -> Installation:
    return make_installation("vods_db", options=NO_WAL)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else's, with one file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(CONTENT)
    return folder


def upgrade(found: Installation) -> int:
    return run_in_process("--data-dir", found.data_dir, "--json", "upgrade").status


def test_lock_that_is_a_link_is_refused_with_nothing_touched(
    found: Installation, outside: Path
) -> None:
    """An upgrade, a downgrade and a rollback would empty what it leads to."""
    found.global_path.with_name("streamhub.db.lock").symlink_to(outside / "precious")
    before = fingerprint_files(found.data_dir)
    for command in (("upgrade",), ("downgrade", "g0013"), ("rollback",)):
        outcome = run_in_process("--data-dir", found.data_dir, "--json", *command)
        assert outcome.status == 3, outcome
        assert "streamhub.db.lock: found a link" in outcome.report["error"]
    assert (outside / "precious").read_bytes() == CONTENT
    assert fingerprint_files(found.data_dir) == before


@pytest.mark.parametrize("name", ["app.db", "vods.db"])
@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "pipe"])
def test_thing_in_the_place_of_an_apps_database_is_refused_by_every_way_in(
    found: Installation, outside: Path, name: str, kind: str
) -> None:
    """The command, plain alembic, and a service: the app is named, the target as it was."""
    app = "tv-2"
    path = found.app_db(app).with_name(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(outside / "precious")
    elif kind == "link to nothing":
        path.symlink_to(outside / "new")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    before = {it.name: it.lstat().st_mtime_ns for it in outside.iterdir()}

    outcome = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    option = ("-n", "app", "-x", f"data_dir={found.data_dir}", "-x", f"app={app}")
    plain = run_alembic_in_process(*option, "upgrade", "head")
    with (
        pytest.raises(NotADatabaseError) as refused,
        Databases(found.data_dir) as databases,
        databases.app_connection(app),
    ):
        pytest.fail("it is no database")

    assert outcome.status == 1
    assert [it["app"] for it in outcome.report["apps"] if it["error"]] == [app]
    assert plain.status != 0
    assert str(path) in str(refused.value)
    assert {it.name: it.lstat().st_mtime_ns for it in outside.iterdir()} == before


@pytest.mark.parametrize("suffix", ["", "-held", "-journal", "-wal"])
@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_link_under_the_name_of_a_temporary_file_is_removed_and_not_followed(
    found: Installation, outside: Path, suffix: str, target: str
) -> None:
    """A dead run's leftovers go; what a planted one leads to stays."""
    for path in (found.global_path, found.app_db("tv-2")):
        planted = path.with_name(f".{path.name}.0badf00d.streamhub-tmp{suffix}")
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.symlink_to(outside / target)
    assert upgrade(found) == 0
    assert {it.name for it in outside.iterdir()} == {"precious"}
    assert (outside / "precious").read_bytes() == CONTENT
    if suffix != "-held":
        assert not list(found.data_dir.rglob("*.streamhub-tmp*"))


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_link_under_the_name_of_what_sqlite_makes_writes_nowhere_else(
    found: Installation, outside: Path, suffix: str
) -> None:
    """SQLite itself does not follow it; whatever becomes of the run, the target is as it was."""
    app_db = found.app_db("tv-2")
    app_db.parent.mkdir(parents=True, exist_ok=True)
    for path in (app_db, found.global_path):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.with_name(path.name + suffix).symlink_to(outside / "precious")
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    assert outcome.status in (0, 1, 3)
    assert "Traceback" not in outcome.stderr
    assert (outside / "precious").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["apps", "data"])
def test_folder_of_the_installation_that_is_a_link_is_refused(
    found: Installation, outside: Path, name: str
) -> None:
    """A larger disk is mounted there; a link to DATA_DIR itself is the operator's own."""
    folder = found.data_dir / name
    folder.rename(outside / name)
    folder.symlink_to(outside / name)
    assert upgrade(found) == 3
    folder.unlink()
    (outside / name).rename(folder)
    link = found.data_dir.with_name("link")
    link.symlink_to(found.data_dir)
    assert run_in_process("--data-dir", link, "--json", "upgrade").status == 0


def test_recorded_backup_that_is_a_link_serves_neither_a_resumed_run_nor_a_rollback(
    found: Installation, outside: Path
) -> None:
    """It may lead to a file that somebody else changes later."""
    assert upgrade(found) == 0
    [backup] = found.global_path.parent.glob("streamhub.db.bak-*Z")
    backup.rename(outside / "backup")
    backup.symlink_to(outside / "backup")
    before = load_database(found.global_path)
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
    assert outcome.status == 3
    assert "no such regular file" in outcome.report["error"]
    assert load_database(found.global_path) == before


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "../../etc/passwd", "streamhub.db", "x\x00y", "", "a" * 5000, b"\xff"]
)
def test_recorded_path_of_any_kind_leads_nowhere(found: Installation, value: object) -> None:
    """What stands in `_streamhub_meta` may come from anyone who could write the database."""
    assert upgrade(found) == 0
    with closing(sqlite3.connect(found.global_path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE _streamhub_meta SET value = ? WHERE key = 'streamhub_orm_split_backup'",
            (value,),
        )
        connection.execute("DELETE FROM _streamhub_meta WHERE key = 'per_app_split_done'")
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
    assert outcome.status == 3, outcome
    assert "Traceback" not in outcome.stderr
    assert upgrade(found) == 0

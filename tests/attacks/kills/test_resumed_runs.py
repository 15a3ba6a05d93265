"""A run that takes up an interrupted one: which backup it goes by, and what it leaves beside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import back_up
from streamhub_orm.legacy.bookkeeping import record_split_backup
from tests.support.faults.state import Reader
from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NO_WAL = Options(killed_writers=False)


def execute(path: Path, sql: str, *parameters: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql, parameters)


def backups_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.bak-*Z"))


def upgrade(found: Installation, status: int) -> dict[str, object]:
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    assert outcome.status == status, outcome
    return outcome.report


def break_app(found: Installation) -> Path:
    """Put something else in the place of one app's legacy file, so that its import fails."""
    vods_db = found.app_db("tv-2").with_name("vods.db")
    vods_db.parent.mkdir(parents=True, exist_ok=True)
    if vods_db.exists():
        vods_db.rename(vods_db.with_name("away"))
    vods_db.write_bytes(b"no database" * 999)
    return vods_db


def mend_app(vods_db: Path) -> None:
    vods_db.unlink()
    away = vods_db.with_name("away")
    if away.exists():
        away.rename(vods_db)


@pytest.mark.parametrize("era", ["monolith", "vods_db", "pre_tenancy"])
def test_resumed_run_backs_up_what_the_server_wrote_since_the_interrupted_one(
    make_installation: MakeInstallation, era: str
) -> None:
    """Months may lie between: the recorded backup of then holds nothing of them."""
    found = make_installation(era, options=NO_WAL)
    broken = break_app(found)
    upgrade(found, status=1)
    [first] = backups_of(found.global_path)
    execute(found.global_path, "INSERT INTO apps (name, display_name) VALUES ('later', 'Later')")
    mend_app(broken)

    before = Reader().read(found.global_path)
    report = upgrade(found, status=0)

    assert before is not None
    made = [it for it in backups_of(found.global_path) if it != first]
    assert [before.is_like(Reader().read(it)) for it in made] == [True]
    assert report["backup"] == str(made[0])


def test_run_that_was_killed_before_any_change_and_is_resumed_later_makes_a_new_backup(
    make_installation: MakeInstallation,
) -> None:
    """The recorded backup is older than a row of the server's, which the upgrade must not risk."""
    found = make_installation("monolith", options=NO_WAL)
    first = back_up(found.global_path)
    record_split_backup(found.global_path, first, for_core=True)
    execute(found.global_path, "UPDATE apps SET display_name = 'since' WHERE name = 'live'")

    before = Reader().read(found.global_path)
    report = upgrade(found, status=0)

    assert before is not None
    assert report["backup"] != str(first)
    assert before.is_like(Reader().read(Path(str(report["backup"]))))


def test_resumed_runs_that_fail_again_pile_up_no_backups(
    make_installation: MakeInstallation,
) -> None:
    """However often it is tried, and though a row came between, there are two: before and after."""
    found = make_installation("monolith", options=NO_WAL)
    broken = break_app(found)
    upgrade(found, status=1)
    execute(found.global_path, "INSERT INTO apps (name, display_name) VALUES ('later', 'Later')")
    for _ in range(4):
        upgrade(found, status=1)
        assert len(backups_of(found.global_path)) <= 2
    mend_app(broken)
    upgrade(found, status=0)
    assert len(backups_of(found.global_path)) <= 2


def test_resumed_run_keeps_the_first_backup_as_the_pre_split_one(
    make_installation: MakeInstallation,
) -> None:
    """`rollback` leads back to before the split, whatever was backed up later."""
    found = make_installation("monolith", options=NO_WAL)
    broken = break_app(found)
    upgrade(found, status=1)
    [first] = backups_of(found.global_path)
    execute(found.global_path, "INSERT INTO apps (name, display_name) VALUES ('later', 'Later')")
    mend_app(broken)
    upgrade(found, status=0)

    registry = load_snapshot(found.data_dir).registry.meta()
    assert registry["streamhub_orm_split_backup"] == str(first)
    assert registry["per_app_split_backup"] == str(first)
    done = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
    assert done.report["restored"] == str(first)


def test_resumed_run_with_nothing_written_since_goes_by_the_recorded_backup(
    make_installation: MakeInstallation,
) -> None:
    """Nothing came in between, so there is one backup for ever."""
    found = make_installation("monolith", options=NO_WAL)
    before = load_snapshot(found.data_dir)
    broken = break_app(found)
    upgrade(found, status=1)
    [first] = backups_of(found.global_path)
    upgrade(found, status=1)
    mend_app(broken)
    report = upgrade(found, status=0)

    assert (report["backup"], backups_of(found.global_path)) == (str(first), [first])
    broken.with_name("away").unlink(missing_ok=True)
    assert_accounted(before, load_snapshot(found.data_dir))

"""Databases handled one by one, none hidden; the backup first, one, and gone where it may."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.maintenance.report.facts import read_fleet
from streamhub_orm.maintenance.selection import back_up_first
from tests.maintenance.conftest import app_db, run_sql
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path


def test_backup_of_a_run_killed_while_it_was_published_serves_the_next(data_dir: Path) -> None:
    """Its temporary name is still there: a second name, with which it would be no backup."""
    path = app_db(data_dir, "live")
    earlier = back_up(path)
    temporary = path.with_name(f".{path.name}.0badcafe.streamhub-tmp")
    os.link(earlier, temporary)
    temporary.with_name(temporary.name + "-held").touch()
    found = back_up_first(path)
    assert (found.path, found.is_new) == (earlier, False)
    assert not temporary.exists()
    found.drop()
    assert list_backups(path) == [earlier]


def test_new_backup_can_be_dropped_and_older_ones_stay(data_dir: Path) -> None:
    path = app_db(data_dir, "live")
    earlier = back_up(path)
    run_sql(path, "INSERT INTO vods (app_id, name) VALUES (1, 'v')")
    found = back_up_first(path)
    assert found.is_new
    assert list_backups(path) == [earlier, found.path]
    found.drop()
    assert list_backups(path) == [earlier]


def test_registry_that_cannot_be_read_is_an_error_of_the_global_database(data_dir: Path) -> None:
    """Its file opens and is at head: without the error, no app and no fault would be shown."""
    path = data_dir / "data" / "streamhub.db"
    run_sql(path, "ALTER TABLE apps RENAME COLUMN name TO title")
    for command in (("health",), ("sizes",), ("optimize", "--all")):
        outcome = run_in_process("--data-dir", data_dir, *command)
        assert outcome.status == 1, command
        assert "Error: global: " in outcome.stderr
        assert str(path) in outcome.stderr


def test_progress_tells_how_many_of_all_are_done(data_dir: Path) -> None:
    told: list[tuple[str, int, int]] = []
    read_fleet(data_dir, lambda *args: told.append(args))
    assert told == [("reading", done, 4) for done in range(1, 5)]

"""The backup before the work: one, whatever killed runs left, and gone again where it may."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.maintenance.backup_first import back_up_first
from tests.maintenance.conftest import app_db, run_sql

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

"""Old backups go after success, and only then; the pre-split one stays for ever."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.init import make_installation
from tests.support.installations import Options
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import load_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeInstallation

SPLIT_BACKUP = "streamhub_orm_split_backup"


def backups_of(path: Path) -> list[str]:
    return sorted(it.name for it in path.parent.glob(f"{path.name}.bak-*"))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return make_installation(tmp_path / "installation").root


@pytest.fixture
def go_down_and_up(data_dir: Path) -> Callable[..., int]:
    """Take the app down and up again, which makes two backups of its file."""

    def run(*options: str) -> int:
        down = run_in_process("--data-dir", data_dir, "downgrade", "a0008", "--app", "live")
        assert down.status == 0, down
        return run_in_process("--data-dir", data_dir, "upgrade", *options).status

    return run


def test_upgrade_keeps_the_three_newest_backups_of_a_file(
    data_dir: Path, go_down_and_up: Callable[..., int]
) -> None:
    """Of six backups made, the three newest are left."""
    app_db = data_dir / "apps/live/app.db"
    made: set[str] = set()
    for _ in range(3):
        assert go_down_and_up() == 0
        made.update(backups_of(app_db))
    assert backups_of(app_db) == sorted(made)[-3:]


def test_upgrade_keeps_as_many_backups_as_it_is_told(
    data_dir: Path, go_down_and_up: Callable[..., int]
) -> None:
    """With --keep-backups 1 only the one of this run is left."""
    app_db = data_dir / "apps/live/app.db"
    assert go_down_and_up() == 0
    assert go_down_and_up("--keep-backups", "1") == 0
    assert len(backups_of(app_db)) == 1


def test_upgrade_with_a_failure_prunes_nothing(
    data_dir: Path, go_down_and_up: Callable[..., int]
) -> None:
    """While one app fails, the backups of the others stay."""
    broken = data_dir / "apps/broken/app.db"
    broken.parent.mkdir()
    broken.write_text("no database")
    with sqlite3.connect(data_dir / "data/streamhub.db") as connection:
        connection.execute("INSERT INTO apps (name) VALUES ('broken')")
    connection.close()
    for _ in range(3):
        assert go_down_and_up("--keep-backups", "1") == 1
    assert len(backups_of(data_dir / "apps/live/app.db")) == 6


def test_pre_split_backup_is_never_pruned(make_installation: MakeInstallation) -> None:
    """However often the global file is backed up later, the recorded one stays."""
    installation = make_installation("monolith", options=Options(killed_writers=False))
    path, data_dir = installation.global_path, installation.data_dir
    assert run_in_process("--data-dir", data_dir, "upgrade").status == 0
    [recorded] = backups_of(path)
    for _ in range(3):
        assert run_in_process("--data-dir", data_dir, "downgrade", "g0013").status == 0
        assert run_in_process("--data-dir", data_dir, "upgrade", "--keep-backups", "1").status == 0
    registry = load_database(path)
    assert registry is not None
    assert str(registry.meta()[SPLIT_BACKUP]).endswith(recorded)
    assert len(backups_of(path)) == 2
    assert backups_of(path)[0] == recorded

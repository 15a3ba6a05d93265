"""A -wal whose database is gone must not be played into the file that takes its place."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import CorruptDatabaseError
from streamhub_orm.init import make_installation
from tests.support.installations.commands import run_alembic_in_process, run_in_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make an installation whose app.db was deleted while its -wal with a row stayed."""
    root = make_installation(tmp_path / "installation").root
    app_db = root / "apps/live/app.db"
    wal = app_db.with_name("app.db-wal")
    with closing(sqlite3.connect(app_db, isolation_level=None)) as connection:
        connection.execute("INSERT INTO vods (app_id, name) VALUES (1, 'last words')")
        shutil.copyfile(wal, tmp_path / "wal")
    app_db.unlink()
    shutil.copyfile(tmp_path / "wal", wal)
    return root


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_upgrade_beside_a_stray_wal_is_refused_and_keeps_it(
    data_dir: Path, options: list[str]
) -> None:
    """The app is named, and neither is a file made nor the -wal touched."""
    wal = data_dir / "apps/live/app.db-wal"
    before = wal.read_bytes()
    outcome = run_in_process("--data-dir", data_dir, "upgrade", *options)
    assert outcome.status == 1
    assert "app.db-wal" in outcome.stderr
    assert wal.read_bytes() == before
    assert not (data_dir / "apps/live/app.db").exists()


def test_lazy_open_and_alembic_beside_a_stray_wal_are_refused(data_dir: Path) -> None:
    """Whoever would create the file is told the same."""
    with (
        Databases(data_dir) as databases,
        pytest.raises(CorruptDatabaseError, match=r"app\.db-wal"),
        databases.app_session("live"),
    ):
        pass
    outcome = run_alembic_in_process(
        "-n", "app", "-x", "app=live", "-x", f"data_dir={data_dir}", "upgrade", "head"
    )
    assert outcome.status != 0
    assert not (data_dir / "apps/live/app.db").exists()


def test_upgrade_goes_on_when_the_stray_wal_is_gone(data_dir: Path) -> None:
    """Once it is moved away, the app is lost, and gets a new file where that is asked for."""
    (data_dir / "apps/live/app.db-wal").unlink()
    assert run_in_process("--data-dir", data_dir, "upgrade").status == 1
    anew = ("upgrade", "--create-missing", "live")
    assert run_in_process("--data-dir", data_dir, *anew).status == 0
    assert (data_dir / "apps/live/app.db").stat().st_size > 0

"""A database without a table is no good database: it is in no archive, and out of none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives import create_archive, restore_archive, verify_archive
from streamhub_orm.errors import DamagedArchiveError
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.archives.conftest import MakeArchive
    from tests.support.installations import Installation

GLOBAL, APP, LEGACY = "data/streamhub.db", "data/apps/live/app.db", "data/apps/live/vods.db"


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_pages_without_a_table(path: Path) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("DROP TABLE t")
    assert path.stat().st_size > 0


empties = pytest.mark.parametrize("write", [write_nothing, write_pages_without_a_table])


@empties
@pytest.mark.parametrize("name", [GLOBAL, APP, LEGACY])
def test_database_without_a_table_in_an_archive_is_a_fault_and_is_not_restored(
    installation: Installation,
    make_archive: MakeArchive,
    tmp_path: Path,
    name: str,
    write: Callable[[Path], None],
) -> None:
    write(tmp_path / "empty.db")
    with closing(sqlite3.connect(tmp_path / "whole.db")) as connection:
        connection.execute("CREATE TABLE apps (name)")
    members = {GLOBAL: (tmp_path / "whole.db").read_bytes()}
    archive = make_archive({**members, name: (tmp_path / "empty.db").read_bytes()})
    assert verify_archive(archive).faults == [f"{name} has no table"]
    before = fingerprint_files(installation.data_dir)
    with pytest.raises(DamagedArchiveError, match=f"{name} has no table"):
        restore_archive(archive, installation.data_dir)
    assert fingerprint_files(installation.data_dir) == before


@empties
@pytest.mark.parametrize("file", ["app.db", "vods.db"])
def test_backup_leaves_a_database_without_a_table_out_and_says_so(
    installation: Installation, tmp_path: Path, file: str, write: Callable[[Path], None]
) -> None:
    """It holds nothing, so the backup is complete without it."""
    path = installation.data_dir / "apps/live" / file
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    write(path)
    created = create_archive(installation.data_dir, tmp_path / "backups")
    name = f"data/apps/live/{file}"
    assert name in created.left_out
    assert name not in created.manifest.entries
    assert created.complete
    assert verify_archive(created.archive).ok


def test_backup_leaves_nothing_out_that_has_a_table(
    installation: Installation, tmp_path: Path
) -> None:
    created = create_archive(installation.data_dir, tmp_path / "backups")
    for name in created.left_out:
        assert (installation.data_dir / name.removeprefix("data/")).stat().st_size == 0
    assert created.manifest.entries.keys().isdisjoint(created.left_out)

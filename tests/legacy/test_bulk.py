"""Rows of a new app.db that come before its indices and CHECKs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.demo.eras import MONOLITH_STEPS
from streamhub_orm.errors import MigrationFailedError
from streamhub_orm.legacy.sources import LegacyFiles
from streamhub_orm.migrations.app_files import create_app_db
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.structure import compare, read_structure
from streamhub_orm.migrations.worlds import APP

if TYPE_CHECKING:
    from pathlib import Path

FEW, MANY = 10, 2_000
"""Below and above the number from which indices are built after the rows."""


def _legacy_rows(folder: Path, rows: int, *, bad: str = "") -> LegacyFiles:
    """Write a monolith's global database with so many recordings; `bad` spoils the last one."""
    path = folder / "streamhub.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for step in MONOLITH_STEPS:
            connection.executescript(step)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO apps (name) VALUES ('live')")
        connection.executemany(
            "INSERT INTO streams (app_id, stream_id, type) VALUES (1, ?, 'whip')",
            [(f"room/{number}",) for number in range(rows)],
        )
        connection.executemany(
            "INSERT INTO vods (app_id, name, status) VALUES (1, ?, 'ready')",
            [(f"evening {number}",) for number in range(rows)],
        )
        if bad:
            connection.execute(bad)
    return LegacyFiles("live", 1, path, folder / "vods.db", split_done=False, global_rows=2 * rows)


@pytest.mark.parametrize("rows", [FEW, MANY])
@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("UPDATE vods SET status = 'lost' WHERE id = (SELECT max(id) FROM vods)", "vods"),
        ("UPDATE streams SET type = 'fax' WHERE id = 3", "row 3 of streams"),
        ("UPDATE streams SET status = '' WHERE id = 1", "row 1 of streams"),
    ],
)
def test_row_that_breaks_a_check_is_named_and_no_file_appears(
    tmp_path: Path, rows: int, bad: str, named: str
) -> None:
    """CHECKs that are looked at after the rows refuse what they would have refused before."""
    files = _legacy_rows(tmp_path, rows, bad=bad)
    with pytest.raises(MigrationFailedError, match=f"CHECK constraint failed .*{named}"):
        create_app_db(tmp_path / "apps/live/app.db", files)
    assert list((tmp_path / "apps/live").iterdir()) == []


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_file_filled_before_its_indices_is_what_the_history_builds(
    tmp_path: Path, rows: int
) -> None:
    """Every index is there and whole, and the CHECKs hold for what comes later."""
    path = tmp_path / "apps/live/app.db"
    account = create_app_db(path, _legacy_rows(tmp_path, rows)).account
    assert (account.imported.streams, account.imported.vods) == (rows, rows)
    with closing(sqlite3.connect(path)) as connection:
        assert compare(reference_structure(APP, APP.head), read_structure(connection)).lines() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            connection.execute("UPDATE vods SET status = 'lost'")

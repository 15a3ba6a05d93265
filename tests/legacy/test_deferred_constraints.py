"""Rows of a new app.db that come before its indices and CHECKs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import MigrationFailedError
from streamhub_orm.legacy.global_rows import GlobalRows, build_row_index
from streamhub_orm.legacy.sources import GlobalState, LegacyFiles
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.structure import compare, read_structure
from streamhub_orm.migrations.worlds import APP
from tests.support.installations.ddl import apply_monolith

if TYPE_CHECKING:
    from pathlib import Path

FEW, MANY = 10, 2_000
"""Below and above the number from which indices are built after the rows."""
WATCHED = 25_000
"""Enough that rows come in parts, where someone watches."""


def _legacy_rows(folder: Path, rows: int, *, bad: str = "") -> LegacyFiles:
    """Write a monolith's global database with so many recordings; `bad` spoils the last one."""
    path = folder / "streamhub.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        apply_monolith(connection)
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
    return LegacyFiles("live", 1, path, folder / "vods.db", lambda: _state(rows))


def _state(rows: int) -> GlobalState:
    """Return what a look at a global database with so many streams and recordings finds."""
    highest = {"streams": rows, "vods": rows, "ingress_auth": 0}
    counts: dict[str, dict[object, int]] = {
        table: {1: number} if number else {} for table, number in highest.items()
    }
    return GlobalState(split_done=False, rows=GlobalRows(highest, counts))


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
        upgrade_app_file(tmp_path / "apps/live/app.db", files)
    assert list((tmp_path / "apps/live").iterdir()) == []


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_app_db_that_is_there_without_rows_takes_them_with_every_index(
    tmp_path: Path, rows: int
) -> None:
    """A Node core that forgot the rows left such a file; an index of the operator's stays."""
    files = _legacy_rows(tmp_path, rows)
    path = tmp_path / "apps/live/app.db"
    upgrade_app_file(path, replace(files, find_global=lambda: _state(0)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM _streamhub_meta")
        connection.execute("CREATE INDEX own ON vods (name)")
    account = upgrade_app_file(path, files).account
    assert (account.imported.streams, account.imported.vods) == (rows, rows)
    with closing(sqlite3.connect(path)) as connection:
        found = compare(reference_structure(APP, APP.head), read_structure(connection))
        assert (found.lines(), found.extras) == ([], ["index own"])
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("indexed", [False, True])
def test_rows_of_a_watched_app_come_in_parts_and_all_of_them(
    tmp_path: Path, *, indexed: bool
) -> None:
    """Progress goes up to the number of rows, and the rows are the same as in one statement."""
    files = _legacy_rows(tmp_path, WATCHED)
    assert files.global_db is not None
    with closing(sqlite3.connect(files.global_db)) as connection, connection:
        # Ids far apart, below zero, and at the very end of what SQLite has.
        connection.execute("UPDATE vods SET id = -id WHERE id % 7 = 0")
        connection.execute("UPDATE vods SET id = 9223372036854775807 WHERE id = 1")
        connection.execute("UPDATE vods SET id = -9223372036854775808 WHERE id = 2")
    if indexed:
        files = replace(files, row_index=build_row_index(files.global_db, tmp_path / "rows"))
    told: list[tuple[str, int, int]] = []
    watched, silent = tmp_path / "watched/app.db", tmp_path / "silent/app.db"
    upgrade_app_file(watched, files, progress=lambda *what: told.append(what))
    upgrade_app_file(silent, files)
    rows = [done for phase, done, _ in told if phase == "rows of live"]
    assert rows == sorted(rows)
    assert len(rows) > 3
    assert rows[-1] == 2 * WATCHED
    built = [(done, total) for phase, done, total in told if phase == "indices of live"]
    assert built[-1][0] == built[-1][1] == len(built)
    assert _dump(watched) == _dump(silent)


def _dump(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("streams", "vods")
        ]


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_file_filled_before_its_indices_is_what_the_history_builds(
    tmp_path: Path, rows: int
) -> None:
    """Every index is there and whole, and the CHECKs hold for what comes later."""
    path = tmp_path / "apps/live/app.db"
    account = upgrade_app_file(path, _legacy_rows(tmp_path, rows)).account
    assert (account.imported.streams, account.imported.vods) == (rows, rows)
    with closing(sqlite3.connect(path)) as connection:
        assert compare(reference_structure(APP, APP.head), read_structure(connection)).lines() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            connection.execute("UPDATE vods SET status = 'lost'")

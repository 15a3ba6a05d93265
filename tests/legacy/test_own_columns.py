"""Columns that an operator added to an old table: named, and left where they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import run_command
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation

pytestmark = pytest.mark.history


def test_column_of_an_operators_own_in_an_old_table_is_reported_and_stays(
    make_installation: MakeInstallation,
) -> None:
    """The app.db has no place for it, so the old table keeps the value, and stderr says so."""
    found = make_installation("vods_db", options=Options(killed_writers=False))
    vods_db = found.app_db("live").with_name("vods.db")
    with closing(sqlite3.connect(vods_db)) as connection, connection:
        connection.execute("ALTER TABLE vods ADD COLUMN my_note TEXT")
        connection.execute("UPDATE vods SET my_note = 'mine'")
    before = load_snapshot(found.data_dir)

    outcome = run_command("--data-dir", found.data_dir, "--json", "upgrade")

    assert outcome.status == 0, outcome
    assert "app live: columns of vods that are not ours stay in its old place: my_note" in (
        outcome.stderr
    )
    assert outcome.report["ok"] is True
    after = load_snapshot(found.data_dir)
    assert {row["my_note"] for row in after.vods_dbs["live"].rows("vods")} == {"mine"}
    assert after.files["apps/live/vods.db"] == before.files["apps/live/vods.db"]
    for rows in (before.vods_dbs["live"].rows("vods"),):
        for row in rows:
            del row["my_note"]
    assert_accounted(before, after)

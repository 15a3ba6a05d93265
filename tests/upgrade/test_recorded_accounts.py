"""What is left behind is read once: accounts and fingerprints that stand in the databases."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm import Databases
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


def upgraded(data_dir: Path, *options: str) -> dict[str, Any]:
    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade", *options)
    assert outcome.status == 0, outcome
    return {app["app"]: app for app in outcome.report["apps"]}


def spoil(path: Path) -> None:
    """Make a file unreadable without changing its size or its time."""
    found = path.stat()
    path.write_bytes(b"\xff" * found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_later_run_does_not_open_a_source_that_has_not_changed(
    make_installation: MakeInstallation,
) -> None:
    """A vods.db whose bytes are noise, at the same size and time, is never looked into."""
    found = make_installation("vods_db", rows=5)
    upgraded(found.data_dir)
    for source in found.data_dir.glob("apps/*/vods.db"):
        if source.stat().st_size:
            spoil(source)
    for report in upgraded(found.data_dir).values():
        assert sum(report["imported"].values()) == 0
    upgraded(found.data_dir, "--dry-run")


def test_source_that_has_changed_is_read_again(make_installation: MakeInstallation) -> None:
    """A recording that an old core wrote after the import is counted, run after run."""
    found = make_installation("vods_db", rows=5)
    before = upgraded(found.data_dir)["live"]["unmatched"]["vods"]
    run_sql(
        found.data_dir / "apps/live/vods.db",
        "INSERT INTO vods (app_id, name) VALUES (1, 'late.mp4')",
    )
    for _ in range(2):
        assert upgraded(found.data_dir)["live"]["unmatched"]["vods"] == before + 1


def test_row_deleted_since_the_import_is_counted_by_a_recount_only(
    make_installation: MakeInstallation,
) -> None:
    """A deletion is no loss; `check --legacy` still says that a source holds the row."""
    found = make_installation("vods_db", rows=5)
    recorded = upgraded(found.data_dir)["live"]["unmatched"]
    run_sql(found.data_dir / "apps/live/app.db", "DELETE FROM vods")
    assert upgraded(found.data_dir)["live"]["unmatched"] == recorded
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "check", "--legacy")
    assert outcome.status == 0
    (live,) = (it for it in outcome.report["databases"] if it["name"] == "live")
    assert live["unmatched"]["vods"] > recorded["vods"]
    plain = run_in_process("--data-dir", found.data_dir, "--json", "check")
    assert all(it["unmatched"] is None for it in plain.report["databases"])


def test_record_that_is_no_json_is_counted_anew(make_installation: MakeInstallation) -> None:
    found = make_installation("vods_db", rows=5)
    recorded = upgraded(found.data_dir)["live"]
    for nonsense in ("{", "[1]", '{"vods_db": {}}', "[" * 5000, '{"vods_db": 7}'):
        run_sql(
            found.data_dir / "apps/live/app.db",
            f"UPDATE _streamhub_meta SET value = '{nonsense}' WHERE key = 'streamhub_orm_account'",
        )
        assert upgraded(found.data_dir)["live"]["unmatched"] == recorded["unmatched"]


@pytest.mark.parametrize("era", ["monolith", "node_split"])
def test_cold_open_at_head_reads_no_legacy_table(
    make_installation: MakeInstallation, era: str
) -> None:
    """Global streams and vods whose every page is noise stop no session on an app at head."""
    found = make_installation(era, rows=40)
    upgraded(found.data_dir)
    with closing(sqlite3.connect(found.global_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute(
            "SELECT pageno, pgsize FROM dbstat WHERE name IN ('streams', 'vods')"
        ).fetchall()
    assert pages
    with found.global_path.open("r+b") as file:
        for number, size in pages:
            file.seek((number - 1) * size)
            file.write(b"\xff" * size)
    with Databases(found.data_dir) as databases, databases.app_session("live") as session:
        session.connection().exec_driver_sql("SELECT count(*) FROM vods")


def test_orphans_are_counted_from_the_record_and_follow_the_registry(
    make_installation: MakeInstallation,
) -> None:
    """An app that is deleted after the split leaves its global rows to nobody."""
    found = make_installation("monolith", rows=5)
    upgraded(found.data_dir)
    first = run_in_process("--data-dir", found.data_dir, "--json", "upgrade").report["orphans"]
    with closing(sqlite3.connect(found.global_path)) as connection, connection:
        (app_id,) = connection.execute("SELECT id FROM apps WHERE name = 'live'").fetchone()
        (rows,) = connection.execute(
            "SELECT count(*) FROM vods WHERE app_id = ?", (app_id,)
        ).fetchone()
        connection.execute("DELETE FROM apps WHERE name = 'live'")
    assert rows
    again = run_in_process("--data-dir", found.data_dir, "--json", "upgrade").report["orphans"]
    assert again["vods"] == first["vods"] + rows

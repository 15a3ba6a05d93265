"""`health`: what each database is like, read without writing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import UnknownAppError
from streamhub_orm.maintenance.health import Health, read_health
from streamhub_orm.maintenance.selection import Selection
from tests.maintenance.conftest import app_db, run_sql
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path


def health_of(data_dir: Path, app: str, *, full: bool = False) -> Health:
    (found,) = read_health(data_dir, Selection(with_global=False, apps=(app,)), full=full)
    return found


def test_health_measures_pages_rows_and_bytes_as_sqlite_does(data_dir: Path) -> None:
    path = app_db(data_dir, "live")
    vods = [(f"v{n}", "x" * 500) for n in range(400)]
    run_sql(path, "INSERT INTO vods (app_id, name, file_key) VALUES (1, ?, ?)", vods)
    run_sql(path, "DELETE FROM vods WHERE id > 40")
    found = health_of(data_dir, "live")
    with closing(sqlite3.connect(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (in_vods,) = connection.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name = 'vods' OR name LIKE 'idx_vods%'"
        ).fetchone()
    assert (found.pages, found.freelist_pages) == (pages, free)
    assert found.fragmentation_percent == round(100 * free / pages, 1) > 40
    assert found.size_bytes == path.stat().st_size
    largest = found.tables[0]
    assert (largest.table, largest.rows) == ("vods", 40)
    with closing(sqlite3.connect(path)) as connection:
        (variants,) = connection.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'idx_vod_variants%'"
        ).fetchone()
    assert largest.bytes in (in_vods, in_vods - variants)


def test_health_counts_rows_and_bytes_that_still_are_in_the_wal(data_dir: Path) -> None:
    path = app_db(data_dir, "live")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO vods (app_id, name) VALUES (1, 'v')")
        writer.commit()
        found = health_of(data_dir, "live")
    assert found.wal_bytes
    assert {it.table: it.rows for it in found.tables}["vods"] == 1


def test_health_without_dbstat_knows_no_bytes(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library of the test has dbstat, so it is told that it has not."""
    monkeypatch.setattr("streamhub_orm.maintenance.health.DBSTAT_OPTION", "NO_SUCH_OPTION")
    assert {it.bytes for it in health_of(data_dir, "live").tables} == {None}


def test_health_asks_for_integrity_only_in_full(data_dir: Path) -> None:
    path = data_dir / "data" / "streamhub.db"
    run_sql(path, "INSERT INTO memberships (user_id, tenant_id) VALUES ('nobody', 'platform')")
    only_global = Selection(apps=())
    (quick,) = read_health(data_dir, only_global)
    (full,) = read_health(data_dir, only_global, full=True)
    assert (quick.ok, quick.integrity, quick.foreign_keys) == (True, None, None)
    assert (full.ok, full.integrity) == (False, [])
    assert full.foreign_keys == ["memberships → users: 1 row points to nothing (1)"]


def test_health_of_a_bad_app_is_named_and_stops_no_other(data_dir: Path) -> None:
    app_db(data_dir, "radio").write_bytes(b"no database " * 500)
    outcome = run_in_process("--data-dir", data_dir, "--json", "health", "--all")
    assert outcome.status == 1
    states = {it["name"]: (it["state"], it["ok"]) for it in outcome.report["databases"]}
    assert states == {
        "global": ("current", True),
        "live": ("current", True),
        "radio": ("broken", False),
        "arena": ("current", True),
    }
    assert str(app_db(data_dir, "radio")) in outcome.stderr


def test_health_of_a_link_out_of_the_apps_folder_is_refused(data_dir: Path, tmp_path: Path) -> None:
    path = app_db(data_dir, "radio")
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    found = health_of(data_dir, "radio")
    assert (found.path, found.pages) == (None, None)
    assert "a link:" in str(found.error)


def test_health_with_a_broken_registry_names_the_global_database(data_dir: Path) -> None:
    (data_dir / "data" / "streamhub.db").write_bytes(b"no database " * 500)
    outcome = run_in_process("--data-dir", data_dir, "--json", "health")
    assert outcome.status == 1
    assert [it["name"] for it in outcome.report["databases"]] == ["global"]
    assert run_in_process("--data-dir", data_dir, "health", "--app", "live").status == 3


def test_health_of_an_unknown_app_is_refused(data_dir: Path) -> None:
    with pytest.raises(UnknownAppError):
        health_of(data_dir, "nobody")


@pytest.mark.parametrize("options", [(), ("--full",), ("--global",), ("--app", "live", "-v")])
def test_health_changes_no_byte(data_dir: Path, options: tuple[str, ...]) -> None:
    before = fingerprint_files(data_dir)
    assert run_in_process("--data-dir", data_dir, "health", *options).status == 0
    assert fingerprint_files(data_dir) == before


def test_health_shows_the_tables_of_one_database_and_of_several_where_asked(data_dir: Path) -> None:
    one = run_in_process("--data-dir", data_dir, "health", "--app", "live").stdout
    several = run_in_process("--data-dir", data_dir, "health").stdout
    verbose = run_in_process("--data-dir", data_dir, "health", "-v").stdout
    assert "live\trestream_targets\t0\t" in one
    assert "restream_targets" not in several
    assert "radio\trestream_targets\t0\t" in verbose


def test_all_goes_with_no_other_choice(data_dir: Path) -> None:
    outcome = run_in_process("--data-dir", data_dir, "health", "--all", "--app", "live")
    assert (outcome.status, outcome.stdout) == (2, "")


def test_health_of_an_app_that_was_never_opened_says_that_it_is_missing(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "apps" / "arena")
    found = health_of(data_dir, "arena")
    assert (str(found.state), found.ok) == ("missing", False)
    assert "streamhub-db upgrade" in str(found.error)

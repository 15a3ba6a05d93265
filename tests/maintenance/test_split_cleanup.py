"""`split cleanup`: the global copies of moved rows go, once each is proved to be in its app.db."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import back_up, list_backups, prune_backups
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import SpaceError, SplitCleanupError
from streamhub_orm.legacy.bookkeeping import protected_backups
from streamhub_orm.maintenance import split_cleanup, split_proof
from streamhub_orm.maintenance.split_cleanup import clean_up_split
from tests.maintenance.conftest import query, run_sql
from tests.support.installations import Options
from tests.support.installations.commands import run_in_process
from tests.support.installations.facts import ERAS, MOVED_TABLES
from tests.support.installations.node_core import assert_usable_by_node_core
from tests.support.installations.snapshot import (
    Database,
    fingerprint_files,
    load_database,
    load_snapshot,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation
    from tests.support.installations.facts import Row

WITHOUT_ORPHANS = Options(orphans=False)


@pytest.fixture
def moved(make_upgraded: MakeInstallation) -> Installation:
    """Return an upgraded monolith whose global rows are all in their app.db."""
    return make_upgraded("monolith", options=WITHOUT_ORPHANS)


def global_rows(path: Path) -> dict[str, int]:
    database = load_database(path)
    assert database is not None
    return {table: len(database.rows(table)) for table in MOVED_TABLES}


def without_bookkeeping(database: Database | None) -> dict[str, object]:
    assert database is not None
    left_out = {*MOVED_TABLES, "_streamhub_meta"}
    return {name: rows for name, rows in database.tables.items() if name not in left_out}


def test_cleanup_empties_the_global_tables_and_nothing_else(moved: Installation) -> None:
    before, apps = load_database(moved.global_path), load_snapshot(moved.data_dir).app_dbs
    rows, size = global_rows(moved.global_path), moved.global_path.stat().st_size
    done = clean_up_split(moved.data_dir)
    assert (done.error, asdict(done.removed)) == (None, rows)
    assert sum(rows.values()) > 100
    assert global_rows(moved.global_path) == dict.fromkeys(MOVED_TABLES, 0)
    after = load_database(moved.global_path)
    assert without_bookkeeping(after) == without_bookkeeping(before)
    assert load_snapshot(moved.data_dir).app_dbs == apps
    assert done.reclaimed_bytes > 0
    assert moved.global_path.stat().st_size < size
    assert query(moved.global_path, "PRAGMA freelist_count") == [(0,)]


def test_cleanup_backs_up_first_and_that_backup_is_never_pruned(moved: Installation) -> None:
    path = moved.global_path
    before = load_database(path)
    done = clean_up_split(moved.data_dir)
    assert done.backup is not None
    assert load_database(done.backup) == before
    for number in range(3):
        run_sql(path, "INSERT INTO tenants (id, name) VALUES (?, 't')", [(str(number),)])
        back_up(path)
    prune_backups(path, keep=1, protected=protected_backups(path))
    assert done.backup in list_backups(path)


@pytest.mark.parametrize("era", ERAS)
def test_cleaned_installation_is_as_it_should_be_for_the_core_and_for_us(
    make_upgraded: MakeInstallation, era: str
) -> None:
    """Nothing is left to upgrade, no byte changes any more, and the Node core finds its way."""
    data_dir = make_upgraded(era, options=WITHOUT_ORPHANS).data_dir
    outcome = run_in_process("--data-dir", data_dir, "split", "cleanup", "--yes")
    if outcome.status == 3:  # rows that the core of this era had lost, or that were deleted since
        assert "that is not in the app.db of" in outcome.stderr
        delete_unmatched(data_dir)
        outcome = run_in_process("--data-dir", data_dir, "split", "cleanup", "--yes")
    assert outcome.status == 0, outcome
    assert_usable_by_node_core(data_dir)
    before = fingerprint_files(data_dir)
    assert run_in_process("--data-dir", data_dir, "check").status == 0
    assert "Nothing to do" in run_in_process("--data-dir", data_dir, "upgrade").stdout
    again = run_in_process("--data-dir", data_dir, "split", "cleanup", "--yes")
    assert (again.status, "Nothing to do" in again.stdout) == (0, True)
    assert fingerprint_files(data_dir) == before


def delete_unmatched(data_dir: Path) -> None:
    """Delete by hand what a refusal names, as its message tells an operator to."""
    with pytest.raises(SplitCleanupError) as refused:
        clean_up_split(data_dir)
    assert refused.value.findings
    snapshot = load_snapshot(data_dir)
    path = next(path for path in data_dir.rglob("streamhub.db"))
    for app, number in snapshot.app_ids.items():
        ids = [(row["ingress_id"],) for row in snapshot.app_dbs[app].rows("ingress_auth")]
        known = {key for (key,) in ids}
        for row in snapshot.registry.rows("ingress_auth"):
            if row["app"] == app and row["ingress_id"] not in known:
                statement = "DELETE FROM ingress_auth WHERE ingress_id = ?"
                run_sql(path, statement, [(row["ingress_id"],)])
        for table, key in (("streams", "stream_id"), ("vods", "name")):
            held = {row[key] for row in snapshot.app_dbs[app].rows(table)}
            for row in snapshot.registry.rows(table):
                if row["app_id"] == number and row[key] not in held:
                    run_sql(path, f"DELETE FROM {table} WHERE id = ?", [(row["id"],)])


@pytest.mark.parametrize("table", MOVED_TABLES)
def test_cleanup_with_one_row_unmatched_is_refused_and_names_it(
    moved: Installation, table: str
) -> None:
    """A row that was deleted from the app.db is the reason, whatever the reason for that was."""
    app = "tv-2"
    (row, *_) = (it for it in moved.rows_in(moved.global_path, table) if owner(it, moved) == app)
    key = {"streams": "stream_id", "vods": "name", "ingress_auth": "ingress_id"}[table]
    run_sql(moved.app_db(app), f"DELETE FROM {table} WHERE {key} = ?", [(row[key],)])
    before = fingerprint_files(moved.data_dir)
    outcome = run_in_process("--data-dir", moved.data_dir, "--json", "split", "cleanup", "--yes")
    assert (outcome.status, outcome.report["ok"]) == (3, False)
    (finding, *_) = outcome.report["findings"]
    assert finding.startswith(f"a row that is not in the app.db of {app}: {table}: ")
    assert repr(row[key]) in finding
    assert finding in outcome.stderr
    assert fingerprint_files(moved.data_dir) == before


def owner(row: Row, installation: Installation) -> str:
    ids = {number: name for name, number in installation.apps.items()}
    return str(row["app"]) if "app" in row else ids.get(int(str(row["app_id"])), "")


def test_cleanup_with_orphans_is_refused_and_names_them(make_upgraded: MakeInstallation) -> None:
    found = make_upgraded("monolith")
    before = fingerprint_files(found.data_dir)
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "split", "cleanup", "--yes")
    assert outcome.status == 3
    assert all("of no registered app" in it for it in outcome.report["findings"])
    assert {it.split(": ")[1] for it in outcome.report["findings"]} == set(MOVED_TABLES)
    assert fingerprint_files(found.data_dir) == before


def test_cleanup_names_only_so_many_rows_and_counts_the_others(
    make_upgraded: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_proof, "LISTED", 2)
    with pytest.raises(SplitCleanupError, match="more rows are not listed") as refused:
        clean_up_split(make_upgraded("monolith").data_dir)
    assert len(refused.value.findings) == 2
    assert refused.value.more > 0


def test_cleanup_before_the_upgrade_is_refused(make_installation: MakeInstallation) -> None:
    found = make_installation("monolith", options=WITHOUT_ORPHANS)
    before = fingerprint_files(found.data_dir)
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "split", "cleanup", "--yes")
    assert outcome.status == 3
    assert "a split that is not marked as done" in outcome.report["findings"]
    assert "the app tv-2, which is not upgraded" in outcome.report["findings"]
    assert fingerprint_files(found.data_dir) == before


def test_cleanup_with_an_app_that_cannot_be_asked_is_refused(moved: Installation) -> None:
    moved.app_db("tv-2").write_bytes(b"no database " * 500)
    with pytest.raises(SplitCleanupError, match="the app tv-2, which cannot be asked"):
        clean_up_split(moved.data_dir)


def test_cleanup_while_an_upgrade_runs_is_refused(moved: Installation) -> None:
    lock = moved.global_path.with_name("streamhub.db.lock")
    with run_lock(lock):
        outcome = run_in_process("--data-dir", moved.data_dir, "split", "cleanup", "--yes")
    assert outcome.status == 3


def test_dry_run_tells_what_the_real_run_does_and_touches_nothing(moved: Installation) -> None:
    before = fingerprint_files(moved.data_dir)
    command = ("--data-dir", moved.data_dir, "--json", "split", "cleanup")
    rehearsed = run_in_process(*command, "--dry-run").report
    assert fingerprint_files(moved.data_dir) == before
    done = run_in_process(*command, "--yes").report
    assert (rehearsed["removed"], rehearsed["differing"]) == (done["removed"], done["differing"])
    assert (rehearsed["backup"], rehearsed["dry_run"], done["dry_run"]) == (None, True, False)


def test_cleanup_without_consent_is_wrong_usage(moved: Installation) -> None:
    before = fingerprint_files(moved.data_dir)
    outcome = run_in_process("--data-dir", moved.data_dir, "split", "cleanup")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "--yes" in outcome.stderr
    assert fingerprint_files(moved.data_dir) == before


def test_row_that_has_changed_since_counts_as_found_and_as_differing(moved: Installation) -> None:
    """Rows live on in the app.db; the old copy is not what is wanted."""
    run_sql(moved.app_db("tv-2"), "UPDATE streams SET last_stats_json = '{\"changed\":true}'")
    (changed,) = query(moved.app_db("tv-2"), "SELECT count(*) FROM streams")[0]
    done = clean_up_split(moved.data_dir, dry_run=True)
    assert done.differing.streams == changed


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ingress_auth (ingress_id, app) VALUES ('late', 'tv-2')",
        "UPDATE streams SET last_stats_json = '{}' WHERE id = (SELECT max(id) FROM streams)",
        "UPDATE vods SET size_bytes = 7 WHERE id = (SELECT min(id) FROM vods)",
    ],
)
def test_row_that_comes_or_changes_while_it_is_proved_stays(
    moved: Installation, statement: str
) -> None:
    """Only what the backup holds is deleted; the backup of the refused run goes again."""
    path = moved.global_path

    def write_at_the_end(done: int, total: int) -> None:
        if done == total:
            run_sql(path, statement)

    backups = list_backups(path)
    with pytest.raises(SplitCleanupError, match="came or changed"):
        clean_up_split(moved.data_dir, progress=write_at_the_end)
    assert sum(global_rows(path).values()) > 100
    assert list_backups(path) == backups
    run_sql(path, "DELETE FROM ingress_auth WHERE ingress_id = 'late'")
    assert clean_up_split(moved.data_dir).error is None


def test_cleanup_that_could_not_give_space_back_is_finished_by_the_next(
    moved: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: sqlite3.Connection, path: Path) -> None:
        raise SpaceError(path, "no room", "room", "Free space.")

    with monkeypatch.context() as patch:
        patch.setattr(split_cleanup, "vacuum", no_room)
        outcome = run_in_process("--data-dir", moved.data_dir, "split", "cleanup", "--yes")
    assert outcome.status == 1
    assert "rows are removed" in outcome.stderr
    backups = list_backups(moved.global_path)
    done = clean_up_split(moved.data_dir)
    assert (done.removed.total, done.error) == (0, None)
    assert done.reclaimed_bytes > 0
    assert list_backups(moved.global_path) == backups


def test_cleanup_of_a_locked_database_changes_nothing(
    moved: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.engine.connections.BUSY_TIMEOUT_SECONDS", 0.2)
    before = load_database(moved.global_path)
    with closing(sqlite3.connect(moved.global_path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        outcome = run_in_process("--data-dir", moved.data_dir, "split", "cleanup", "--yes")
    assert outcome.status == 3
    assert "write lock" in outcome.stderr
    assert load_database(moved.global_path) == before


def test_rollback_after_a_cleanup_brings_every_row_back(moved: Installation) -> None:
    rows = global_rows(moved.global_path)
    clean_up_split(moved.data_dir)
    assert run_in_process("--data-dir", moved.data_dir, "rollback").status == 0
    assert global_rows(moved.global_path) == rows

"""Installations with something of their own: no reason to refuse, and nothing of it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.migrations.revisions import migration_transaction, run_revisions
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.upgrade import upgrade_installation
from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.commands import run_in_process
from tests.support.installations.facts import ERAS
from tests.support.installations.node_core import assert_usable_by_node_core
from tests.support.installations.snapshot import load_snapshot
from tests.upgrade.refusals import execute

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation

OPERATORS_APP_THINGS = """
ALTER TABLE streams ADD COLUMN operator_note TEXT;
UPDATE streams SET operator_note = 'note ' || id;
ALTER TABLE vods ADD COLUMN operator_mark TEXT DEFAULT 'x';
CREATE TABLE operator_table (a, b);
INSERT INTO operator_table VALUES (1, 'z'), (2, NULL);
CREATE INDEX operator_index ON streams(operator_note);
CREATE TRIGGER operator_trigger AFTER DELETE ON streams
  BEGIN INSERT INTO operator_table VALUES (old.id, 'gone'); END;
CREATE VIEW operator_view AS SELECT id, operator_note FROM streams;
"""

OPERATORS_GLOBAL_THINGS = """
ALTER TABLE apps ADD COLUMN operator_note TEXT;
UPDATE apps SET operator_note = name;
CREATE TABLE operator_table (a);
INSERT INTO operator_table VALUES (1);
CREATE TRIGGER operator_trigger AFTER UPDATE OF name ON apps
  BEGIN INSERT INTO operator_table VALUES (2); END;
CREATE INDEX operator_index ON apps(operator_note);
CREATE VIEW operator_view AS SELECT operator_note FROM apps;
"""


def upgrade_and_account(data_dir: Path) -> None:
    """Upgrade, and hold the result against the rules."""
    before = load_snapshot(data_dir)

    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")

    assert outcome.status == 0, outcome
    assert_accounted(before, load_snapshot(data_dir))
    assert_report(outcome.report, before)


@pytest.mark.parametrize("name", ["a b", "per%20cent", "query?mode=ro", "hash#", "é'\"ü", "-dash"])
def test_upgrade_of_a_folder_with_a_difficult_name_accounts_for_every_row(
    make_installation: MakeInstallation, tmp_path: Path, name: str
) -> None:
    """A path is a path: no part of it is taken for an option, an escape or a URI's query."""
    data_dir = make_installation("vods_db").copy_to(tmp_path / name).data_dir

    upgrade_and_account(data_dir)

    assert_usable_by_node_core(data_dir)


def test_upgrade_through_a_link_to_the_data_folder_accounts_for_every_row(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    """DATA_DIR itself may be a link, as a mounted volume often is."""
    link = tmp_path / "link"
    link.symlink_to(make_installation("vods_db").data_dir)

    upgrade_and_account(link)


@pytest.mark.parametrize("app", ["tv-2", "radio--x", "studio9"])
def test_upgrade_of_an_app_keeps_what_an_operator_added(
    make_installation: MakeInstallation, app: str
) -> None:
    """Columns, tables, indices, triggers and views of an operator survive, also a rebuild."""
    installation = make_installation("pre_tenancy")
    execute(installation.app_db(app), OPERATORS_APP_THINGS)

    upgrade_and_account(installation.data_dir)

    with closing(sqlite3.connect(installation.app_db(app))) as connection:
        assert connection.execute("SELECT count(*) FROM operator_table").fetchone() == (2,)
        connection.execute("DELETE FROM streams WHERE id = (SELECT max(id) FROM streams)")
        assert connection.execute("SELECT count(*) FROM operator_table").fetchone() == (3,)
        assert connection.execute("SELECT operator_note FROM operator_view").fetchone()


@pytest.mark.parametrize("era", ERAS)
def test_upgrade_of_the_global_file_keeps_what_an_operator_added(
    make_installation: MakeInstallation, era: str
) -> None:
    """What is not ours is left alone in the global file too."""
    installation = make_installation(era)
    execute(installation.global_path, OPERATORS_GLOBAL_THINGS)

    upgrade_and_account(installation.data_dir)

    with closing(sqlite3.connect(installation.global_path)) as connection:
        kept = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'operator_%'")
        assert len(kept.fetchall()) == 4
        assert connection.execute("SELECT count(*) FROM operator_table").fetchone() == (1,)


def test_upgrade_with_an_empty_vods_db_treats_it_as_a_source_without_rows(
    make_installation: MakeInstallation,
) -> None:
    """An interrupted open leaves zero bytes under that name as well."""
    installation = make_installation("vods_db", options=Options(killed_writers=False))
    installation.vods_db("tv-2").write_bytes(b"")

    upgrade_and_account(installation.data_dir)

    assert installation.vods_db("tv-2").stat().st_size == 0


def test_upgrade_of_files_in_rollback_journal_mode_accounts_for_every_row(
    make_installation: MakeInstallation,
) -> None:
    """Restored archives hold copies made by VACUUM INTO, which are not in WAL mode."""
    installation = make_installation("node_split", "flat")
    for path in installation.data_dir.rglob("*.db"):
        execute(path, "PRAGMA journal_mode = DELETE")

    upgrade_and_account(installation.data_dir)


def test_upgrade_beside_idle_connections_of_the_core_accounts_for_every_row(
    make_installation: MakeInstallation,
) -> None:
    """The core may be running: its open handles neither block nor lose anything."""
    installation = make_installation("node_head")
    paths = [installation.global_path, *map(installation.app_db, installation.apps)]
    held = [sqlite3.connect(path) for path in paths]
    for connection in held:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    upgrade_and_account(installation.data_dir)

    for connection in held:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("ingress", [True, False])
def test_upgrade_of_a_monolith_of_any_user_version_accounts_for_every_row(
    make_installation: MakeInstallation, version: int, *, ingress: bool
) -> None:
    """In the oldest files the number says nothing; the tables count."""
    options = Options(user_version=version, ingress=ingress)

    upgrade_and_account(make_installation("monolith", options=options).data_dir)


@pytest.mark.parametrize("revision", [script.revision for script in GLOBAL.history])
def test_global_database_that_alembic_left_at_any_revision_is_upgraded(
    tmp_path: Path, revision: str
) -> None:
    """The split comes first, and writes markers into a file that has no table for them yet."""
    path = tmp_path / "data/streamhub.db"
    path.parent.mkdir()
    path.touch()
    with migration_transaction(path) as connection:
        run_revisions(connection, GLOBAL, revision)
        connection.exec_driver_sql("INSERT INTO apps (name, display_name) VALUES ('live', 'Live')")
    for changed in (True, False):
        report = upgrade_installation(tmp_path)
        assert (report.error, report.failed, report.changed) == (None, 0, changed)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert found == [(GLOBAL.head,)]

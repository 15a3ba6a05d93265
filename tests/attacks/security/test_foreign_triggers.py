"""Triggers and views that lie in the field's files: none runs by our work, none goes missing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import RowsLostError
from streamhub_orm.migrations.upgrading import rows_accounted_for
from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.commands import run_alembic, run_in_process
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation

APP_TRIGGERS: Final = {
    "eats_vods": "AFTER INSERT ON streams BEGIN DELETE FROM vods WHERE id % 2; END",
    "swallows": "BEFORE INSERT ON ingress_auth BEGIN SELECT raise(IGNORE); END",
    "cleans_up": "AFTER INSERT ON _streamhub_meta BEGIN DELETE FROM ingress_auth; END",
    "empties": "AFTER UPDATE ON _streamhub_meta BEGIN DELETE FROM vods; END",
    "doubles": "AFTER INSERT ON vods WHEN NEW.name NOT LIKE 'copy%' BEGIN "
    "INSERT INTO vods (app_id, name) VALUES (0, 'copy ' || NEW.name); END",
}
GLOBAL_TRIGGERS: Final = {
    "drops_apps": "AFTER UPDATE ON apps BEGIN DELETE FROM server_logs; END",
    "purges": "AFTER INSERT ON tenants BEGIN DELETE FROM api_tokens; END",
    "forgets": "AFTER INSERT ON quotas BEGIN DELETE FROM apps WHERE id > 1; END",
    "notes": "AFTER INSERT ON _streamhub_meta BEGIN DELETE FROM server_logs; END",
}


def plant(path: Path, triggers: dict[str, str]) -> dict[str, str]:
    """Make those triggers whose table is there; return what the file then says of them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        for name, body in triggers.items():
            if body.split(" ON ")[1].split()[0] in tables:
                connection.execute(f"CREATE TRIGGER {name} {body}")
    return planted(path)


def planted(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
        return dict(connection.execute(query).fetchall())


@pytest.mark.parametrize("era", ["monolith", "vods_db", "pre_tenancy", "node_split", "node_head"])
@pytest.mark.parametrize("way", ["command", "session", "alembic"])
def test_upgrade_of_files_with_triggers_keeps_every_row_and_every_trigger(
    make_installation: MakeInstallation, era: str, way: str
) -> None:
    found = make_installation(era, options=Options(killed_writers=False))
    files = {found.global_path: GLOBAL_TRIGGERS}
    files |= {
        path: APP_TRIGGERS for path in found.data_dir.glob("apps/*/app.db") if path.stat().st_size
    }
    files |= {
        path: APP_TRIGGERS for path in found.data_dir.glob("apps/*/vods.db") if path.stat().st_size
    }
    was = {path: plant(path, triggers) for path, triggers in files.items()}
    assert any(was.values())
    before = load_snapshot(found.data_dir)
    if way == "session":
        with Databases(found.data_dir) as databases:
            with databases.global_session(read_only=True) as session:
                names = (
                    session.connection().exec_driver_sql("SELECT name FROM apps").scalars().all()
                )
            for name in names:
                with databases.app_session(name, read_only=True):
                    pass
    if way == "alembic":
        assert run_alembic("upgrade", "head", data_dir=found.data_dir).status == 0
        done = run_alembic("-n", "app", "-x", "app=all", "upgrade", "head", data_dir=found.data_dir)
        assert done.status == 0, done
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    assert outcome.status == 0, outcome
    if way == "command":
        assert_report(outcome.report, before)
    assert_accounted(before, load_snapshot(found.data_dir))
    assert {path: planted(path) for path in files} == was


def test_downgrade_of_files_with_triggers_keeps_every_row_and_every_trigger(
    make_installation: MakeInstallation,
) -> None:
    found = make_installation("node_head", options=Options(killed_writers=False))
    before = load_snapshot(found.data_dir)
    assert run_in_process("--data-dir", found.data_dir, "upgrade").status == 0
    app_db = found.app_db("live")
    was = plant(app_db, APP_TRIGGERS), plant(found.global_path, GLOBAL_TRIGGERS)
    for arguments in (("a0008", "--all-apps"), ("g0013",)):
        done = run_in_process("--data-dir", found.data_dir, "downgrade", *arguments)
        assert done.status == 0, done
    assert run_in_process("--data-dir", found.data_dir, "upgrade").status == 0
    assert_accounted(before, load_snapshot(found.data_dir))
    assert (planted(app_db), planted(found.global_path)) == was


@pytest.mark.parametrize("table", ["streams", "vods", "ingress_auth"])
@pytest.mark.parametrize("file", ["app.db", "vods.db"])
def test_view_in_the_place_of_a_table_is_refused_untouched(
    make_installation: MakeInstallation, table: str, file: str
) -> None:
    """A view could run any function and show rows that nobody wrote."""
    found = make_installation("vods_db", options=Options(killed_writers=False))
    path = found.data_dir / "apps/live" / file
    if file == "vods.db" and table == "ingress_auth":
        pytest.skip("the field's vods.db has no such table")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE VIEW {table} AS SELECT 1 AS id, 1 AS app_id, 'x' AS name")
    content = path.read_bytes()
    outcome = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    assert outcome.status == 1
    (live,) = (app for app in outcome.report["apps"] if app["app"] == "live")
    assert f"{table} is a view" in live["error"]
    assert path.read_bytes() == content


def test_upgrade_that_would_lose_a_row_is_rolled_back(tmp_path: Path) -> None:
    """Whatever takes a row away before the commit, the counts say so."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE kept (id INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1), (2)")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        with (
            pytest.raises(RowsLostError, match="table kept has 1 rows instead of 2"),
            rows_accounted_for(connection, path),
        ):
            connection.execute("DELETE FROM kept WHERE id = 1")

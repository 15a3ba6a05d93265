"""Archives of an installation whose global database is on a server: made, looked at, restored."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod
from streamhub_orm.archives import create_archive, restore_archive
from streamhub_orm.errors import ControlPlaneRowsError
from streamhub_orm.global_db import ApiToken, App, Node, ServerLog
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.server_url import URL_VARIABLE
from streamhub_orm.testing.rows import add_tenant, add_token, add_user, add_vod
from tests.support.installations.commands import CHECKOUT, run_in_process

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.testing.postgresql import PostgresServer

FAULT = """
import os, signal, sys
import psycopg
from streamhub_orm.cli import main

def meet(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("config.yaml"):
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "error":
            raise OSError(5, "Input/output error")
        url = os.environ["STREAMHUB_GLOBAL_URL"].replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

fault = sys.argv.pop(1)
sys.addaudithook(meet)
main()
"""
NOW = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)


def report(root: Path, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    outcome = run_in_process("--data-dir", root, "--json", *arguments)
    assert outcome.status == status, outcome
    return outcome.report


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    """Return databases by name; of the app elsewhere there is none here."""
    return {item["name"]: item for item in document["databases"]}


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


def change(engine: ServerEngine, *statements: str) -> None:
    with engine.connect() as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.close()  # a node that is connected is in the way of a restore


def count(engine: ServerEngine, table: str) -> int:
    with engine.connect(read_only=True) as connection, connection.begin():
        query = f"SELECT count(*) FROM {table}"
        found = connection.exec_driver_sql(query).scalar_one()
    engine.close()
    return int(found)


@pytest.fixture
def filled(node: DataDir) -> DataDir:
    """A node with rows of every kind that the two dialects store differently."""
    with Databases(node.root) as databases:
        with databases.app_session("live") as session:
            add_vod(session, size_bytes=1000)
        with databases.global_session() as session:
            add_tenant(session, tenant_id="acme", name="Ácme")
            add_user(session, email="Jürgen@example.org")
            add_token(session, allowed_ips=["192.0.2.0/24"])
            session.add(App(name="elsewhere", tenant_id="acme"))
            session.add(Node(id="n1", stats_json={"cpu": [0.5, None], "ü": "ß"}))
            session.add(
                ServerLog(ts=NOW, level="info", source="test", message="tab\tand \\ line\n")
            )
    return node


@pytest.fixture
def archive(filled: DataDir) -> Path:
    return create_archive(filled.root, filled.root / "backups").archive


def global_of(archive: Path, folder: Path) -> Path:
    """Take the global database out as an operator does who has nothing but tar."""
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return folder / "data/streamhub.db"


class TestCreate:
    def test_archive_holds_the_server_as_a_file_at_head(
        self, filled: DataDir, archive: Path, tmp_path: Path
    ) -> None:
        path = global_of(archive, tmp_path / "taken")
        assert look_at(path, GLOBAL).state is State.CURRENT
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("SELECT name, tenant_id FROM apps ORDER BY id").fetchall() == [
                ("live", "platform"),
                ("elsewhere", "acme"),
            ]
            assert file.execute("SELECT ts, message FROM server_logs").fetchall() == [
                ("2026-01-31T12:00:00.123Z", "tab\tand \\ line\n")
            ]
            (stats,) = file.execute("SELECT stats_json FROM nodes").fetchone()
            assert json.loads(stats) == {"cpu": [0.5, None], "ü": "ß"}
            assert file.execute("PRAGMA foreign_key_check").fetchall() == []
            assert file.execute("SELECT value FROM _streamhub_meta").fetchall()[0] == ("1",)
        assert not filled.global_db.exists()
        assert list(filled.root.glob("backups/.*")) == []

    def test_rows_are_counted_and_the_document_is_that_of_any_archive(
        self, filled: DataDir
    ) -> None:
        done = report(filled.root, "backup", "create")
        assert (done["ok"], done["complete"], done["failures"]) == (True, True, {})
        shown = report(filled.root, "backup", "show", "latest")
        (item,) = [it for it in shown["items"] if it["name"] == "data/streamhub.db"]
        assert item["revision"] == GLOBAL.head
        assert (item["rows"]["apps"], item["rows"]["server_logs"]) == (2, 1)

    def test_a_later_archive_takes_apps_over_and_the_server_anew(
        self, filled: DataDir, control_plane_of: ServerEngine
    ) -> None:
        report(filled.root, "backup", "create")
        change(control_plane_of, "UPDATE tenants SET name = 'Acme' WHERE id = 'acme'")
        report(filled.root, "backup", "create")
        before, after = sorted(p.name for p in (filled.root / "backups").glob("*.tar.gz"))
        changed = report(filled.root, "backup", "diff", before, after)
        assert [it["name"] for it in changed["items"]] == ["data/streamhub.db"]

    def test_server_that_is_gone_leaves_nothing(
        self, filled: DataDir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(URL_VARIABLE, "postgresql+psycopg://streamhub@127.0.0.1:9/streamhub")
        refused = report(filled.root, "backup", "create", status=3)
        assert "Connection refused" in refused["error"]
        assert not (filled.root / "backups").exists()

    def test_the_file_of_a_promoted_installation_is_not_taken_for_it(
        self,
        make_streamhub: Any,  # noqa: ANN401
        empty_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        place = make_streamhub()
        monkeypatch.setenv(URL_VARIABLE, empty_url)
        report(place.root, "global", "promote")
        assert report(place.root, "backup", "create")["complete"]
        monkeypatch.delenv(URL_VARIABLE)
        refused = report(place.root, "backup", "create", status=3)
        assert "promoted to postgresql://" in refused["error"]
        assert "Set STREAMHUB_GLOBAL_URL" in refused["error"]
        archive = next((place.root / "backups").iterdir())
        again = report(place.root, "backup", "restore", archive, status=3)
        assert "promoted to postgresql://" in again["error"]


class PgDump:
    """The server's own programs, and a script that stands before pg_dump on the way."""

    def __init__(self, server: PostgresServer, folder: Path, patch: pytest.MonkeyPatch) -> None:
        assert server.programs is not None
        self.server, self.programs = server, server.programs
        self._script = folder / "bin/pg_dump"
        self._script.parent.mkdir(parents=True)
        patch.setenv("PATH", f"{self._script.parent}:{os.environ['PATH']}")

    def put(self, script: str) -> None:
        """Run this instead, where `$real` is the real one."""
        self._script.write_text(f"#!/bin/sh\nreal={self.programs / 'pg_dump'}\n{script}\n")
        self._script.chmod(0o755)

    def restore(self, dump: Path, database: str) -> None:
        """Restore a dump as an operator does."""
        connection = {
            "PGHOST": self.server.host,
            "PGPORT": str(self.server.port),
            "PGUSER": self.server.user,
            "PGPASSWORD": self.server.password,
        }
        command = [str(self.programs / "pg_restore"), "--no-owner", "--dbname", database, str(dump)]
        subprocess.run(command, env=connection, check=True)


@pytest.fixture
def pg_dump(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PgDump:
    if postgres.programs is None:
        pytest.skip("a server that somebody else runs")
    return PgDump(postgres, tmp_path / "programs", monkeypatch)


KNOWN = 'test "$1" = --version && exec $real --version'
KILLED = f"""{KNOWN}
for it; do case $it in --file=*) echo half > "${{it#--file=}}";; esac; done
kill -9 $$"""


class TestDump:
    """`backup create --pg-dump`: the server's own dump beside, of the same moment."""

    def test_dump_restores_by_the_servers_program_with_tables_of_others(
        self, filled: DataDir, control_plane_of: ServerEngine, pg_dump: PgDump, empty_url: str
    ) -> None:
        change(control_plane_of, "CREATE TABLE invoices (id int)", "INSERT INTO invoices SELECT 7")
        argv = filled.root.with_name("argv")
        pg_dump.put(f'echo "$@" >> {argv}\nexec $real "$@"')
        done = report(filled.root, "backup", "create", "--pg-dump")
        assert (done["complete"], done["files"]) == (True, 4)
        assert report(filled.root, "backup", "verify", "latest")["ok"]
        assert report(filled.root, "backup", "drill")["ok"]
        assert "--snapshot=" in argv.read_text()
        assert pg_dump.server.password not in argv.read_text() + str(done)
        taken = filled.root.with_name("taken")
        global_of(Path(done["archive"]), taken)
        pg_dump.restore(taken / "data/streamhub.dump", database_of(empty_url))
        with pg_dump.server.connect(database_of(empty_url)) as connection:
            query = "SELECT (SELECT count(*) FROM apps), (SELECT sum(id) FROM invoices)"
            assert connection.execute(query).fetchone() == (2, 7)
        restored = report(filled.root, "backup", "restore", "latest")
        assert "data/streamhub.dump" not in restored["files"]
        assert list(filled.root.rglob("*.dump")) == []

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            ('echo "pg_dump (PostgreSQL) 9.6.24"', "pg_dump of 9.6.24; expected pg_dump of "),
            ("echo none", "pg_dump of no known release"),
            (KILLED, "pg_dump to fail: exit status -9; expected a whole dump"),
            (f"{KNOWN}\nexec $real --no-such-option", "pg_dump to fail: exit status 1"),
            (f'{KNOWN}\nPGDATABASE=nowhere exec $real "$@"', 'database "nowhere" does not exist'),
        ],
    )
    def test_program_that_is_old_killed_or_fails_leaves_nothing(
        self, filled: DataDir, pg_dump: PgDump, script: str, told: str
    ) -> None:
        pg_dump.put(script)
        refused = report(filled.root, "backup", "create", "--pg-dump", status=3)
        assert told in refused["error"]
        assert "leave --pg-dump out: the archive holds all rows of ours" in refused["error"]
        assert not (filled.root / "backups").exists()

    def test_without_a_program_or_a_server_it_is_refused(
        self, filled: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        refused = report(filled.root, "backup", "create", "--pg-dump", status=3)
        assert "found no program pg_dump" in refused["error"]
        monkeypatch.delenv(URL_VARIABLE)
        refused = report(filled.root, "backup", "create", "--pg-dump", status=2)
        assert refused["error"] == "--pg-dump is for a global database on a server."


class TestReading:
    def test_verify_check_list_upload_and_prune(self, filled: DataDir, archive: Path) -> None:
        verified = report(filled.root, "backup", "verify", "latest")
        assert (verified["ok"], verified["databases"]) == (True, 2)
        assert report(filled.root, "backup", "check", "--max-age", "1h", "--verify")["ok"]
        listed = report(filled.root, "backup", "list")["backups"]
        assert [it["name"] for it in listed] == [archive.name]
        assert report(filled.root, "backup", "prune", "--keep", "1")["ok"]

    def test_drill_never_touches_the_server(
        self, filled: DataDir, archive: Path, control_plane_of: ServerEngine
    ) -> None:
        change(control_plane_of, "DELETE FROM server_logs", "DELETE FROM nodes")
        drilled = report(filled.root, "backup", "drill", archive.name)
        assert (drilled["ok"], drilled["databases"]) == (True, 2)
        assert count(control_plane_of, "nodes") == 0


class TestRestore:
    def test_into_an_empty_database_of_a_new_node(
        self,
        archive: Path,
        filled: DataDir,
        empty_url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with Databases(filled.root) as databases, databases.global_session() as session:
            token = session.query(ApiToken).one().token_hash
        monkeypatch.setenv(URL_VARIABLE, empty_url)
        done = report(tmp_path / "new", "backup", "restore", archive)
        assert done["server"].endswith(database_of(empty_url))
        assert not (tmp_path / "new/data/streamhub.db").exists()
        assert by_name(report(tmp_path / "new", "check", status=1))["global"]["ok"]
        with Databases(tmp_path / "new") as databases:
            with databases.global_session() as session:
                assert session.query(ApiToken).one().token_hash == token
                log = session.query(ServerLog).one()
                assert (log.ts, log.message) == (NOW, "tab\tand \\ line\n")
                assert session.get_one(Node, "n1").stats_json == {"cpu": [0.5, None], "ü": "ß"}
                session.add(App(name="third"))
                session.flush()
                ids = [it.id for it in session.query(App).order_by(App.id)]
            assert ids == [1, 2, 3]

    def test_into_an_installation_without_a_server(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(URL_VARIABLE)
        done = report(tmp_path / "alone", "backup", "restore", archive)
        assert (done["server"], done["rows"]) == (None, {})
        assert by_name(report(tmp_path / "alone", "check", status=1))["global"]["ok"]
        with Databases(tmp_path / "alone") as databases, databases.global_session() as session:
            assert session.get_one(Node, "n1").stats_json == {"cpu": [0.5, None], "ü": "ß"}
            assert {it.name for it in session.query(App)} == {"live", "elsewhere"}

    def test_rows_in_use_are_replaced_by_name_alone_and_come_back(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine
    ) -> None:
        name = database_of(os.environ[URL_VARIABLE])
        change(control_plane_of, "INSERT INTO tenants (id, name) VALUES ('late', 'Late')")
        planned = report(filled.root, "backup", "restore", archive, "--dry-run")
        assert planned["rows"] == {"tenants": {"before": 3, "after": 2}}
        assert planned["must_be_named"] == name
        for words in ((), ("--replace-server", "other")):
            refused = report(filled.root, "backup", "restore", archive, *words, status=3)
            assert "tenants (3 now, 2 then)" in refused["error"]
            assert f"--replace-server {name}" in refused["error"]
        assert count(control_plane_of, "tenants") == 3
        assert list(filled.root.glob("pre-restore-*")) == []
        done = report(filled.root, "backup", "restore", archive, "--replace-server", name)
        assert count(control_plane_of, "tenants") == 2
        aside = done["set_aside"]
        refused = report(filled.root, "backup", "undo", aside, status=3)
        assert "tenants (2 now, 3 then)" in refused["error"]
        report(filled.root, "backup", "undo", aside, "--replace-server", name)
        assert count(control_plane_of, "tenants") == 3
        assert not os.path.exists(aside)  # noqa: PTH110
        assert list(filled.root.glob(".streamhub-*")) == []

    def test_equal_rows_are_left_alone(self, archive: Path, filled: DataDir) -> None:
        done = report(filled.root, "backup", "restore", archive)
        assert (done["rows"], done["must_be_named"]) == ({}, None)
        shown = run_in_process("--data-dir", filled.root, "backup", "restore", archive).stdout
        assert "holds the same rows already" in shown

    def test_one_app_leaves_the_server_alone(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine
    ) -> None:
        change(control_plane_of, "DELETE FROM nodes")
        done = report(filled.root, "backup", "restore", archive, "--app", "live")
        assert done["files"] == ["data/apps/live/app.db", "data/apps/live/config.yaml"]
        assert (done["server"], done["unregistered"]) == (None, [])
        assert count(control_plane_of, "nodes") == 0

    def test_node_that_was_lost_gets_its_files_and_leaves_the_server_alone(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine, tmp_path: Path
    ) -> None:
        change(control_plane_of, "INSERT INTO tenants (id, name) VALUES ('late', 'Late')")
        refused = report(tmp_path / "again", "backup", "restore", archive, status=3)
        assert "With --keep-global they stay, as for a node that was lost" in refused["error"]
        done = report(tmp_path / "again", "backup", "restore", archive, "--keep-global")
        assert done["files"] == ["data/apps/live/app.db", "data/apps/live/config.yaml"]
        assert (done["server"], done["unregistered"]) == (None, [])
        with Databases(tmp_path / "again") as databases, databases.app_session("live") as session:
            assert [it.size_bytes for it in session.query(Vod)] == [1000]
        assert count(control_plane_of, "tenants") == 3

    def test_node_that_is_connected_is_in_the_way(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine
    ) -> None:
        change(control_plane_of, "DELETE FROM nodes")
        name = database_of(os.environ[URL_VARIABLE])
        with control_plane_of.connect():
            refused = report(
                filled.root, "backup", "restore", archive, "--replace-server", name, status=3
            )
        assert "databases in use (postgresql://" in refused["error"]
        assert "by 1 connection)" in refused["error"]
        assert count(control_plane_of, "nodes") == 0

    @pytest.mark.parametrize("fault", ["error", "kill", "connection"])
    def test_fault_amid_the_files_leaves_the_server_as_it_was(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine, fault: str
    ) -> None:
        """The server's transaction ends after the files, and goes with the process."""
        change(control_plane_of, "DELETE FROM nodes")
        filled.app_config("live").write_text("display_name: Spoiled\n")
        name = database_of(os.environ[URL_VARIABLE])
        words = ("backup", "restore", str(archive), "--replace-server", name)
        done = subprocess.run(
            [sys.executable, "-c", FAULT, fault, "--data-dir", str(filled.root), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
        )
        assert done.returncode == (-signal.SIGKILL if fault == "kill" else 1), done
        assert count(control_plane_of, "nodes") == 0
        if fault == "error":
            assert "as before: data/streamhub.db, data/apps/live/config.yaml" in done.stderr
            assert f"--replace-server {name}" in done.stderr
        if fault == "connection":
            assert "new: data/apps/live/app.db, data/apps/live/config.yaml" in done.stderr
            assert "as before: data/streamhub.db; what was there is in" in done.stderr
        report(filled.root, *words)
        assert count(control_plane_of, "nodes") == 1
        assert "Spoiled" not in filled.app_config("live").read_text()

    def test_archive_that_is_not_split_is_refused_with_a_way(
        self,
        make_streamhub: Any,  # noqa: ANN401
        filled: DataDir,
        control_plane_of: ServerEngine,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url = os.environ[URL_VARIABLE]
        monkeypatch.delenv(URL_VARIABLE)
        old = make_streamhub("old", era="pre_tenancy")
        archive = create_archive(old.root, old.root / "backups").archive
        monkeypatch.setenv(URL_VARIABLE, url)
        with pytest.raises(Exception, match="not split into one database per app") as raised:
            restore_archive(archive, filled.root, replace_server=database_of(url))
        assert "global promote" in str(raised.value)
        assert count(control_plane_of, "nodes") == 1

    def test_rows_that_no_server_holds_are_named(
        self,
        make_streamhub: Any,  # noqa: ANN401
        filled: DataDir,
        control_plane_of: ServerEngine,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url = os.environ[URL_VARIABLE]
        monkeypatch.delenv(URL_VARIABLE)
        place = make_streamhub("nul")
        with closing(sqlite3.connect(place.global_db)) as file, file:
            file.execute("UPDATE apps SET display_name = char(0)")
        archive = create_archive(place.root, place.root / "backups").archive
        monkeypatch.setenv(URL_VARIABLE, url)
        with pytest.raises(Exception, match="apps id 1: display_name is text with a NUL in it"):
            restore_archive(archive, filled.root, replace_server=database_of(url))
        assert count(control_plane_of, "nodes") == 1

    def test_refusal_has_its_data(
        self, archive: Path, filled: DataDir, control_plane_of: ServerEngine
    ) -> None:
        change(control_plane_of, "DELETE FROM nodes")
        with pytest.raises(ControlPlaneRowsError) as raised:
            restore_archive(archive, filled.root)
        assert raised.value.tables == ("nodes (0 now, 1 then)",)
        assert raised.value.database == database_of(os.environ[URL_VARIABLE])

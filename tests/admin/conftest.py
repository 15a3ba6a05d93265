"""A real `streamhub-db serve` in a process of its own, and what its answers are held against."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from streamhub_orm import Databases
from streamhub_orm.app_db import StreamType, VodStatus
from streamhub_orm.global_db import App
from streamhub_orm.services import quotas, tokens
from streamhub_orm.testing.rows import add_stream, add_tenant, add_token, add_vod
from tests.support.installations.commands import CHECKOUT, COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.installations import Templates
    from streamhub_orm.testing.postgresql import PostgresServer

APPS: Final = ("live", "radio", "arena")
SCRAPER: Final = "scrape-me-é"
LOG: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    VALUES (?, ?, ?, ?, 'm', ?)"""


@dataclass
class Served:
    """A server that runs, and the tokens that open it."""

    process: subprocess.Popen[str]
    url: str
    place: DataDir
    tokens: dict[str, str]
    errors: Path
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)

    def client(self, bearer: str | None = "global") -> httpx.Client:
        """Return the client that bears one of the tokens, by its name, or none."""
        if bearer not in self.clients:
            headers = {} if bearer is None else {"Authorization": f"Bearer {self.tokens[bearer]}"}
            made = httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)  # noqa: S501 - HTTP, and its certificates take a while to load
            self.clients[bearer] = made
        return self.clients[bearer]

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal, wait for the end, and return the seconds that it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun


@contextmanager
def serving(
    place: DataDir, folder: Path, given: dict[str, str], *options: str, **environment: str
) -> Iterator[Served]:
    """Start the command and wait until it takes connections; end it by its process."""
    errors = folder / "serve.txt"
    inherited = {name: value for name, value in os.environ.items() if name != "METRICS_TOKEN"}
    with (
        errors.open("w") as file,
        subprocess.Popen(
            [*COMMAND, "--data-dir", str(place.root), "--json", "serve", "--port", "0", *options],
            cwd=folder,
            env={
                **inherited,
                "PYTHONPATH": str(CHECKOUT),
                "STREAMHUB_GLOBAL_URL": url_of(place) or "",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        ) as process,
    ):
        served: Served | None = None
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or lines[-1] != "}\n":
                line = process.stdout.readline()
                assert line, errors.read_text()
                lines.append(line)
            url = json.loads("".join(lines))["url"]
            served = Served(process, url.rstrip("/"), place, given, errors)
            yield served
        finally:
            for client in [] if served is None else served.clients.values():
                client.close()
            process.terminate()
            process.wait(30)


def run_sql(path: Path, statement: str, *rows: tuple[object, ...]) -> None:
    """Run one statement for each row, as another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(statement, rows or [()])


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def fill(place: DataDir) -> dict[str, str]:
    """Write rows of every kind, and return tokens by name."""
    with Databases(place.root, global_url=url_of(place)) as databases:
        with databases.app_session("live") as session:
            for size in (1000, 2000):
                add_vod(session, size_bytes=size, duration_s=120.0)
            add_vod(session, status=VodStatus.RECORDING, room="stage")
            add_vod(session, status=VodStatus.FAILED)
            add_stream(session, type=StreamType.RTMP)
            add_stream(session, type=StreamType.WHIP, ended=True)
            add_stream(session, room="hall")
        with databases.app_session("radio") as session:
            add_vod(session, size_bytes=7)
        with databases.global_session() as session:
            add_tenant(session, tenant_id="acme", plan="pro", limits=quotas.Limits(max_apps=1))
            arena = session.query(App).filter_by(name="arena").one()
            arena.tenant_id = "acme"
            revoked = add_token(session)
            tokens.revoke(session, revoked.id)
            return {
                "global": add_token(session).plaintext,
                "live": add_token(session, app="live").plaintext,
                "radio": add_token(session, app="radio").plaintext,
                "elsewhere": add_token(session, allowed_ips=["192.0.2.0/24"]).plaintext,
                "here": add_token(session, allowed_ips=["127.0.0.0/8"]).plaintext,
                "revoked": revoked.plaintext,
                "unknown": "sk_" + "x" * 43,
                "jwt": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
            }


def url_of(place: DataDir) -> str | None:
    url = place.global_url
    return None if url is None else url.url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def place(streamhub_templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """An installation with three apps, for the tests of one module."""
    return streamhub_templates.copy(tmp_path_factory.mktemp("admin") / "data", apps=APPS)


@pytest.fixture(scope="module")
def control_plane(
    place: DataDir, postgres: PostgresServer, streamhub_server_template: str
) -> Iterator[DataDir]:
    """The same installation, whose global database is on a server."""
    for suffix in ("", "-wal", "-shm"):
        place.global_db.with_name(place.global_db.name + suffix).unlink(missing_ok=True)
    name = f"admin_{os.getpid()}"
    url = postgres.create(name, template=streamhub_server_template)
    with Databases(place.root, global_url=url) as databases, databases.global_session() as session:
        for app in APPS:
            session.add(App(name=app))
            session.flush()
    yield databases.place
    postgres.drop(name)


@pytest.fixture(scope="module")
def served(place: DataDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of one module."""
    folder = tmp_path_factory.mktemp("serve")
    with serving(place, folder, fill(place), METRICS_TOKEN=SCRAPER) as server:
        yield server


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Hold a database's write lock, as a writer that does not come to its end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)

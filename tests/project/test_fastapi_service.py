"""docs/fastapi_service.py under a real uvicorn: what it answers, and clients that go."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from streamhub_orm import Databases
from streamhub_orm.services import apps, quotas, tokens
from tests.databases.conftest import make_fresh
from tests.support import figures
from tests.support.uvicorn_server import uvicorn_server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

ROOT: Final = Path(__file__).parents[2]
REQUESTS: Final = int(os.environ.get("STREAMHUB_REQUESTS", "300"))
COMPANIONS: Final = ("", "-wal", "-shm")
CLIENTS: Final = 16
APPS: Final = [f"app-{number}" for number in range(8)]


@dataclass
class Service:
    """A service that runs, and the token that opens all of it."""

    process: subprocess.Popen[str]
    port: int
    token: str
    databases: list[Path]
    errors: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def descriptors(self) -> Counter[str]:
        folder = Path(f"/proc/{self.process.pid}/fd")
        found = Counter[str]()
        for entry in folder.iterdir():
            with suppress(OSError):
                to = str(entry.readlink())
                found["sockets" if to.startswith("socket:") else to] += 1
        return found


@pytest.fixture
def service(make_fresh: MakeFresh, tmp_path: Path) -> Iterator[Service]:
    data_dir = make_fresh(APPS)
    with Databases(data_dir) as databases, databases.global_session() as session:
        quotas.update(session, "platform", quotas.Limits(max_concurrent_streams=2))
        token = tokens.issue(session, "operator").plaintext
        assert {app.name for app in apps.list_(session)} >= set(APPS)
        paths = [databases.place.global_db, *map(databases.place.app_db, APPS)]
    errors = tmp_path / "uvicorn.txt"
    words = ("--app-dir", "docs", "fastapi_service:service", "--no-access-log")
    with uvicorn_server(*words, cwd=ROOT, output=errors, DATA_DIR=str(data_dir)) as (process, port):
        yield Service(process, port, token, paths, errors)


def test_service_answers_by_what_the_documents_say(service: Service) -> None:
    with httpx.Client(base_url=service.url) as client:
        assert client.get("/apps/app-1/vods").status_code == 401
        client.headers["Authorization"] = f"Bearer {service.token}"
        for number in range(3):
            made = client.post("/apps/app-1/vods", params={"name": f"evening {number}"})
            assert (made.status_code, made.json()) == (201, {"id": number + 1})
        page = client.get("/apps/app-1/vods", params={"limit": 2}).json()
        rest = client.get("/apps/app-1/vods", params={"limit": 2, "after": page["next"]}).json()
        assert [it["id"] for it in page["vods"] + rest["vods"]] == [3, 2, 1]
        assert rest["next"] is None
        assert client.get("/apps/app-1/vods", params={"after": "x"}).status_code == 422

        assert client.put("/apps/app-1/streams/stage/ann").json() == {"id": 1}
        assert client.put("/apps/app-2/streams/stage/ben").json() == {"id": 1}
        refused = client.put("/apps/app-3/streams/stage/cem")
        assert refused.status_code == 429
        assert "platform" not in refused.text
        assert client.delete("/apps/app-1/streams/stage/ann").json() is True
        assert client.put("/apps/app-3/streams/stage/cem").json() == {"id": 1}

        missing = client.get("/apps/nothing/vods")
        assert (missing.status_code, missing.json()) == (404, {"detail": "There is no such app."})
        assert "streamhub_databases_open_apps 3.0" in client.get("/metrics").text
        deadline = time.monotonic() + 10
        while not any("recording 3" in it["message"] for it in client.get("/logs").json()):
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def ask(service: Service, chosen: random.Random) -> str:
    """Send one request and go at a random moment, or read the answer."""
    app = chosen.choice(APPS)
    method, path = chosen.choice(
        (
            ("GET", f"/apps/{app}/vods?limit=50"),
            ("POST", f"/apps/{app}/vods?name=evening"),
            ("PUT", f"/apps/{app}/streams/stage/{chosen.choice('ab')}"),
            ("DELETE", f"/apps/{app}/streams/stage/{chosen.choice('ab')}"),
            ("GET", "/logs"),
        )
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        if chosen.random() < 0.5:
            await asyncio.sleep(chosen.random() * 0.02)
            writer.transport.abort()
            return "left"
        return (await reader.read()).split(b" ", 2)[1].decode()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def test_clients_that_go_at_any_moment_leave_nothing_behind(service: Service) -> None:
    answers = Counter[str]()
    chosen = random.Random(3)  # noqa: S311 - the same attack in every run

    async def be_client() -> None:
        for _ in range(-(-REQUESTS // CLIENTS)):
            answers[await asyncio.wait_for(ask(service, chosen), 30)] += 1

    async def attack() -> None:
        await asyncio.gather(*(be_client() for _ in range(CLIENTS)))

    sockets = service.descriptors()["sockets"]
    asyncio.run(attack())
    deadline = time.monotonic() + 20
    while service.descriptors()["sockets"] > sockets:
        assert time.monotonic() < deadline, "a request has not ended"
        time.sleep(0.05)
    for path in service.databases:
        most = 3 * (8 if path.name == "streamhub.db" else 2) + 3
        # SQLite keeps a descriptor that it closed until the last lock on the file is gone.
        while sum((held := service.descriptors())[f"{path}{it}"] for it in COMPANIONS) > most:
            assert time.monotonic() < deadline, held
            time.sleep(0.05)
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(sqlite3.connect(service.databases[0])) as connection:
        lines = connection.execute("SELECT message FROM server_logs WHERE level = 'error'")
        assert lines.fetchall() == []
        gone = "SELECT count(*) FROM server_logs WHERE message LIKE 'client gone%'"
        assert connection.execute(gone).fetchone()[0] > answers["left"] / 10
    said = service.errors.read_text()
    assert not re.search("ERROR|Traceback|Warning|never", said), said
    assert answers.keys() <= {"left", "200", "201", "429"}, answers
    assert answers["left"] > REQUESTS / 4
    figures.count("requests to the FastAPI example, half of their clients gone", answers.total())

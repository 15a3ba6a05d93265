"""The application inside other programs: FastAPI and Starlette under a real uvicorn."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.admin.conftest import fill
from tests.support.installations.commands import CHECKOUT
from tests.support.uvicorn_server import uvicorn_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.plugin import MakeStreamHub

PAGE: Final = (CHECKOUT / "docs/ADMIN.md").read_text("utf-8")
BELOW: Final = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from streamhub_orm.admin import application
from streamhub_orm.aio import AsyncDatabases

databases = AsyncDatabases("demo-data")
async def own(request):
    return PlainTextResponse("mine")
service = Starlette(routes=[
    Route("/api/v1/stats", own),
    Mount("/api/v1", application(databases, prefix="", metrics_token="scrape")),
])
"""
ALONE: Final = """
from streamhub_orm.admin import application
service = application("demo-data", metrics_token="")
"""


@pytest.fixture
def place(make_streamhub: MakeStreamHub) -> DataDir:
    return make_streamhub("demo-data", apps=("live", "radio", "arena"))


@contextmanager
def running(folder: Path, program: str) -> Iterator[str]:
    (folder / "program.py").write_text(program)
    output = folder / "uvicorn.txt"
    environment = {"PYTHONPATH": str(CHECKOUT), "METRICS_TOKEN": "of-all"}
    with uvicorn_server("program:service", cwd=folder, output=output, **environment) as (_, port):
        yield f"http://127.0.0.1:{port}"
    assert "Traceback" not in output.read_text().partition("KeyboardInterrupt")[0]


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_block_of_the_page_runs_in_fastapi(place: DataDir) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    given = bearing(fill(place)["global"])
    with running(place.root.parent, program) as url:
        assert httpx.get(f"{url}/openapi.json").status_code == 200  # its own routes come first
        found = httpx.get(f"{url}/api/v1/apps/live/sizes", headers=given)
        assert found.json()["data"]["vodCount"] == 4
        assert httpx.get(f"{url}/api/v1/apps/live/sizes").status_code == 401
        assert httpx.get(f"{url}/metrics", headers=bearing("of-all")).status_code == 200
        assert httpx.get(f"{url}/", headers=given).status_code == 404  # no page unless asked for


def test_below_a_path_of_starlette(place: DataDir) -> None:
    given = bearing(fill(place)["global"])
    with running(place.root.parent, BELOW) as url:
        assert httpx.get(f"{url}/api/v1/stats").text == "mine"
        done = httpx.post(f"{url}/api/v1/apps/live/db/optimize", headers=given)
        assert done.status_code == 200
        scraped = httpx.get(f"{url}/api/v1/metrics", headers=bearing("scrape"))
        assert "streamhub_active_streams 2.0" in scraped.text
        assert httpx.get(f"{url}/metrics", headers=bearing("scrape")).status_code == 404


def test_alone_it_opens_and_closes_the_installation(place: DataDir) -> None:
    given = bearing(fill(place)["global"])
    with running(place.root.parent, ALONE) as url:
        assert httpx.get(f"{url}/api/v1/stats", headers=given).status_code == 200
        assert httpx.get(f"{url}/metrics", headers=bearing("of-all")).status_code == 404
        assert httpx.get(f"{url}/metrics").status_code == 404
    assert not place.global_db.with_name("streamhub.db-wal").exists()

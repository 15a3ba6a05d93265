"""`streamhub-db serve`: what it refuses before it listens, and as whom it works."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.admin.conftest import fill, serving
from tests.attacks.security.owned import GID, UID, foreigners, give_away, reachable_folder
from tests.support.installations.commands import CHECKOUT, run_in_process

if TYPE_CHECKING:
    from streamhub_orm.testing.installations import Templates
    from streamhub_orm.testing.plugin import MakeStreamHub


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "db.example"])  # noqa: S104
def test_address_that_others_reach_is_refused(make_streamhub: MakeStreamHub, host: str) -> None:
    place = make_streamhub()
    outcome = run_in_process("--data-dir", place.root, "serve", "--host", host, "--port", "0")
    assert outcome.status == 2
    assert "--insecure-http" in outcome.stderr


def test_insecure_http_listens_there(make_streamhub: MakeStreamHub) -> None:
    place = make_streamhub(apps=("live", "radio", "arena"))
    options = ("--host", "0.0.0.0", "--insecure-http")  # noqa: S104
    with serving(place, place.root.parent, fill(place), *options) as served:
        port = served.url.rpartition(":")[2]
        served.url = f"http://127.0.0.1:{port}"
        client = served.client()
        assert client.get("/api/v1/stats", headers={"Host": "db.example"}).status_code == 200
        assert client.get("/metrics").status_code == 404  # without METRICS_TOKEN


def test_port_that_is_taken_is_said_in_words(make_streamhub: MakeStreamHub) -> None:
    place = make_streamhub()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run_in_process("--data-dir", place.root, "--json", "serve", "--port", str(port))
    assert outcome.status == 3
    assert f"127.0.0.1:{port}: found an address that cannot be listened at" in outcome.stderr
    assert outcome.report["ok"] is False


def test_folder_without_an_installation_is_refused(tmp_path: Path) -> None:
    assert run_in_process("--data-dir", tmp_path, "serve", "--port", "0").status == 3


def test_old_database_is_not_upgraded_but_refused(make_streamhub: MakeStreamHub) -> None:
    place = make_streamhub(era="node_head")
    before = place.global_db.read_bytes()
    outcome = run_in_process("--data-dir", place.root, "serve", "--port", "0")
    assert outcome.status == 3
    assert "streamhub-db upgrade" in outcome.stderr
    assert place.global_db.read_bytes() == before


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "prometheus_client"])
def test_missing_extra_is_said_with_the_pip_line(
    make_streamhub: MakeStreamHub, missing: str
) -> None:
    """The package is hidden from a new interpreter, as if it were not installed."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from streamhub_orm.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--data-dir", str(make_streamhub().root), "serve"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "pip install 'streamhub-orm[admin]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_serves_as_the_owner(streamhub_templates: Templates, tmp_path: Path) -> None:
    with reachable_folder() as folder:
        place = streamhub_templates.copy(folder / "data", apps=("live", "radio", "arena"))
        given = fill(place)
        give_away(place.root)
        with serving(place, tmp_path, given, METRICS_TOKEN="scrape") as served:  # noqa: S106
            status = Path(f"/proc/{served.process.pid}/status").read_text()
            ids = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
            assert set(ids["Uid"].split()) == {str(UID)}
            assert set(ids["Gid"].split()) == {str(GID)}
            client = served.client()
            reads = ("stats", "apps/live/stats", "apps/live/db/health", "tenants/acme/usage")
            for path in reads:
                assert client.get(f"/api/v1/{path}").status_code == 200, path
            signed_in = client.post(
                "/sign-in", data={"token": given["global"]}, headers={"Origin": served.url}
            )
            assert signed_in.status_code == 303
            assert client.get("/").status_code == 200
            bearer = {"Authorization": "Bearer scrape"}
            assert client.get("/metrics", headers=bearer).status_code == 200
            assert client.post("/api/v1/apps/live/db/optimize").status_code == 200
            asked = {"scope": "all", "confirm": True}
            done = served.client().post("/api/v1/apps/radio/db/purge", json=asked)
            assert done.status_code == 200
        assert foreigners(place.root) == []

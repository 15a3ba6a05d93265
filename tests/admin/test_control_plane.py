"""The endpoints of a node whose global database is on a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from streamhub_orm import Databases
from streamhub_orm.global_db import ApiToken, ServerLog
from streamhub_orm.services import quotas
from streamhub_orm.services.bearers import hash_of
from tests.admin.conftest import SCRAPER, fill, serving, url_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir
    from tests.admin.conftest import Served


@pytest.fixture(scope="module")
def served(control_plane: DataDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(control_plane, folder, fill(control_plane), METRICS_TOKEN=SCRAPER) as server:
        yield server


@pytest.fixture
def databases(control_plane: DataDir) -> Iterator[Databases]:
    with Databases(control_plane.root, global_url=url_of(control_plane)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        *((it, 200) for it in ("global", "live", "here")),
        *((it, 403) for it in ("radio", "elsewhere")),
        *((it, 401) for it in ("revoked", "unknown", "jwt", None)),
    ],
)
def test_tokens_open_what_they_are_for(served: Served, bearer: str | None, status: int) -> None:
    assert served.client(bearer).get("/api/v1/apps/live/sizes").status_code == status


def test_last_use_of_a_token_is_written(served: Served, databases: Databases) -> None:
    served.client("live").get("/api/v1/apps/live/sizes")

    def is_written() -> bool:
        with databases.global_session(read_only=True) as session:
            used = sa.select(ApiToken.last_used_at).where(
                ApiToken.token_hash == hash_of(served.tokens["live"])
            )
            return session.scalar(used) is not None

    wait_until(is_written)


def test_stats_count_rows_of_the_server_and_of_the_files(
    served: Served, databases: Databases
) -> None:
    now = datetime.now(UTC)
    lines = [("error", 0, 1, None), ("error", 0, None, "live"), ("error", 0, None, "radio")]
    lines += [("debug", 0, 1, None), ("warn", 25, 1, None), ("info", 23, 1, None)]
    with databases.global_session() as session:
        for level, hours, app_id, name in lines:
            meta = None if name is None else {"appName": name}
            session.add(
                ServerLog(
                    ts=now - timedelta(hours=hours),
                    level=level,
                    source="recording",
                    app_id=app_id,
                    message="m",
                    meta_json=meta,
                )
            )
    found = served.client("live").get("/api/v1/apps/live/stats").json()
    assert found["events24h"] == {"error": 2, "warn": 0, "info": 1}
    assert found["live"] == {"rooms": 2, "activeStreams": 2}
    of_server = served.client("radio").get("/api/v1/stats").json()
    assert of_server["counts"] == {"apps": 3, "rooms": 2, "activeStreams": 2, "unread": 0}
    with databases.global_session(read_only=True) as session:
        size = session.scalar(sa.text("SELECT pg_database_size(current_database())"))
    assert of_server["storage"]["dbSizeBytes"] == pytest.approx(size, rel=0.1)


def test_usage_of_a_tenant_and_metrics(served: Served, databases: Databases) -> None:
    found = served.client().get("/api/v1/tenants/acme/usage").json()["data"]
    assert (found["plan"], found["quotas"]["maxApps"], found["usage"]["apps"]) == ("pro", 1, 1)
    assert found["exceeded"] == ["maxApps"]
    assert quotas.measure(databases, "acme").apps == 1
    answer = httpx.get(
        f"{served.url}/metrics",
        headers=[(b"Authorization", b"Bearer " + SCRAPER.encode())],
    )
    metrics = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert metrics["streamhub_apps", "acme"] == 1
    assert metrics["streamhub_apps", "platform"] == 2
    assert metrics["streamhub_tenant_quota", "apps", "acme"] == 1
    assert metrics["streamhub_tenant_usage", "concurrent_streams", "platform"] == 2
    assert metrics["streamhub_unread_apps",] == 0


def test_purge_of_one_app_takes_its_lines_from_the_server(
    served: Served, databases: Databases
) -> None:
    asked = {"scope": "all", "confirm": True}
    done = served.client("radio").post("/api/v1/apps/radio/db/purge", json=asked)
    assert done.status_code == 200, done.text
    data = done.json()["data"]
    assert (data["vodsDeleted"], data["logsDeleted"]) == (1, 1)
    with databases.global_session(read_only=True) as session:
        lines = session.scalars(sa.select(ServerLog)).all()
        assert lines
        assert not [line for line in lines if line.app_id == 2 or (line.meta_json is not None
                    and line.meta_json.get("appName") == "radio")]  # fmt: skip


def test_no_password_is_in_what_the_server_says(served: Served, control_plane: DataDir) -> None:
    assert control_plane.global_url is not None
    password = control_plane.global_url.url.password
    assert password
    assert password not in served.errors.read_text()
    health = served.client().get("/api/v1/system/db/health")
    assert password not in health.text


def test_server_is_not_cut_off_by_connections_that_end(
    served: Served, databases: Databases
) -> None:
    """As after a restart of the server: the next request is answered, or the one after it."""
    end = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with databases.global_session() as session:
        assert (session.scalar(end) or 0) >= 1
    client = served.client("global")
    wait_until(lambda: client.get("/api/v1/apps/live/sizes").status_code == 200, 5)
    assert all(client.get("/api/v1/apps/live/sizes").status_code == 200 for _ in range(5))
    assert served.process.poll() is None

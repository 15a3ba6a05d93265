"""`serve` and the metrics on a node whose global database is on a server."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client import CollectorRegistry

from streamhub_orm import Databases
from streamhub_orm.admin import application
from streamhub_orm.metrics import InstallationCollector
from streamhub_orm.server_url import URL_VARIABLE
from streamhub_orm.testing.rows import add_tenant, add_token, add_vod

if TYPE_CHECKING:
    import pytest

    from streamhub_orm.data_dir import DataDir


async def ask(databases: Databases, bearer: str) -> dict[str, Any]:
    """Ask for everything that is about the global database, as a panel does."""
    transport = httpx.ASGITransport(application(databases, with_page=True))
    headers = {"Authorization": f"Bearer {bearer}", "Origin": "http://node"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://node", headers=headers
    ) as client:
        await client.post("/sign-in", data={"token": bearer})
        paths = {
            "stats": "/api/v1/stats",
            "health": "/api/v1/system/db/health",
            "usage": "/api/v1/tenants/acme/usage",
        }
        answers = {name: (await client.get(path)).json() for name, path in paths.items()}
        found = {name: answer.get("data", answer) for name, answer in answers.items()}
        purge = await client.post(
            "/api/v1/apps/live/db/purge", json={"scope": "all", "confirm": True}
        )
        optimize = await client.post("/api/v1/apps/live/db/optimize")
        return {
            **found,
            "purge": purge.json(),
            "optimize": optimize.json(),
            "page": (await client.get("/")).text,
        }


def test_endpoints_answer_from_the_server_that_was_named(
    node: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ[URL_VARIABLE]
    monkeypatch.delenv(URL_VARIABLE)
    with Databases(node.root, global_url=url) as databases:
        with databases.app_session("live") as session:
            add_vod(session, size_bytes=1000)
        with databases.global_session() as session:
            add_tenant(session, tenant_id="acme")
            bearer = add_token(session).plaintext
        assert not node.global_db.exists()
        found = asyncio.run(ask(databases, bearer))
    stats, health = found["stats"], found["health"]
    assert stats["counts"]["apps"] == 1
    assert stats["storage"]["dbSizeBytes"] > 4 << 20
    assert stats["storage"]["vodTotalBytes"] == 1000
    assert health["path"] == str(node.global_url)
    assert {"name", "rows", "bytes"} == health["tables"][0].keys()
    assert (health["walSizeBytes"], health["pageCount"], health["fragmentationPct"]) == (0, 0, 0.0)
    assert found["usage"]["tenantId"] == "acme"
    assert found["purge"]["data"]["vodsDeleted"] == 1
    assert found["optimize"]["data"]["steps"][0]["result"] == "ok"
    assert f"on {node.global_url} is current" in found["page"]
    assert url.partition("@")[0].rpartition(":")[2] not in str(found)


def test_metrics_are_read_from_the_server(node: DataDir) -> None:
    registry = CollectorRegistry()
    with Databases(node.root) as databases:
        with databases.global_session() as session:
            add_tenant(session, tenant_id="acme")
        registry.register(InstallationCollector(databases))
        apps = registry.get_sample_value("streamhub_apps", {"tenant": "platform"})
        quota = registry.get_sample_value(
            "streamhub_tenant_quota", {"tenant": "platform", "metric": "apps"}
        )
        unread = registry.get_sample_value("streamhub_unread_apps")
    assert (apps, quota, unread) == (1, 100_000, 0)

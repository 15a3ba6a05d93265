"""The counters of `Databases`, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod, VodStatus
from streamhub_orm.engine.connections import open_read_only
from streamhub_orm.global_db import App
from streamhub_orm.metrics import InstallationCollector, register
from streamhub_orm.services import quotas
from streamhub_orm.testing.rows import add_stream, add_tenant, add_vod
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    import sqlite3

    from streamhub_orm.testing.plugin import MakeStreamHub
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

CHECKOUT: Final = Path(__file__).parents[2]


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    text = generate_latest(registry).decode()
    return {
        sample.name.removeprefix("streamhub_databases_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_are_exported_as_they_are_at_each_scrape(make_fresh: MakeFresh) -> None:
    registry = CollectorRegistry()
    with Databases(make_fresh(["tv-2"]), max_open_apps=1) as databases:
        register(databases, registry)
        assert set(scrape(registry).values()) == {0}
        for app in ("live", "live", "tv-2"):
            with databases.app_session(app, read_only=True):
                pass
        assert scrape(registry) == {
            "open_apps": 1,
            "hits_total": 1,
            "misses_total": 2,
            "evictions_total": 1,
            "waits_total": 0,
            "migrated_total": 1,
        }


def test_second_databases_in_one_registry_is_refused(make_fresh: MakeFresh) -> None:
    registry = CollectorRegistry()
    with Databases(make_fresh()) as databases:
        first = register(databases, registry)
        with pytest.raises(ValueError, match="Duplicated"):
            register(databases, registry)
        registry.unregister(first)
        register(databases, registry)


def test_import_without_the_extra_says_what_to_install() -> None:
    """The package is hidden from a new interpreter, as if it were not installed."""
    script = """
import sys
sys.modules["prometheus_client"] = None
from streamhub_orm.errors import MissingExtraError
try:
    import streamhub_orm.metrics
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert "streamhub-orm[metrics]" in done.stdout


def test_gauges_of_the_installation_are_what_the_files_hold(
    make_streamhub: MakeStreamHub,
) -> None:
    """An app that is lost or cannot be read is left out, and counted."""
    place = make_streamhub(apps=("live", "radio", "arena", "lost"))
    registry = CollectorRegistry()
    with Databases(place.root) as databases:
        registry.register(InstallationCollector(databases))
        with databases.app_session("live") as session:
            add_stream(session)
            add_vod(session, status=VodStatus.UPLOADING, size_bytes=3 * quotas.GIB)
            add_vod(session, status=VodStatus.FAILED)
        with databases.app_session("radio") as session:
            add_vod(session, status=VodStatus.RECORDING)
            session.execute(sa.insert(Vod).values(name="odd", app_id=2, status="ready"))
        with databases.global_session() as session:
            add_tenant(session, tenant_id="acme", limits=quotas.Limits(max_storage_gb=-1))
            add_tenant(session, tenant_id="broken")
            session.execute(
                sa.text("UPDATE quotas SET max_apps = 'many' WHERE tenant_id = 'broken'")
            )
            session.execute(sa.update(App).where(App.name == "live").values(tenant_id="acme"))
            session.execute(sa.update(App).where(App.name == "radio").values(tenant_id=None))
        place.app_db("arena").write_bytes(b"no database " * 500)
        with databases.app_session("lost", read_only=True):
            pass
        databases.close_app("lost")
        place.app_db("lost").unlink()
        text = generate_latest(registry).decode()
    found = {
        (sample.name.removeprefix("streamhub_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["active_streams",] == 1
    assert found["upload_queue_depth",] == 2
    statuses = ("recording", "uploading", "ready", "failed")
    assert [found["vods", status] for status in statuses] == [1, 1, 1, 1]
    assert (found["apps", "acme"], found["apps", "platform"]) == (1, 3)
    assert found["unread_apps",] == 2
    assert found["tenant_quota", "acme", "storage_gb"] == -1
    assert found["tenant_usage", "acme", "storage_gb"] == 3
    assert found["tenant_usage", "acme", "concurrent_streams"] == 1
    assert found["tenant_usage", "acme", "egress_gb_month"] == 0
    assert ("tenant_quota", "apps", "broken") not in found


def test_scrape_opens_each_app_once(
    make_streamhub: MakeStreamHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Counter[str]()

    def counting(path: Path) -> sqlite3.Connection:
        opened[path.parent.name] += 1
        return open_read_only(path)

    place = make_streamhub(apps=("live", "radio"))
    registry = CollectorRegistry()
    with Databases(place.root) as databases:
        registry.register(InstallationCollector(databases))
        with databases.app_session("live") as session:
            add_vod(session, size_bytes=3 * quotas.GIB)
        monkeypatch.setattr("streamhub_orm.fleet.reading.open_read_only", counting)
        scrape(registry)
    assert opened == {"live": 1, "radio": 1}

"""The counters of `Databases`, as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamhub_orm import Databases
from streamhub_orm.metrics import register
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]


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

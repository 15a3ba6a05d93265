"""The counters of `Databases`, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamhub_orm import Databases
from streamhub_orm.metrics import register
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
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

"""Counters of the cache of apps, for Prometheus. Needs the extra `metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from streamhub_orm.errors import MissingExtraError

try:
    from prometheus_client import REGISTRY
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as error:
    module = "streamhub_orm.metrics"
    package = "prometheus-client"
    raise MissingExtraError(module, package, extra="metrics") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry, Metric

    from streamhub_orm.databases import Counters

_COUNTERS: Final = {
    "hits": "Sessions on an app that was open.",
    "misses": "Sessions that opened their app.",
    "evictions": "Apps that were closed to make room for another.",
    "waits": "Sessions that waited because all that may be open was in use.",
    "migrated": "Opens that created or upgraded an app's file, or imported into it.",
}
_PREFIX: Final = "streamhub_databases"


class HasCounters(Protocol):
    """A `Databases` or an `AsyncDatabases`."""

    @property
    def counters(self) -> Counters:
        """Counters of the cache of apps."""


class DatabasesCollector(Collector):
    """Collector of the counters of one `Databases`, which reads them when it is scraped.

    A gauge `streamhub_databases_open_apps`, and the counters
    `streamhub_databases_{hits,misses,evictions,waits,migrated}_total`. In a child after fork they
    start at 0.
    """

    def __init__(self, databases: HasCounters) -> None:
        """Keep `databases`, which may be closed before it is scraped."""
        self._databases = databases

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its present value."""
        counters = self._databases.counters
        yield GaugeMetricFamily(f"{_PREFIX}_open_apps", "Apps that are open.", counters.open)
        for name, meaning in _COUNTERS.items():
            yield CounterMetricFamily(f"{_PREFIX}_{name}", meaning, getattr(counters, name))

    def describe(self) -> Iterator[Metric]:
        """Yield the same, so that a registry notices a second collector."""
        return self.collect()


def register(databases: HasCounters, registry: CollectorRegistry = REGISTRY) -> DatabasesCollector:
    """Export the counters of `databases` in `registry`, by default the process's own.

    Returns the collector, which `registry.unregister` takes. Raises ValueError where another
    `Databases` is registered there already: each needs a registry of its own.
    """
    collector = DatabasesCollector(databases)
    registry.register(collector)
    return collector

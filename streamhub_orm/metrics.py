"""Metrics for Prometheus: of the cache of apps, and of what the databases hold.

Needs the extra `metrics`.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import sqlalchemy as sa

from streamhub_orm.errors import MissingExtraError, StoredValueError
from streamhub_orm.fleet import Reading, read_apps
from streamhub_orm.global_db import PLATFORM_TENANT, App, Tenant
from streamhub_orm.migrations.states import find_loss
from streamhub_orm.registry import read_registry
from streamhub_orm.schema import utc_now
from streamhub_orm.services import quotas, usage

try:
    from prometheus_client import REGISTRY
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as error:
    module = "streamhub_orm.metrics"
    package = "prometheus-client"
    raise MissingExtraError(module, package, extra="metrics") from error

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from prometheus_client import CollectorRegistry, Metric

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Counters, Databases
    from streamhub_orm.registry import Registry

_logger: Final = logging.getLogger(__name__)
_COUNTERS: Final = {
    "hits": "Sessions on an app that was open.",
    "misses": "Sessions that opened their app.",
    "evictions": "Apps that were closed to make room for another.",
    "waits": "Sessions that waited because all that may be open was in use.",
    "migrated": "Opens that created or upgraded an app's file, or imported into it.",
}
_PREFIX: Final = "streamhub_databases"
_STATUSES: Final = ("recording", "uploading", "ready", "failed")
_QUEUE: Final = _STATUSES[:2]
_VODS_BY_STATUS: Final = "SELECT status, count(*) FROM vods GROUP BY status"


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


class InstallationCollector(Collector):
    """Collector of what the databases of an installation hold when it is scraped.

    Gauges `streamhub_active_streams`, `streamhub_upload_queue_depth` (recordings that are under way
    or being uploaded), `streamhub_vods` by `status`, `streamhub_apps` by `tenant`, and
    `streamhub_tenant_quota` and `streamhub_tenant_usage` by `tenant` and `metric`, in the unit of
    the limit; a quota of -1 is unlimited.
    `streamhub_unread_apps` is the number of apps that the others leave out, since they cannot be
    read. Every app's file is read for a scrape, about 1 ms each.
    """

    def __init__(self, databases: Databases) -> None:
        """Keep `databases`, which must be open when it is scraped."""
        self._databases = databases

    def collect(self) -> Iterator[Metric]:
        """Yield each gauge with its present value."""
        held = _read_apps(self._databases, utc_now())
        queue = sum(held.vods[status] for status in _QUEUE)
        yield GaugeMetricFamily("streamhub_active_streams", "Streams that are live.", held.streams)
        yield GaugeMetricFamily(
            "streamhub_upload_queue_depth", "Recordings that are not yet uploaded.", queue
        )
        vods = {status: held.vods[status] for status in (*_STATUSES, *held.vods)}
        yield _by_label("vods", "Recordings.", "status", vods)
        yield GaugeMetricFamily(
            "streamhub_unread_apps", "Apps that could not be read.", held.unread
        )
        yield from self._tenants(held)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: to be registered, it reads no database."""
        return iter(())

    def _tenants(self, held: _Held) -> Iterator[Metric]:
        owner = sa.func.coalesce(App.tenant_id, PLATFORM_TENANT).label("owner")
        with self._databases.global_session(read_only=True) as session:
            ids = session.scalars(sa.select(Tenant.id).order_by(Tenant.id)).all()
            owned = session.execute(sa.select(owner, sa.func.count()).group_by("owner"))
            apps = {str(tenant): count for tenant, count in owned}
        yield _by_label("apps", "Apps.", "tenant", apps)
        labels = ("tenant", "metric")
        quota = GaugeMetricFamily(
            "streamhub_tenant_quota", "Limits of a tenant; -1 is unlimited.", labels=labels
        )
        used = GaugeMetricFamily(
            "streamhub_tenant_usage", "Use of a tenant, in the unit of the limit.", labels=labels
        )
        for tenant in ids:
            try:
                found = quotas.measure(self._databases, tenant, now=held.now, read=held.uses)
            except StoredValueError as error:  # of one tenant: the others are told
                _logger.warning("no quota and usage of tenant %r: %s", tenant, error)
                continue
            for metric in quotas.Metric:
                name = metric.removeprefix("max_")
                quota.add_metric((str(tenant), name), getattr(found.limits, metric))
                used.add_metric((str(tenant), name), found.used(metric))
        yield quota
        yield used


def is_unread(reading: Reading[Any], registry: Registry, place: DataDir) -> bool:
    """Tell whether an app has something that could not be read; a lost database counts as well."""
    if not reading.missing:
        return reading.error is not None
    app = reading.app
    loss = find_loss(place.app_db(app), app, recorded=registry.is_recorded(app))
    return loss is not None


@dataclass
class _Held:
    """What the databases hold: each app's file is read once for all metrics of a scrape."""

    place: DataDir
    now: datetime
    vods: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    readings: dict[str, Reading[usage.AppUse]] = field(default_factory=dict)

    @property
    def streams(self) -> int:
        return sum(it.value.streams for it in self.readings.values() if it.value is not None)

    def uses(self, names: list[str]) -> Iterator[Reading[usage.AppUse]]:
        """Yield the use of some apps; of one that came meanwhile, as of one without a database."""
        for name in names:
            reading = self.readings.get(name) or Reading(name, missing=True)
            yield usage.or_nothing(self.place, reading, usage.AppUse())


def _read_apps(databases: Databases, now: datetime) -> _Held:
    place = databases.place
    held = _Held(place, now)
    registry = read_registry(place)
    read_use = usage.use_reader(now)

    def read(connection: sqlite3.Connection) -> tuple[usage.AppUse, dict[str, int]]:
        return read_use(connection), dict(connection.execute(_VODS_BY_STATUS))

    for reading in read_apps(place, registry.ids, read):
        held.unread += is_unread(reading, registry, place)
        use, vods = reading.value or (None, {})
        held.vods.update(vods)
        held.readings[reading.app] = Reading(reading.app, use, reading.error, reading.missing)
    return held


def _by_label(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"streamhub_{name}", meaning, labels=(label,))
    for each, value in values.items():
        family.add_metric((str(each),), value)  # somebody may have stored bytes
    return family


def register(databases: HasCounters, registry: CollectorRegistry = REGISTRY) -> DatabasesCollector:
    """Export the counters of `databases` in `registry`, by default the process's own.

    Returns the collector, which `registry.unregister` takes. Raises ValueError where another
    `Databases` is registered there already: each needs a registry of its own.
    """
    collector = DatabasesCollector(databases)
    registry.register(collector)
    return collector

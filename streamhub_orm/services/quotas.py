"""Quotas of tenants: their limits, what they use, and the last free slot for one caller only.

Recordings and streams lie in the databases of the tenant's apps, so `measure` and `reserve` take
`Databases`; the others take a session on the global database.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from streamhub_orm.errors import (
    QuotaExceededError,
    StoredValueError,
    StreamHubError,
    UnknownTenantError,
    UsageUnknownError,
)
from streamhub_orm.fleet import Reading, count_active_streams, read_apps
from streamhub_orm.global_db import Quota, Tenant
from streamhub_orm.registry import find_legacy_files
from streamhub_orm.schema import member_of, utc_now
from streamhub_orm.services import apps
from streamhub_orm.services.core import PointQuery, get_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases

__all__ = [
    "FREE",
    "GIB",
    "PLATFORM",
    "Limits",
    "Metric",
    "UnreadApp",
    "Usage",
    "get",
    "measure",
    "reserve",
    "update",
]

T = TypeVar("T")

GIB: Final = 1024**3
"""Bytes of a gigabyte, as limits count it."""

_UNLIMITED: Final = -1
# The day's text alone sorts before both formats of every time on it.
_RECORDED_SECONDS: Final = """
    SELECT total(duration_s) FROM vods WHERE started_at >= ? AND started_at < ?"""
_EGRESS_COLUMNS: Final = sa.text("SELECT name FROM pragma_table_info('quota_usage')")
_EGRESS_MONTHS: Final = ("month", "period")
_EGRESS_AMOUNTS: Final = {"egress_bytes": 1, "egress_gb": GIB}
# Upper and lower halves apart: the sum of a few absurd sizes would overflow SQLite's integers.
_STORED_BYTES: Final = """
    SELECT coalesce(sum(size_bytes >> 32), 0), coalesce(sum(size_bytes & 0xffffffff), 0)
    FROM vods"""


class Metric(StrEnum):
    """A limited quantity, by the name of its column, which says the unit and the time."""

    APPS = "max_apps"
    CONCURRENT_STREAMS = "max_concurrent_streams"
    RECORDING_MINUTES = "max_recording_minutes_month"
    EGRESS_GB = "max_egress_gb_month"
    STORAGE_GB = "max_storage_gb"


@dataclass(frozen=True, slots=True)
class Limits:
    """One number per metric; -1 is unlimited. By default those of the free plan."""

    max_apps: int = 2
    max_concurrent_streams: int = 2
    max_recording_minutes_month: int = 300
    max_egress_gb_month: int = 5
    max_storage_gb: int = 5

    def of(self, metric: Metric) -> int | None:
        """Return the limit, or None where there is none."""
        limit: int = getattr(self, metric.value)
        return None if limit == _UNLIMITED else limit


FREE: Final = Limits()
PLATFORM: Final = Limits(100_000, 100_000, 100_000_000, 100_000, 100_000)
"""The limits of the built-in tenant."""

_FIND_LIMITS: Final = PointQuery(
    sa.select(*(getattr(Quota, metric.value) for metric in Metric)).where(
        Quota.tenant_id == sa.bindparam("tenant")
    ),
    "tenant",
)


@dataclass(frozen=True, slots=True)
class UnreadApp:
    """An app that could not be counted, and the reason."""

    app: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of a tenant now, over all its apps that could be read."""

    tenant_id: str
    limits: Limits
    apps: int
    concurrent_streams: int
    recording_minutes: float
    """Of recordings that began in the current month (UTC), as far as their length is known."""
    storage_bytes: int
    """Of all recordings, as far as their size is known."""
    egress_bytes: int | None
    """Of the current month (UTC); None where nothing measures it."""
    unread: tuple[UnreadApp, ...]
    """Apps whose streams and recordings are not in these numbers."""


def get(session: Session, tenant_id: str) -> Limits:
    """Return the limits of a tenant: those of its row, or the free plan's where it has none."""
    row = _FIND_LIMITS.first(session, tenant_id)
    return FREE if row is None else Limits(*row)


def update(session: Session, tenant_id: str, limits: Limits) -> None:
    """Write the limits of a tenant. Raises `UnknownTenantError`."""
    get_row(session, Tenant, tenant_id, UnknownTenantError)
    quota = session.get(Quota, tenant_id) or Quota(tenant_id=tenant_id)
    for metric, limit in zip(Metric, astuple(limits), strict=True):
        setattr(quota, metric.value, limit)
    session.add(quota)
    session.flush()


def measure(databases: Databases, tenant_id: str, *, now: datetime | None = None) -> Usage:
    """Count what a tenant uses; it takes no lock. NULL as an app's tenant is the platform.

    Each app's database is read without an engine and without being upgraded. One that cannot be
    read is named in `unread`. An app that nobody has opened yet uses nothing, unless rows of an
    older release wait for its first opening: then it is `unread` too.
    """
    moment = (now or utc_now()).astimezone(UTC)
    with databases.global_session(read_only=True) as session:
        limits = get(session, tenant_id)
        names = apps.list_names(session, tenant_id)
        egress = _find_egress_bytes(session, tenant_id, moment)
    readings = list(_read_apps(databases.place, names, partial(_read_all, moment), (0, 0.0, 0)))
    counts = [reading.value for reading in readings if reading.value is not None]
    return Usage(
        tenant_id,
        limits,
        apps=len(names),
        concurrent_streams=sum(streams for streams, _, _ in counts),
        recording_minutes=sum(minutes for _, minutes, _ in counts),
        storage_bytes=sum(size for _, _, size in counts),
        egress_bytes=egress,
        unread=tuple(_unread(reading) for reading in readings if reading.value is None),
    )


@contextmanager
def reserve(
    databases: Databases,
    tenant_id: str,
    metric: Metric,
    amount: float = 1,
    *,
    now: datetime | None = None,
) -> Iterator[Session]:
    """Let the caller add `amount` of what a tenant may use, counted in the unit of its limit.

    Holds the write lock of the global database from the count to the end of the block, so of
    several callers who reserve, one gets the last slot, and the others count what it added. The
    Node core knows nothing of this. Inside the block the session that is yielded is the one to
    write to the global database with; an app's session is opened inside it, not around it:

        with reserve(databases, "acme", Metric.CONCURRENT_STREAMS):
            with databases.app_session("tv-2") as session:
                ...

    Raises `QuotaExceededError`; `UsageUnknownError` where there is a limit, but an app cannot be
    read, or nothing measures the egress; `UnknownTenantError`; and `StoredValueError` for an
    unknown metric and an amount that is no number from 0.
    """
    metric = member_of(Metric, metric)
    given: object = amount  # what a caller really passes
    if not isinstance(given, int | float) or not 0 <= given < math.inf:
        expected = "an amount that is a number from 0"
        raise StoredValueError(expected, given)
    with databases.global_session() as session:
        session.connection()  # takes the lock
        get_row(session, Tenant, tenant_id, UnknownTenantError)
        limit = get(session, tenant_id).of(metric)
        if limit is not None:
            used = _used(databases, session, tenant_id, metric, (now or utc_now()).astimezone(UTC))
            if used + amount > limit:
                raise QuotaExceededError(tenant_id, metric, limit, used)
        yield session


def _used(
    databases: Databases, session: Session, tenant_id: str, metric: Metric, now: datetime
) -> float:
    """Return what is used, in the unit of the limit, or raise `UsageUnknownError`."""
    if metric is Metric.EGRESS_GB:
        egress = _find_egress_bytes(session, tenant_id, now)
        if egress is None:
            reason = "no table quota_usage measures it"
            raise UsageUnknownError(tenant_id, metric, reason)
        return egress / GIB
    names = apps.list_names(session, tenant_id)
    if metric is Metric.APPS:
        return len(names)
    total = 0.0
    for reading in _read_apps(databases.place, names, _READS[metric](now), 0.0):
        if reading.value is None:
            unread = _unread(reading)
            reason = f"the app {unread.app!r} cannot be counted: {unread.reason}"
            raise UsageUnknownError(tenant_id, metric, reason) from reading.error
        total += reading.value
    return total / GIB if metric is Metric.STORAGE_GB else total


def _read_apps(
    place: DataDir, names: list[str], read: Callable[[sqlite3.Connection], T], nothing: T
) -> Iterator[Reading[T]]:
    """Read every app; one without a database gives `nothing`, if there is nothing to import."""
    for reading in read_apps(place, names, read):
        if not reading.missing:
            yield reading
            continue
        try:
            awaits_rows = find_legacy_files(place, reading.app).hold_rows()
        except StreamHubError as error:
            yield Reading(reading.app, error=error)
        else:
            yield reading if awaits_rows else Reading(reading.app, nothing)


def _find_egress_bytes(session: Session, tenant_id: str, now: datetime) -> int | None:
    """Return the bytes of the current month; None where nothing measures them.

    The table `quota_usage` is no part of the schema: an operator's meter makes it. What is needed
    of it is `tenant_id`, the month in `month` or `period` (text that begins with `2026-01`), and
    the amount in `egress_bytes` or `egress_gb`. A table of another shape measures nothing.
    """
    columns = set(session.scalars(_EGRESS_COLUMNS))
    months = [name for name in _EGRESS_MONTHS if name in columns]
    amounts = [name for name in _EGRESS_AMOUNTS if name in columns]
    if "tenant_id" not in columns or not months or not amounts:
        return None
    usage = sa.table("quota_usage", sa.column("tenant_id"), *map(sa.column, months + amounts))
    statement = sa.select(sa.func.total(usage.c[amounts[0]])).where(
        usage.c.tenant_id == tenant_id,
        sa.func.substr(usage.c[months[0]], 1, 7) == f"{now:%Y-%m}",
    )
    amount: float = session.scalars(statement).one()
    return int(amount * _EGRESS_AMOUNTS[amounts[0]])


def _month_of(moment: datetime) -> tuple[str, str]:
    """Return the texts that a month begins with, and the month after it: `2026-01-01`."""
    first = moment.replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return f"{first:%Y-%m-%d}", f"{following:%Y-%m-%d}"


def _read_minutes(now: datetime, connection: sqlite3.Connection) -> float:
    (seconds,) = connection.execute(_RECORDED_SECONDS, _month_of(now)).fetchone()
    return float(seconds) / 60


def _read_bytes(connection: sqlite3.Connection) -> int:
    upper, lower = connection.execute(_STORED_BYTES).fetchone()
    return int((upper << 32) + lower)


def _read_all(now: datetime, connection: sqlite3.Connection) -> tuple[int, float, int]:
    streams = count_active_streams(connection)
    return streams, _read_minutes(now, connection), _read_bytes(connection)


_READS: Final[dict[Metric, Callable[[datetime], Callable[[sqlite3.Connection], float]]]] = {
    Metric.CONCURRENT_STREAMS: lambda _: count_active_streams,
    Metric.RECORDING_MINUTES: lambda now: partial(_read_minutes, now),
    Metric.STORAGE_GB: lambda _: _read_bytes,
}


def _unread(reading: Reading[Any]) -> UnreadApp:
    missing = (
        "it has no database yet, and rows of an older release are to be imported into it; open the "
        "app once, or run `streamhub-db upgrade`"
    )
    return UnreadApp(reading.app, missing if reading.error is None else str(reading.error))

"""What a tenant uses of what its plan allows, and the last free slot given to one caller only.

Recordings and streams lie in the databases of the tenant's apps, so this works on `Databases`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from streamhub_orm.errors import QuotaExceededError, StreamHubError, UsageUnknownError
from streamhub_orm.fleet import Reading, count_active_streams, read_apps
from streamhub_orm.global_db import App
from streamhub_orm.registry import find_legacy_files
from streamhub_orm.schema import member_of, utc_now
from streamhub_orm.services.egress import GIB, find_egress_bytes
from streamhub_orm.services.limits import Limits, Metric, get_limits
from streamhub_orm.services.registry import owned_by

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases

T = TypeVar("T")

# The day's text alone sorts before both formats of every time on it.
RECORDED_SECONDS: Final = """
    SELECT total(duration_s) FROM vods WHERE started_at >= ? AND started_at < ?"""
# Upper and lower halves apart: the sum of a few absurd sizes would overflow SQLite's integers.
STORED_BYTES: Final = """
    SELECT coalesce(sum(size_bytes >> 32), 0), coalesce(sum(size_bytes & 0xffffffff), 0)
    FROM vods"""


@dataclass(frozen=True)
class UnreadApp:
    """An app that is missing from a usage, and why."""

    app: str
    reason: str


@dataclass(frozen=True)
class Usage:
    """What a tenant uses now, over all its apps that could be read."""

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


def read_usage(databases: Databases, tenant_id: str, *, now: datetime | None = None) -> Usage:
    """Count what a tenant uses; it takes no lock. NULL as an app's tenant is the platform.

    Each app's database is read without an engine and without being upgraded. One that cannot be
    read is named in `unread`. An app that nobody has opened yet uses nothing, unless rows of an
    older release wait for its first opening: then it is `unread` too.
    """
    moment = (now or utc_now()).astimezone(UTC)
    with databases.global_session(read_only=True) as session:
        limits = get_limits(session, tenant_id)
        names = list(session.scalars(apps_of(tenant_id)))
        egress = find_egress_bytes(session, tenant_id, moment)
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
    read, or nothing measures the egress; and `StoredValueError` for a metric that is none.
    """
    metric = member_of(Metric, metric)
    with databases.global_session() as session:
        session.connection()  # takes the lock
        limit = get_limits(session, tenant_id).of(metric)
        if limit is not None:
            used = _used(databases, session, tenant_id, metric, (now or utc_now()).astimezone(UTC))
            if used + amount > limit:
                raise QuotaExceededError(tenant_id, metric, limit, used)
        yield session


def apps_of(tenant_id: str) -> sa.Select[str]:
    """Return the statement that lists the names of a tenant's apps."""
    return sa.select(App.name).where(owned_by(tenant_id)).order_by(App.id)


def month_of(moment: datetime) -> tuple[str, str]:
    """Return the texts that a month begins with, and the month after it: `2026-01-01`."""
    first = moment.replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return f"{first:%Y-%m-%d}", f"{following:%Y-%m-%d}"


def _used(
    databases: Databases, session: Session, tenant_id: str, metric: Metric, now: datetime
) -> float:
    """Return what is used, in the unit of the limit, or raise `UsageUnknownError`."""
    if metric is Metric.EGRESS_GB:
        egress = find_egress_bytes(session, tenant_id, now)
        if egress is None:
            reason = "no table quota_usage measures it"
            raise UsageUnknownError(tenant_id, metric, reason)
        return egress / GIB
    names = list(session.scalars(apps_of(tenant_id)))
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


def _read_minutes(now: datetime, connection: sqlite3.Connection) -> float:
    (seconds,) = connection.execute(RECORDED_SECONDS, month_of(now)).fetchone()
    return float(seconds) / 60


def _read_bytes(connection: sqlite3.Connection) -> int:
    upper, lower = connection.execute(STORED_BYTES).fetchone()
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

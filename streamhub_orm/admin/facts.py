"""Facts that the endpoints answer with: sizes and numbers of an app, the server, a tenant.

Every file is opened read-only, one after the other, and closed: summing over thousands of apps
takes no more descriptors than one. An app that was never opened counts as empty.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.fleet import VodTotals, read_apps, vod_totals
from streamhub_orm.global_db import ServerLog
from streamhub_orm.metrics import is_unread
from streamhub_orm.migrations.global_database import reading_server
from streamhub_orm.migrations.states import find_loss
from streamhub_orm.registry import read_registry
from streamhub_orm.schema import TimeRange
from streamhub_orm.services import quotas, tenants
from streamhub_orm.services.logs import names_app

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases

_DAY: Final = timedelta(days=1)
_LEVELS: Final = ("error", "warn", "info")
_STREAMS: Final = """
    SELECT count(*), count(DISTINCT room) FROM streams WHERE status = 'active'"""
_INGRESS: Final = """
    SELECT count(*), coalesce(sum(status = 'active'), 0) FROM streams
    WHERE type IN ('rtmp', 'whip', 'rtsp')"""
_OF_APP: Final = sa.or_(
    ServerLog.app_id == sa.bindparam("app_id"),
    names_app(sa.bindparam("app", type_=sa.Text)),
)


class _App(NamedTuple):
    vods: VodTotals
    streams: int
    rooms: int
    ingress: tuple[int, int]
    """All rows of an ingress, and those that are active."""


_EMPTY: Final = _App(VodTotals(), 0, 0, (0, 0))


def find_app(place: DataDir, app: str) -> tuple[int, Path]:
    """Return the id of an app and where its database lies.

    Raises `AppNameError` and `UnknownAppError`, and `AppDatabaseLostError` where it had a database
    and has none now.
    """
    require_app_name(app)
    registry = read_registry(place)
    registry.require([app])
    path = place.app_db(app)
    if not bytes_on_disk(path):
        loss = find_loss(path, app, recorded=registry.is_recorded(app))
        if loss is not None:
            raise loss
    return registry.ids[app], path


def bytes_on_disk(path: Path) -> int:
    """Return the bytes of a database with its -wal and -shm; 0 where it is missing."""
    total = 0
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            total += os.stat(f"{path}{suffix}").st_size  # noqa: PTH116 - three for each app
    return total


def _global_bytes(place: DataDir) -> int:
    """Return what the global database takes, on this disk or on its server's."""
    if place.global_url is None:
        return bytes_on_disk(place.global_db)
    from streamhub_orm.postgresql.measures import database_bytes  # noqa: PLC0415 - an extra

    with reading_server(place, "measuring it") as connection:
        return database_bytes(connection)


def app_sizes(databases: Databases, app: str) -> dict[str, Any]:
    """Return the answer of `apps/:app/sizes`."""
    size, found = _read_one(databases, app)
    vods = found.vods.all
    return {
        "app": app,
        "dbSizeBytes": size,
        "vodTotalBytes": vods.size_bytes,
        "vodCount": vods.count,
    }


def app_stats(databases: Databases, app: str, *, now: datetime) -> dict[str, Any]:
    """Return the answer of `apps/:app/stats`."""
    size, found = _read_one(databases, app)
    vods, (ingress, active_ingress) = found.vods, found.ingress
    by_status = {status: total.count for status, total in vods.by_status.items()}
    return {
        "ts": _iso(now),
        "app": app,
        "live": {"rooms": found.rooms, "activeStreams": found.streams},
        "vods": {
            "count": vods.all.count,
            "totalBytes": vods.all.size_bytes,
            "byStatus": by_status,
        },
        "storage": {"appDbBytes": size, "vodBytes": vods.all.size_bytes},
        "ingress": {"total": ingress, "active": active_ingress},
        "events24h": _count_events(databases, app, now),
    }


def server_stats(databases: Databases, *, now: datetime) -> dict[str, Any]:
    """Return the answer of `stats`; apps that cannot be read are counted as `unread`."""
    place = databases.place
    registry = read_registry(place)
    global_bytes, app_bytes, unread = _global_bytes(place), 0, 0
    vods, streams, rooms = VodTotals(), 0, 0
    for reading in read_apps(place, registry.ids, _read):
        if is_unread(reading, registry, place):
            unread += 1
            continue
        app_bytes += bytes_on_disk(place.app_db(reading.app))
        found = reading.value or _EMPTY
        vods, streams, rooms = vods + found.vods, streams + found.streams, rooms + found.rooms
    return {
        "ts": _iso(now),
        "counts": {
            "apps": len(registry.ids),
            "rooms": rooms,
            "activeStreams": streams,
            "unread": unread,
        },
        "storage": {
            "dbSizeBytes": global_bytes,
            "appsDbSizeBytes": app_bytes,
            "totalDbSizeBytes": global_bytes + app_bytes,
            "vodTotalBytes": vods.all.size_bytes,
            "vodCount": vods.all.count,
        },
    }


def tenant_usage(databases: Databases, tenant_id: str) -> dict[str, Any]:
    """Return the answer of `tenants/:id/usage`; raises `UnknownTenantError`.

    `usage` is what the limits are held against: counted, or recorded where that is more. A limit of
    -1 is never `exceeded`.
    """
    with databases.global_session(read_only=True) as session:
        plan = tenants.get(session, tenant_id).plan
    found = quotas.measure(databases, tenant_id)
    return {
        "tenantId": tenant_id,
        "plan": plan,
        "quotas": {it.camel_key: getattr(found.limits, it) for it in quotas.Metric},
        "usage": {_use_key(metric): _finite(found.used(metric)) for metric in quotas.Metric},
        "recorded": found.recorded
        and {
            "recordingMinutesMonth": _finite(found.recorded.recording_minutes),
            "egressGbMonth": _finite(found.recorded.egress_gb),
            "storageGb": _finite(found.recorded.storage_gb),
        },
        "exceeded": [metric.camel_key for metric in found.exceeded],
        "unread": [app.app for app in found.unread],
    }


def _use_key(metric: quotas.Metric) -> str:
    """Return the key of a use: `concurrentStreams` is held against `maxConcurrentStreams`."""
    name = metric.camel_key.removeprefix("max")
    return name[0].lower() + name[1:]


def _finite(amount: float) -> float | None:
    """Return an amount, and None for an infinite one, which somebody may have written."""
    return amount if isfinite(amount) else None


def _read_one(databases: Databases, app: str) -> tuple[int, _App]:
    """Read one app; raises where it is not registered, lost, or cannot be read."""
    _, path = find_app(databases.place, app)
    size = bytes_on_disk(path)  # before it is opened, which may make a -shm
    [reading] = read_apps(databases.place, [app], _read)
    if reading.error is not None:
        raise reading.error
    return size, reading.value or _EMPTY


def _read(connection: sqlite3.Connection) -> _App:
    connection.execute("BEGIN")  # one snapshot for all that follows
    vods = vod_totals(connection)
    streams, rooms = connection.execute(_STREAMS).fetchone()
    return _App(vods, streams, rooms, connection.execute(_INGRESS).fetchone())


def _count_events(databases: Databases, app: str, now: datetime) -> dict[str, int]:
    """Count an app's lines of the last day in the server's log, by level."""
    app_id, _ = find_app(databases.place, app)
    statement = (
        sa.select(ServerLog.level, sa.func.count())
        .where(TimeRange(since=now - _DAY).within(ServerLog.ts), ServerLog.level.in_(_LEVELS))
        .where(_OF_APP)
        .group_by(ServerLog.level)
    )
    with databases.global_session(read_only=True) as session:
        rows = session.execute(statement, {"app_id": app_id, "app": app})
        found = {level: count for level, count in rows}  # noqa: C416 - as mypy has it
    return {level: found.get(level, 0) for level in _LEVELS}


def _iso(moment: datetime) -> str:
    """Return a time as the endpoints write it: `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

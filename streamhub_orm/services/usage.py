"""Use of a tenant: counted in its apps' databases, and as `quota_usage` has it; see `quotas`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa

from streamhub_orm.errors import StreamHubError
from streamhub_orm.fleet import Reading, count_active_streams, read_apps
from streamhub_orm.migrations.states import find_loss
from streamhub_orm.registry import find_legacy_files
from streamhub_orm.schema import column_names
from streamhub_orm.services.limits import Metric

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir

__all__ = [
    "GIB",
    "AppUse",
    "Recorded",
    "UnreadApp",
    "count_active_streams",
    "find_recorded",
    "minutes_reader",
    "or_nothing",
    "read_bytes",
    "read_or_nothing",
    "unread",
    "use_reader",
]

T = TypeVar("T")

GIB: Final = 1024**3
"""Bytes of a gigabyte, as limits count it."""

# The day's text alone sorts before both formats of every time on it.
_RECORDED_SECONDS: Final = """
    SELECT total(duration_s) FROM vods WHERE started_at >= ? AND started_at < ?"""
# Upper and lower halves apart: the sum of a few absurd sizes would overflow SQLite's integers.
_STORED_BYTES: Final = """
    SELECT coalesce(sum(size_bytes >> 32), 0), coalesce(sum(size_bytes & 0xffffffff), 0)
    FROM vods"""
_COLUMNS: Final = column_names("quota_usage")
_KEY: Final = {"tenant_id", "period"}
_AMOUNTS: Final = ("recording_minutes_month", "egress_gb_month", "storage_gb")


@dataclass(frozen=True, slots=True)
class UnreadApp:
    """An app that could not be counted, and the reason."""

    app: str
    reason: str


class AppUse(NamedTuple):
    """Use of one app, as it is counted in its database."""

    streams: int = 0
    """Streams that are live."""
    recording_minutes: float = 0.0
    """Minutes of the recordings that began in the month."""
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Use of a tenant in one month, as somebody's meter has written it into `quota_usage`."""

    recording_minutes: float = 0
    egress_gb: float = 0
    storage_gb: float = 0

    def or_counted(self, metric: Metric, counted: float) -> float:
        """Return what a limit is held against, in its unit: what is counted, or recorded if more.

        Egress is only recorded.
        """
        if metric is Metric.EGRESS_GB:
            return self.egress_gb
        recorded = {
            Metric.RECORDING_MINUTES: self.recording_minutes,
            Metric.STORAGE_GB: self.storage_gb,
        }
        return max(counted, recorded.get(metric, counted))


def find_recorded(session: Session, tenant_id: str, now: datetime) -> Recorded | None:
    """Return what `quota_usage` says of the month (UTC) of `now`; None without such a table.

    Nothing in the field makes that table. A tenant or a month without a row has used nothing, and
    nothing of an amount for which the table has no column.
    """
    columns = set(session.scalars(_COLUMNS))
    if not columns >= _KEY:
        return None
    table = sa.table("quota_usage", *map(sa.column, columns))
    amounts = [
        sa.func.coalesce(sa.func.sum(table.c[it], type_=sa.Float), 0.0)
        if it in columns
        else sa.literal(0.0)
        for it in _AMOUNTS
    ]
    is_meant = (table.c.tenant_id == tenant_id) & (table.c.period == f"{now:%Y-%m}")
    return Recorded(*session.execute(sa.select(*amounts).where(is_meant)).one())


def read_or_nothing(
    place: DataDir, names: list[str], read: Callable[[sqlite3.Connection], T], nothing: T
) -> Iterator[Reading[T]]:
    """Read every app; one without a database gives `nothing`, if there is nothing to import.

    One whose database is lost is an error: what it used nobody knows.
    """
    for reading in read_apps(place, names, read):
        yield or_nothing(place, reading, nothing)


def or_nothing(place: DataDir, reading: Reading[T], nothing: T) -> Reading[T]:
    """Return a reading as `read_or_nothing` has it."""
    if not reading.missing:
        return reading
    try:
        files = find_legacy_files(place, reading.app)
        path = place.app_db(reading.app)
        loss = find_loss(path, reading.app, recorded=files.is_recorded)
        awaits_rows = files.hold_rows()
    except StreamHubError as error:
        return Reading(reading.app, error=error)
    if loss is not None:
        return Reading(reading.app, error=loss)
    return reading if awaits_rows else Reading(reading.app, nothing)


def unread(reading: Reading[Any]) -> UnreadApp:
    """Say why an app could not be counted."""
    missing = (
        "it has no database yet, and rows of an older release are to be imported into it; open the "
        "app once, or run `streamhub-db upgrade`"
    )
    return UnreadApp(reading.app, missing if reading.error is None else str(reading.error))


def use_reader(now: datetime) -> Callable[[sqlite3.Connection], AppUse]:
    """Return what reads the use of one app in the month of `now`."""
    read_minutes = minutes_reader(now)

    def read(connection: sqlite3.Connection) -> AppUse:
        streams = count_active_streams(connection)
        return AppUse(streams, read_minutes(connection), read_bytes(connection))

    return read


def minutes_reader(now: datetime) -> Callable[[sqlite3.Connection], float]:
    """Return what reads the minutes of recordings that began in the month of `now`."""
    return partial(_read_minutes, _month_of(now))


def read_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of all recordings, as far as their size is known."""
    upper, lower = connection.execute(_STORED_BYTES).fetchone()
    return int((upper << 32) + lower)


def _read_minutes(month: tuple[str, str], connection: sqlite3.Connection) -> float:
    (seconds,) = connection.execute(_RECORDED_SECONDS, month).fetchone()
    return float(seconds) / 60


def _month_of(moment: datetime) -> tuple[str, str]:
    """Return the texts that a month begins with, and the month after it: `2026-01-01`."""
    first = moment.replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return f"{first:%Y-%m-%d}", f"{following:%Y-%m-%d}"

"""Quotas of tenants: their limits, what they use, and the last free slot for one caller only.

Recordings and streams lie in the databases of the tenant's apps, so what counts them takes
`Databases`; `get` and `update` take a session on the global database.
"""

from __future__ import annotations

import math
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import (
    EnvironmentSettingError,
    QuotaExceededError,
    StoredValueError,
    UnknownTenantError,
    UsageUnknownError,
)
from streamhub_orm.global_db import Tenant
from streamhub_orm.retrying import past_conflicts
from streamhub_orm.schema import member_of, utc_now
from streamhub_orm.services import apps, usage
from streamhub_orm.services.core import PointQuery, take_turn
from streamhub_orm.services.limits import FREE, PLATFORM, Limits, Metric, get, update
from streamhub_orm.services.usage import GIB, Recorded, UnreadApp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases
    from streamhub_orm.fleet import Reading

__all__ = [
    "FREE",
    "GIB",
    "PLATFORM",
    "Caller",
    "Decision",
    "Enforcement",
    "Limits",
    "Metric",
    "Recorded",
    "UnreadApp",
    "Usage",
    "Verdict",
    "decide",
    "get",
    "measure",
    "reserve",
    "update",
]

_TENANT: Final = PointQuery(sa.select(Tenant.id).where(Tenant.id == sa.bindparam("id")), "id")
_SETTING: Final = "STREAMHUB_AUTHZ_ENFORCE"


class Enforcement(StrEnum):
    """Force of a limit; the setting STREAMHUB_AUTHZ_ENFORCE."""

    OFF = "off"
    """Nothing: nobody counts."""
    LOG = "log"
    """It is counted and told, and refuses nobody."""
    ON = "on"
    """It refuses; the default."""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Enforcement:
        """Read the setting; raises `EnvironmentSettingError` for another word."""
        given = (os.environ if environment is None else environment).get(_SETTING, "").strip()
        found = next((mode for mode in cls if mode == (given.lower() or cls.ON)), None)
        if found is None:
            raise EnvironmentSettingError(_SETTING, repr(given), f"one of {', '.join(cls)}")
        return found


@dataclass(frozen=True, slots=True)
class Caller:
    """Caller who asks for more.

    At a WebSocket's connect nobody is exempt: name the app's tenant alone.
    """

    tenant_id: str | None
    is_superadmin: bool = False
    is_api_token: bool = False

    @property
    def is_exempt(self) -> bool:
        """True for superadmins, API tokens, and those without a tenant: nothing limits them."""
        return self.is_superadmin or self.is_api_token or self.tenant_id is None


class Verdict(StrEnum):
    """Judgement of a caller's request."""

    PASSES = "passes"
    REFUSED = "refused"
    WOULD_BE_REFUSED = "would-be-refused"
    """The caller passes, since limits are told and not enforced."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, with the numbers behind it where any were counted."""

    verdict: Verdict
    limit: float | None = None
    """None where there is none, or where nobody asked for it."""
    used: float | None = None
    error: QuotaExceededError | UsageUnknownError | None = None
    """Why the caller is, or would be, refused."""

    def __bool__(self) -> bool:
        """Tell whether the caller passes."""
        return self.verdict is not Verdict.REFUSED


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
    recorded: Recorded | None
    """What the table `quota_usage` says of this month; None where nothing measures it."""
    unread: tuple[UnreadApp, ...]
    """Apps whose streams and recordings are not in these numbers."""

    def used(self, metric: Metric) -> float:
        """Return what a limit is held against, in its unit: what is counted, or recorded if more.

        Egress can only be recorded.
        """
        counted = {
            Metric.APPS: self.apps,
            Metric.CONCURRENT_STREAMS: self.concurrent_streams,
            Metric.RECORDING_MINUTES: self.recording_minutes,
            Metric.STORAGE_GB: self.storage_bytes / GIB,
        }
        return (self.recorded or Recorded()).or_counted(metric, counted.get(metric, 0))

    @property
    def exceeded(self) -> list[Metric]:
        """The metrics of which nothing is left."""
        limits = {metric: self.limits.of(metric) for metric in Metric}
        return [it for it, limit in limits.items() if limit is not None and self.used(it) >= limit]


def measure(
    databases: Databases,
    tenant_id: str,
    *,
    now: datetime | None = None,
    read: Callable[[list[str]], Iterable[Reading[usage.AppUse]]] | None = None,
) -> Usage:
    """Count what a tenant uses; it takes no lock. NULL as an app's tenant is the platform.

    Each app's database is read without an engine and without being upgraded. One that cannot be
    read is named in `unread`. An app that nobody has opened yet uses nothing, unless rows of an
    older release wait for its first opening: then it is `unread` too. `read` gives the use of apps
    where it was counted before, of many tenants at once. Raises `StoredValueError` where the
    tenant's limits are malformed.
    """
    moment = (now or utc_now()).astimezone(UTC)
    with databases.global_session(read_only=True) as session:
        limits = get(session, tenant_id)
        names = apps.list_names(session, tenant_id)
        recorded = usage.find_recorded(session, tenant_id, moment)
    if read is None:
        count, nothing = usage.use_reader(moment), usage.AppUse()
        readings = list(usage.read_or_nothing(databases.place, names, count, nothing))
    else:
        readings = list(read(names))
    uses = [reading.value for reading in readings if reading.value is not None]
    return Usage(
        tenant_id,
        limits,
        apps=len(names),
        concurrent_streams=sum(use.streams for use in uses),
        recording_minutes=sum(use.recording_minutes for use in uses),
        storage_bytes=sum(use.stored_bytes for use in uses),
        recorded=recorded,
        unread=tuple(usage.unread(reading) for reading in readings if reading.value is None),
    )


def decide(  # noqa: PLR0913 - who wants how much of what, and how strictly it is held
    databases: Databases,
    session: Session,
    caller: Caller | str,
    metric: Metric,
    amount: float = 0,
    *,
    enforcement: Enforcement | None = None,
    now: datetime | None = None,
) -> Decision:
    """Decide whether a caller may have more, as `reserve` does, and raise nothing about it.

    With a session on the global database that writes, nobody else can take what is left until it
    ends; with a read-only one the decision may be outdated at once. A tenant's id as `caller` is
    one who is not exempt. Raises `UnknownTenantError`, `EnvironmentSettingError`, and
    `StoredValueError` for an unknown metric, an amount that is no number from 0, and limits that
    are malformed.
    """
    metric = member_of(Metric, metric)
    given: object = amount  # what a caller really passes
    if not isinstance(given, int | float) or not 0 <= given < math.inf:
        expected = "an amount that is a number from 0"
        raise StoredValueError(expected, given)
    who = Caller(caller) if isinstance(caller, str) else caller
    enforcement = enforcement or Enforcement.load()
    if who.is_exempt or enforcement is Enforcement.OFF:
        return Decision(Verdict.PASSES)
    tenant_id = str(who.tenant_id)
    take_turn(session, _turn_of(tenant_id))
    if _TENANT.first(session, tenant_id) is None:
        raise UnknownTenantError(tenant_id)
    limit = get(session, tenant_id).of(metric)
    if limit is None:
        return Decision(Verdict.PASSES)
    refusal = Verdict.REFUSED if enforcement is Enforcement.ON else Verdict.WOULD_BE_REFUSED
    try:
        used = _used(databases, session, tenant_id, metric, (now or utc_now()).astimezone(UTC))
    except UsageUnknownError as error:
        return Decision(refusal, limit, error=error)
    if used < limit and used + amount <= limit:
        return Decision(Verdict.PASSES, limit, used)
    return Decision(refusal, limit, used, QuotaExceededError(tenant_id, metric, limit, used))


@contextmanager
def reserve(  # noqa: PLR0913 - as of `decide`
    databases: Databases,
    caller: Caller | str,
    metric: Metric,
    amount: float = 0,
    *,
    enforcement: Enforcement | None = None,
    now: datetime | None = None,
) -> Iterator[Session]:
    """Let the caller take one more, or `amount` in the unit of the limit, of what a tenant may use.

    Refused is who asks where the limit is reached, and where `amount` would exceed it. Holds the
    write lock of the global database, or on a server the turn of the tenant, from the count to the
    end of the block, so of several callers who reserve, one gets the last slot, and the others
    count what it added. The Node core knows
    nothing of this. Inside the block the session that is yielded is the one to write to the global
    database with; an app's session is opened inside it, not around it:

        with reserve(databases, "acme", Metric.CONCURRENT_STREAMS):
            with databases.app_session("tv-2") as session:
                ...

    Raises `QuotaExceededError`, `UsageUnknownError` where there is a limit but an app cannot be
    read, and what `decide` raises. On a control plane the block may end in
    `TransactionConflictError` where somebody changed the same without reserving.
    """
    tenant_id = caller if isinstance(caller, str) else caller.tenant_id
    turn = None if tenant_id is None else _turn_of(tenant_id)

    def begin() -> tuple[ExitStack, Session]:
        with ExitStack() as stack:
            session = stack.enter_context(databases.global_session(turn=turn))
            session.connection()  # takes the lock
            decision = decide(
                databases, session, caller, metric, amount, enforcement=enforcement, now=now
            )
            if decision.error is not None and not decision:
                raise decision.error
            return stack.pop_all(), session

    begun, session = past_conflicts(begin)
    with begun:
        yield session


def _turn_of(tenant_id: str) -> str:
    """Return the turn of those who count what a tenant uses, to take more of it."""
    return f"quota {tenant_id}"


def _used(
    databases: Databases, session: Session, tenant_id: str, metric: Metric, now: datetime
) -> float:
    """Return what is used, as `Usage.used` does, reading no more than this needs."""
    if metric is Metric.APPS:
        return apps.count(session, tenant_id)
    recorded = usage.find_recorded(session, tenant_id, now) or Recorded()
    if metric is Metric.EGRESS_GB:
        return recorded.or_counted(metric, 0)
    names = apps.list_names(session, tenant_id)
    counted = 0.0
    for reading in usage.read_or_nothing(databases.place, names, _READS[metric](now), 0.0):
        if reading.value is None:
            unread = usage.unread(reading)
            reason = f"the app {unread.app!r} cannot be counted: {unread.reason}"
            raise UsageUnknownError(tenant_id, metric, reason) from reading.error
        counted += reading.value
    return recorded.or_counted(metric, counted / GIB if metric is Metric.STORAGE_GB else counted)


_READS: Final[dict[Metric, Callable[[datetime], Callable[[sqlite3.Connection], float]]]] = {
    Metric.CONCURRENT_STREAMS: lambda _: usage.count_active_streams,
    Metric.RECORDING_MINUTES: usage.minutes_reader,
    Metric.STORAGE_GB: lambda _: usage.read_bytes,
}

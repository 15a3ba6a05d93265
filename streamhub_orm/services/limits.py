"""What a tenant may use. All functions take a session on the global database."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import UnknownTenantError
from streamhub_orm.global_db import Quota, Tenant
from streamhub_orm.services.point_query import PointQuery

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

UNLIMITED: Final = -1


class Metric(StrEnum):
    """What is limited, by the name of its column, which says the unit and the time."""

    APPS = "max_apps"
    CONCURRENT_STREAMS = "max_concurrent_streams"
    RECORDING_MINUTES = "max_recording_minutes_month"
    EGRESS_GB = "max_egress_gb_month"
    STORAGE_GB = "max_storage_gb"


@dataclass(frozen=True)
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
        return None if limit == UNLIMITED else limit


FREE: Final = Limits()
PLATFORM: Final = Limits(100_000, 100_000, 100_000_000, 100_000, 100_000)
"""Those of the built-in tenant."""

FIND_LIMITS: Final = PointQuery(
    sa.select(*(getattr(Quota, metric.value) for metric in Metric)).where(
        Quota.tenant_id == sa.bindparam("tenant")
    ),
    "tenant",
)


def get_limits(session: Session, tenant_id: str) -> Limits:
    """Return what a tenant may use: what its row says, or the free plan's where it has none."""
    row = FIND_LIMITS.first(session, tenant_id)
    return FREE if row is None else Limits(*row)


def set_limits(session: Session, tenant_id: str, limits: Limits) -> None:
    """Write what a tenant may use. Raises `UnknownTenantError`."""
    if session.get(Tenant, tenant_id) is None:
        raise UnknownTenantError(tenant_id)
    quota = session.get(Quota, tenant_id) or Quota(tenant_id=tenant_id)
    for metric, limit in zip(Metric, astuple(limits), strict=True):
        setattr(quota, metric.value, limit)
    session.add(quota)
    session.flush()

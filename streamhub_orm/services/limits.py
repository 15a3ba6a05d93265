"""Limits of a tenant; `quotas` offers them. All functions take a session on the global database."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import HiddenValueError, StoredValueError, UnknownTenantError
from streamhub_orm.global_db import Quota, Tenant
from streamhub_orm.schema import column_names, json_from_text
from streamhub_orm.services.core import PointQuery, get_row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["FREE", "PLATFORM", "Limits", "Metric", "get", "update"]

_UNLIMITED: Final = -1
_COLUMNS: Final = column_names("tenants")
_FIND_JSON: Final = sa.text("SELECT quotas_json FROM tenants WHERE id = :tenant")


class Metric(StrEnum):
    """A limited quantity, by the name of its column, which says the unit and the time."""

    APPS = "max_apps"
    CONCURRENT_STREAMS = "max_concurrent_streams"
    RECORDING_MINUTES = "max_recording_minutes_month"
    EGRESS_GB = "max_egress_gb_month"
    STORAGE_GB = "max_storage_gb"

    @property
    def camel_key(self) -> str:
        """The other spelling of its key in `quotas_json`: `maxApps`."""
        first, *others = self.value.split("_")
        return first + "".join(map(str.capitalize, others))


@dataclass(frozen=True, slots=True)
class Limits:
    """One number per metric; -1 is unlimited. By default those of the free plan."""

    max_apps: float = 2
    max_concurrent_streams: float = 2
    max_recording_minutes_month: float = 300
    max_egress_gb_month: float = 5
    max_storage_gb: float = 5

    def of(self, metric: Metric) -> float | None:
        """Return the limit, or None where there is none."""
        limit: float = getattr(self, metric.value)
        return None if limit == _UNLIMITED else limit


FREE: Final = Limits()
PLATFORM: Final = Limits(100_000, 100_000, 100_000_000, 100_000, 100_000)
"""The limits of the built-in tenant."""

_FIND: Final = PointQuery(
    sa.select(*(getattr(Quota, metric.value) for metric in Metric)).where(
        Quota.tenant_id == sa.bindparam("tenant")
    ),
    "tenant",
)


def get(session: Session, tenant_id: str) -> Limits:
    """Return the limits of a tenant: of its row in `quotas`, else of its `tenants.quotas_json`.

    What neither says is as in the free plan. In the row -1 is unlimited, and a lower number says
    nothing; in the JSON, whose keys are `max_apps` or `maxApps`, any number below 0 is unlimited.
    Nothing in the field makes the column `quotas_json`: it is read where it exists. Raises
    `StoredValueError` for a limit that is no number, and for malformed JSON.
    """
    row = _FIND.first(session, tenant_id)
    if row is not None:
        return Limits(*map(_of_row, Metric, row))
    if "quotas_json" not in session.scalars(_COLUMNS).all():
        return FREE
    text = session.scalar(_FIND_JSON, {"tenant": tenant_id})
    return FREE if text is None else _of_json(text)


def update(session: Session, tenant_id: str, limits: Limits) -> None:
    """Write the limits of a tenant.

    Raises `UnknownTenantError`, and `StoredValueError` for one that is no whole number from -1.
    """
    for limit in astuple(limits):
        if type(limit) is not int or limit < _UNLIMITED:
            expected = "a limit that is a whole number, or -1 for none"
            raise StoredValueError(expected, limit)
    get_row(session, Tenant, tenant_id, UnknownTenantError)
    quota = session.get(Quota, tenant_id) or Quota(tenant_id=tenant_id)
    for metric, limit in zip(Metric, astuple(limits), strict=True):
        setattr(quota, metric.value, limit)
    session.add(quota)
    session.flush()


def _of_row(metric: Metric, stored: object) -> float:
    limit = _number(stored, f"{metric} of the table quotas")
    return limit if limit >= _UNLIMITED else getattr(FREE, metric.value)


def _of_json(text: object) -> Limits:
    place = "tenants.quotas_json"
    try:
        found = json_from_text(text)
    except HiddenValueError as error:
        expected = f"{error.kind} in {place}"
        raise HiddenValueError(expected, error.value) from None
    if not isinstance(found, dict):
        expected = f"a JSON object in {place}"
        raise StoredValueError(expected, found)
    limits = {}
    for metric in Metric:
        given = found.get(metric.value, found.get(metric.camel_key))
        if given is not None:
            limit = _number(given, f"{metric} in {place}")
            limits[metric.value] = limit if limit >= 0 else _UNLIMITED
    return Limits(**limits)


def _number(stored: object, place: str) -> float:
    is_number = isinstance(stored, int | float) and not isinstance(stored, bool)
    if not (is_number and -math.inf < stored < math.inf):  # type: ignore[operator]
        expected = f"a number as {place}"
        raise StoredValueError(expected, stored)
    return stored  # type: ignore[return-value]

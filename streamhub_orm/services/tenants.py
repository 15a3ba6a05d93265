"""Tenants, to whom apps belong: the built-in platform, and teams with a quota and an owner.

All functions take a session on the global database. The id of a new team is a random UUID as text
unless the caller names one.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa

from streamhub_orm.errors import TenantExistsError, UnknownTenantError
from streamhub_orm.global_db import PLATFORM_TENANT, Quota, Role, Tenant
from streamhub_orm.services import memberships, quotas, users
from streamhub_orm.services.core import get_row
from streamhub_orm.services.quotas import FREE, PLATFORM, Limits

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["create", "ensure_platform", "get", "list_"]


def ensure_platform(session: Session) -> Tenant:
    """Return the built-in tenant, made with its quota where either is missing."""
    platform = session.get(Tenant, PLATFORM_TENANT)
    if platform is None:
        platform = Tenant(id=PLATFORM_TENANT, name="Platform", plan="platform")
        session.add(platform)
        session.flush()
    if session.get(Quota, PLATFORM_TENANT) is None:
        quotas.update(session, PLATFORM_TENANT, PLATFORM)
    return platform


def create(  # noqa: PLR0913 - the columns of a tenant
    session: Session,
    name: str,
    owner_id: str,
    *,
    tenant_id: str | None = None,
    plan: str = "free",
    limits: Limits = FREE,
) -> Tenant:
    """Make a tenant with its quota, and a user its owner: all of it, or none.

    Raises `UnknownUserError` and `TenantExistsError`.
    """
    users.get(session, owner_id)
    new_id = str(uuid.uuid4()) if tenant_id is None else tenant_id
    if session.get(Tenant, new_id) is not None:
        raise TenantExistsError(new_id)
    team = Tenant(id=new_id, name=name, plan=plan)
    session.add(team)
    session.flush()
    quotas.update(session, new_id, limits)
    memberships.add(session, new_id, owner_id, Role.OWNER)
    return team


def get(session: Session, tenant_id: str) -> Tenant:
    """Return the tenant. Raises `UnknownTenantError`."""
    return get_row(session, Tenant, tenant_id, UnknownTenantError)


def list_(session: Session) -> list[Tenant]:
    """List all tenants by name."""
    return list(session.scalars(sa.select(Tenant).order_by(Tenant.name, Tenant.id)))

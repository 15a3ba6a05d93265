"""Tenants, to whom apps belong: the built-in platform, and teams with a quota and an owner.

All functions take a session on the global database. The id of a new team is `tnt_` and a random
UUID unless the caller names one.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import TenantExistsError, UnknownTenantError
from streamhub_orm.global_db import PLATFORM_TENANT, Membership, Quota, Role, Tenant, User
from streamhub_orm.services import memberships, quotas, users
from streamhub_orm.services.core import get_row
from streamhub_orm.services.quotas import FREE, PLATFORM, Limits

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["ADMIN", "create", "ensure_admin", "ensure_platform", "ensure_team", "get", "list_"]

ADMIN: Final = "admin"
"""The id of the user who is the operator."""


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


def ensure_admin(session: Session, email: str) -> User:
    """Return the operator's user, `admin`, with this e-mail address as it is written.

    It is a superadmin, and the platform's owner unless a member in another role. The Node core does
    the same at each start, with ADMIN_USER.
    """
    admin = session.get(User, ADMIN)
    if admin is None:
        admin = User(id=ADMIN, status=users.ACTIVE)
        session.add(admin)
    admin.email, admin.is_superadmin = email, True
    session.flush()
    ensure_platform(session)
    if memberships.find_role(session, PLATFORM_TENANT, ADMIN) is None:
        memberships.add(session, PLATFORM_TENANT, ADMIN, Role.OWNER)
    return admin


def ensure_team(session: Session, user: User) -> Membership:
    """Return a user's primary membership; one without any gets a team of the free plan.

    It is what the Node core does at a sign-up and when somebody comes by a magic link. The team is
    named after the user's e-mail address. Raises `UnknownUserError`.
    """
    found = memberships.find_primary(session, user.id)
    if found is not None:
        return found
    team = create(session, user.email or user.id, user.id)
    return session.get_one(Membership, (user.id, team.id))


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
    new_id = f"tnt_{uuid.uuid4()}" if tenant_id is None else tenant_id
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

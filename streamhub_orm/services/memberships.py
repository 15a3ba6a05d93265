"""Members of tenants, each in a role. A tenant that has owners keeps one.

All functions take a session on the global database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from streamhub_orm.errors import (
    LastOwnerError,
    UnknownMembershipError,
    UnknownTenantError,
    UnknownUserError,
)
from streamhub_orm.global_db import Membership, Role, Tenant, User
from streamhub_orm.schema import comparable
from streamhub_orm.services.core import PointQuery, get_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "TenantMember",
    "TenantOfUser",
    "add",
    "delete",
    "find_primary",
    "find_role",
    "list_members",
    "list_tenants",
    "require_no_last_ownership",
    "set_role",
]

_FIND_ROLE: Final = PointQuery(
    sa.select(Membership.role).where(
        Membership.user_id == sa.bindparam("user"), Membership.tenant_id == sa.bindparam("tenant")
    ),
    "user",
    "tenant",
)


class TenantMember(NamedTuple):
    """A user as the list of a tenant's members shows them."""

    user_id: str
    email: str | None
    name: str | None
    role: Role
    created_at: datetime
    status: str
    """The user's: pending for one who was invited and has not come yet."""


class TenantOfUser(NamedTuple):
    """A tenant as the list of a user's tenants shows it."""

    tenant_id: str
    name: str
    plan: str
    role: Role


def find_role(session: Session, tenant_id: str, user_id: str) -> Role | None:
    """Return the user's role in the tenant, or None where they do not belong to it."""
    row = _FIND_ROLE.first(session, user_id, tenant_id)
    return None if row is None else Role(row[0])


def find_primary(session: Session, user_id: str) -> Membership | None:
    """Return the membership that a sign-in acts by: an owner's first, then the oldest."""
    order = (
        sa.case((Membership.role == Role.OWNER, 0), else_=1),
        comparable(Membership.created_at),
        sa.literal_column("memberships.rowid", sa.Integer),
    )
    theirs = sa.select(Membership).where(Membership.user_id == user_id)
    return session.scalars(theirs.order_by(*order).limit(1)).one_or_none()


def add(session: Session, tenant_id: str, user_id: str, role: Role = Role.VIEWER) -> Membership:
    """Make a user a member in a role; whoever is one already gets this role.

    Raises `UnknownTenantError`, `UnknownUserError`, and `LastOwnerError` where the last owner would
    be demoted.
    """
    found = session.get(Membership, (user_id, tenant_id))
    if found is not None:
        set_role(session, tenant_id, user_id, role)
        return found
    get_row(session, Tenant, tenant_id, UnknownTenantError)
    get_row(session, User, user_id, UnknownUserError)
    membership = Membership(user_id=user_id, tenant_id=tenant_id, role=role)
    session.add(membership)
    session.flush()
    return membership


def set_role(session: Session, tenant_id: str, user_id: str, role: Role) -> None:
    """Give a member another role.

    Raises `UnknownMembershipError`, and `LastOwnerError` where the last owner would be demoted.
    """
    membership = _get(session, tenant_id, user_id)
    if role is not Role.OWNER:
        _require_another_owner(session, membership)
    membership.role = role
    session.flush()


def delete(session: Session, tenant_id: str, user_id: str) -> None:
    """End a membership, whether the member leaves or is removed.

    Raises `UnknownMembershipError`, and `LastOwnerError` where the last owner would go.
    """
    membership = _get(session, tenant_id, user_id)
    _require_another_owner(session, membership)
    session.delete(membership)
    session.flush()


def list_members(session: Session, tenant_id: str) -> list[TenantMember]:
    """List the members of a tenant, in the order in which they joined."""
    statement = (
        sa.select(
            *(User.id, User.email, User.name),
            *(Membership.role, Membership.created_at, User.status),
        )
        .join(User, User.id == Membership.user_id)
        .where(Membership.tenant_id == tenant_id)
        .order_by(sa.literal_column("memberships.rowid"))
    )
    return [TenantMember(*row) for row in session.execute(statement)]


def list_tenants(session: Session, user_id: str) -> list[TenantOfUser]:
    """List the tenants that a user belongs to, by name."""
    statement = (
        sa.select(Tenant.id, Tenant.name, Tenant.plan, Membership.role)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .where(Membership.user_id == user_id)
        .order_by(Tenant.name, Tenant.id)
    )
    return [TenantOfUser(*row) for row in session.execute(statement)]


def require_no_last_ownership(session: Session, user_id: str) -> None:
    """Raise `LastOwnerError` for a tenant whose last owner the user is."""
    owned = sa.select(Membership).where(
        Membership.user_id == user_id, Membership.role == Role.OWNER
    )
    for membership in session.scalars(owned.order_by(Membership.tenant_id)):
        _require_another_owner(session, membership)


def _get(session: Session, tenant_id: str, user_id: str) -> Membership:
    membership = session.get(Membership, (user_id, tenant_id))
    if membership is None:
        raise UnknownMembershipError(tenant_id, user_id)
    return membership


def _require_another_owner(session: Session, membership: Membership) -> None:
    if membership.role is not Role.OWNER:
        return
    other = aliased(Membership)
    others = sa.select(other.user_id).where(
        other.tenant_id == membership.tenant_id,
        other.user_id != membership.user_id,
        other.role == Role.OWNER,
    )
    if session.scalar(others.limit(1)) is None:
        raise LastOwnerError(membership.tenant_id, membership.user_id)

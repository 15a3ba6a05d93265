"""Invitations to a tenant: a link by e-mail to somebody who is a member already, but pending.

All functions take a session on the global database. `magic_links.claim` accepts an invitation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors import InviteAcceptedError, MemberExistsError, UnknownMembershipError
from streamhub_orm.global_db import Role, User
from streamhub_orm.services import magic_links, memberships, tenants, users
from streamhub_orm.services.magic_links import LinkKind

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.services.magic_links import MagicLink
    from streamhub_orm.services.memberships import TenantMember

__all__ = ["create", "list_", "revoke"]


def create(
    session: Session,
    tenant_id: str,
    email: str,
    role: Role = Role.VIEWER,
    *,
    now: datetime | None = None,
) -> MagicLink:
    """Invite somebody: make a pending user, where nobody has this address, a member, and a link.

    The link is good for 72 hours. Raises `EmailError`, `UnknownTenantError`, and
    `MemberExistsError` for who belongs to the tenant already.
    """
    tenants.get(session, tenant_id)
    user = users.find_by_email(session, email)
    if user is None:
        user = users.create(session, email, status=users.PENDING)
    elif memberships.find_role(session, tenant_id, user.id) is not None:
        raise MemberExistsError(tenant_id, user.id)
    memberships.add(session, tenant_id, user.id, role)
    return magic_links.issue(session, email, LinkKind.INVITE, now=now)


def revoke(session: Session, tenant_id: str, user_id: str, *, now: datetime | None = None) -> None:
    """Take an invitation back: the membership goes, and all open invitations to the address.

    A pending user without a password and without another team goes, too. Raises
    `UnknownMembershipError`, `InviteAcceptedError` for a user who is not pending, and
    `LastOwnerError`.
    """
    user = session.get(User, user_id)
    if user is None or memberships.find_role(session, tenant_id, user_id) is None:
        raise UnknownMembershipError(tenant_id, user_id)
    if user.status != users.PENDING:
        raise InviteAcceptedError(tenant_id, user_id)
    memberships.delete(session, tenant_id, user_id)
    if user.email is not None:
        magic_links.use_up(session, user.email, LinkKind.INVITE, now=now)
    if not user.password_hash and memberships.find_primary(session, user_id) is None:
        users.delete(session, user_id, now=now)


def list_(session: Session, tenant_id: str) -> list[TenantMember]:
    """List the members of a tenant who were invited and have not come yet."""
    members = memberships.list_members(session, tenant_id)
    return [member for member in members if member.status == users.PENDING]

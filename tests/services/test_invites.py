"""Invitations: a pending member and a link, accepted by a claim, taken back while pending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    EmailError,
    InviteAcceptedError,
    LastOwnerError,
    MemberExistsError,
    UnknownMembershipError,
    UnknownTenantError,
)
from streamhub_orm.global_db import MagicToken, Role
from streamhub_orm.services import invites, magic_links, memberships, passwords, tenants, users
from streamhub_orm.services.magic_links import LinkRefusal
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, 30, 250_000, tzinfo=UTC)
EMAIL = "bob@example.org"


@pytest.fixture
def team(global_session: Session) -> str:
    """Return the id of a team with an owner."""
    ann = users.create(global_session, "ann@example.org")
    return tenants.create(global_session, "Team", ann.id).id


def invite(session: Session, tenant: str, role: Role = Role.EDITOR) -> magic_links.MagicLink:
    return invites.create(session, tenant, " Bob@Example.org", role, now=NOW)


def count(session: Session, table: str) -> int:
    return int(session.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def bob_of(session: Session) -> str:
    bob = users.find_by_email(session, EMAIL)
    assert bob is not None
    return bob.id


def test_invite_is_a_pending_member_and_a_link_of_72_hours(
    global_session: Session, team: str
) -> None:
    """Reference, Access: kind invite: 72 h, request_ip NULL; a pending user + membership."""
    invite(global_session, team)
    row = stored.row_of(global_session, MagicToken)
    assert (row["email"], row["kind"], row["request_ip"]) == (EMAIL, "invite", None)
    assert (row["created_at"], row["expires_at"]) == (
        "2026-01-31T12:00:30.250Z",
        "2026-02-03T12:00:30.250Z",
    )
    bob = users.get(global_session, bob_of(global_session))
    assert (bob.email, bob.status, bob.password_hash) == (EMAIL, "pending", None)
    (found,) = invites.list_(global_session, team)
    assert (found.user_id, found.role) == (bob.id, Role.EDITOR)


def test_claim_accepts_an_invite_until_72_hours_have_gone(
    global_session: Session, team: str
) -> None:
    link = invite(global_session, team)
    end = NOW + timedelta(hours=72)
    assert magic_links.claim(global_session, link.token, now=end).refusal is LinkRefusal.EXPIRED
    found = magic_links.claim(global_session, link.token, now=end - timedelta(seconds=1))
    assert found.user_id == bob_of(global_session)
    assert users.get(global_session, bob_of(global_session)).status == "active"
    assert invites.list_(global_session, team) == []
    assert len(memberships.list_tenants(global_session, bob_of(global_session))) == 1


def test_who_has_an_account_is_invited_with_it(global_session: Session, team: str) -> None:
    bob = users.create(global_session, EMAIL)
    invite(global_session, team)
    assert (bob.status, memberships.find_role(global_session, team, bob.id)) == (
        "active",
        Role.EDITOR,
    )
    assert invites.list_(global_session, team) == []


def test_member_and_unknown_tenant_and_no_address_are_refused_with_nothing_made(
    global_session: Session, team: str
) -> None:
    """Reference, Access: refused for a member."""
    invite(global_session, team)
    before = [count(global_session, table) for table in ("users", "memberships", "magic_tokens")]
    with pytest.raises(MemberExistsError) as caught:
        invite(global_session, team, Role.OWNER)
    assert caught.value.user_id == bob_of(global_session)
    with pytest.raises(UnknownTenantError):
        invites.create(global_session, "nope", "carl@example.org")
    with pytest.raises(EmailError):
        invites.create(global_session, team, "carl")
    after = [count(global_session, table) for table in ("users", "memberships", "magic_tokens")]
    assert after == before
    assert memberships.find_role(global_session, team, bob_of(global_session)) is Role.EDITOR


def test_revoked_invite_leaves_nothing_and_its_link_is_used(
    global_session: Session, team: str
) -> None:
    """Reference, Access: revoking deletes the membership, the links' use, and a pending user."""
    link = invite(global_session, team)
    login = magic_links.request(global_session, EMAIL, now=NOW)
    invites.revoke(global_session, team, bob_of(global_session), now=NOW)
    assert users.find_by_email(global_session, EMAIL) is None
    assert len(memberships.list_members(global_session, team)) == 1
    found = magic_links.claim(global_session, link.token, now=NOW)
    assert found.refusal is LinkRefusal.USED
    used = stored.row_of(global_session, MagicToken, kind="invite")
    assert used["used_at"] == "2026-01-31 12:00:30"
    assert magic_links.claim(global_session, login.token, now=NOW)


def test_revoke_uses_up_links_that_are_stored_in_another_form(
    global_session: Session, team: str
) -> None:
    link = invite(global_session, team)
    global_session.execute(sa.text("UPDATE magic_tokens SET email = ' BOB@example.org'"))
    global_session.execute(
        sa.text("UPDATE users SET email = 'Bob@example.org ' WHERE name IS NULL")
    )
    (pending,) = invites.list_(global_session, team)
    invites.revoke(global_session, team, pending.user_id, now=NOW)
    found = magic_links.claim(global_session, link.token, now=NOW)
    assert found.refusal is LinkRefusal.USED


@pytest.mark.parametrize("kept_by", ["team", "password"])
def test_pending_user_with_another_team_or_a_password_stays(
    global_session: Session, team: str, kept_by: str
) -> None:
    invite(global_session, team)
    bob = users.get(global_session, bob_of(global_session))
    if kept_by == "team":
        memberships.add(global_session, "platform", bob.id)
    else:
        bob.password_hash = passwords.unknown_hash()
    invites.revoke(global_session, team, bob.id)
    assert users.get(global_session, bob.id).status == "pending"
    assert memberships.find_role(global_session, team, bob.id) is None


def test_revoke_of_what_is_no_open_invite_is_refused_with_nothing_changed(
    global_session: Session, team: str
) -> None:
    link = invite(global_session, team)
    bob = bob_of(global_session)
    for tenant, user in (("platform", bob), (team, "nobody")):
        with pytest.raises(UnknownMembershipError):
            invites.revoke(global_session, tenant, user)
    assert magic_links.claim(global_session, link.token, now=NOW)
    with pytest.raises(InviteAcceptedError):
        invites.revoke(global_session, team, bob)
    assert memberships.find_role(global_session, team, bob) is Role.EDITOR


def test_pending_last_owner_stays(global_session: Session, team: str) -> None:
    invite(global_session, team, Role.OWNER)
    (ann,) = (it for it in memberships.list_members(global_session, team) if it.status == "active")
    memberships.delete(global_session, team, ann.user_id)
    with pytest.raises(LastOwnerError):
        invites.revoke(global_session, team, bob_of(global_session))
    assert memberships.find_role(global_session, team, bob_of(global_session)) is Role.OWNER

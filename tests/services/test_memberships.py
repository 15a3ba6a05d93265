"""Memberships: roles, and an owner who is always left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    LastOwnerError,
    UnknownMembershipError,
    UnknownTenantError,
    UnknownUserError,
)
from streamhub_orm.global_db import Membership, Role, Tenant
from streamhub_orm.services import memberships, tenants, users
from streamhub_orm.testing.checks import assert_uses_index
from tests.services import stored
from tests.services.racing import race

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases


@pytest.fixture
def team(global_session: Session) -> tuple[str, str, str]:
    """Return a team's id, its owner's and a viewer's."""
    ann = users.create(global_session, "ann@example.org", name="Ann")
    bob = users.create(global_session, "bob@example.org")
    made = tenants.create(global_session, "Team", ann.id)
    memberships.add(global_session, made.id, bob.id)
    return made.id, ann.id, bob.id


def test_role_is_that_of_the_member_and_none_for_others(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, ann, bob = team
    found = [memberships.find_role(global_session, tenant, who) for who in (ann, bob, "nobody")]
    assert found == [Role.OWNER, Role.VIEWER, None]
    assert memberships.find_role(global_session, "platform", ann) is None


def test_role_is_searched_by_the_primary_key(global_session: Session) -> None:
    parameters = {"user": "u", "tenant": "t"}
    statement = memberships._FIND_ROLE.statement
    assert_uses_index(global_session, statement, "pk_memberships", parameters)


def test_members_are_searched_by_the_tenant(global_session: Session) -> None:
    assert_uses_index(
        global_session,
        lambda: memberships.list_members(global_session, "platform"),
        "idx_memberships_tenant",
    )


def test_add_again_overwrites_the_role(global_session: Session, team: tuple[str, str, str]) -> None:
    """Reference, Access: adding again overwrites the role. The last owner stays one."""
    tenant, ann, bob = team
    assert memberships.add(global_session, tenant, bob, Role.OWNER).role is Role.OWNER
    assert memberships.add(global_session, tenant, ann, Role.VIEWER).role is Role.VIEWER
    with pytest.raises(LastOwnerError):
        memberships.add(global_session, tenant, bob, Role.VIEWER)
    assert memberships.find_role(global_session, tenant, bob) is Role.OWNER


def test_primary_is_an_owners_and_then_the_oldest(global_session: Session) -> None:
    """Reference, Access: an owner one first, then the oldest; both formats of time."""
    user = users.create(global_session, "ann@example.org").id
    assert memberships.find_primary(global_session, user) is None
    for tenant, role, created_at in (
        ("a", Role.VIEWER, "2026-01-02 10:00:00"),
        ("b", Role.EDITOR, "2026-01-02T09:00:00.000Z"),
        ("c", Role.OWNER, "2026-01-05 00:00:00"),
        ("d", Role.OWNER, "2026-01-05 00:00:00"),
    ):
        stored.insert(global_session, Tenant, id=tenant, name=tenant)
        values = {"user_id": user, "tenant_id": tenant, "role": role.value}
        stored.insert(global_session, Membership, **values, created_at=created_at)

    def primary() -> str:
        found = memberships.find_primary(global_session, user)
        assert found is not None
        return found.tenant_id

    assert primary() == "c"
    global_session.execute(sa.text("DELETE FROM memberships WHERE role = 'owner'"))
    assert primary() == "b"


def test_add_to_what_does_not_exist_is_refused(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, ann, _ = team
    with pytest.raises(UnknownTenantError):
        memberships.add(global_session, "nope", ann)
    with pytest.raises(UnknownUserError):
        memberships.add(global_session, tenant, "nobody")


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER])
def test_last_owner_is_not_demoted(
    global_session: Session, team: tuple[str, str, str], role: Role
) -> None:
    tenant, ann, _ = team
    with pytest.raises(LastOwnerError) as caught:
        memberships.set_role(global_session, tenant, ann, role)
    assert (caught.value.tenant_id, caught.value.user_id) == (tenant, ann)
    assert memberships.find_role(global_session, tenant, ann) is Role.OWNER


def test_last_owner_does_not_leave(global_session: Session, team: tuple[str, str, str]) -> None:
    tenant, ann, bob = team
    memberships.set_role(global_session, tenant, bob, Role.EDITOR)
    with pytest.raises(LastOwnerError, match="Make another member the owner first"):
        memberships.delete(global_session, tenant, ann)
    assert memberships.find_role(global_session, tenant, ann) is Role.OWNER


def test_owner_of_another_tenant_does_not_count(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, ann, bob = team
    tenants.create(global_session, "Other", bob)
    with pytest.raises(LastOwnerError):
        memberships.delete(global_session, tenant, ann)


def test_owner_leaves_where_another_is_left(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, ann, bob = team
    memberships.set_role(global_session, tenant, bob, Role.OWNER)
    memberships.set_role(global_session, tenant, ann, Role.OWNER)
    memberships.delete(global_session, tenant, ann)
    assert [it.user_id for it in memberships.list_members(global_session, tenant)] == [bob]
    with pytest.raises(LastOwnerError):
        memberships.delete(global_session, tenant, bob)


def test_viewer_leaves_and_is_then_unknown(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, _, bob = team
    memberships.delete(global_session, tenant, bob)
    with pytest.raises(UnknownMembershipError, match="memberships"):
        memberships.delete(global_session, tenant, bob)
    with pytest.raises(UnknownMembershipError):
        memberships.set_role(global_session, tenant, bob, Role.EDITOR)


def test_lists_show_members_and_tenants(
    global_session: Session, team: tuple[str, str, str]
) -> None:
    tenant, ann, bob = team
    memberships.add(global_session, "platform", ann, Role.EDITOR)
    members = memberships.list_members(global_session, tenant)
    assert [(it.user_id, it.email, it.name, it.role) for it in members] == [
        (ann, "ann@example.org", "Ann", Role.OWNER),
        (bob, "bob@example.org", None, Role.VIEWER),
    ]
    theirs = memberships.list_tenants(global_session, ann)
    assert [(it.tenant_id, it.name, it.plan, it.role) for it in theirs] == [
        ("platform", "Platform", "platform", Role.EDITOR),
        (tenant, "Team", "free", Role.OWNER),
    ]


LEAVE = """
from streamhub_orm.errors import LastOwnerError
from streamhub_orm.services import memberships
import time
(tenant,) = arguments
def leave(session):
    me = next(it.user_id for it in memberships.list_members(session, tenant)
              if it.role == "owner")
    time.sleep(0.1)
    memberships.delete(session, tenant, me)
try:
    databases.global_session().run(leave)
    print("left")
except LastOwnerError:
    print("last")
"""


def test_owners_who_leave_at_the_same_time_leave_one_behind(databases: Databases) -> None:
    with databases.global_session() as session:
        people = [users.create(session, f"{n}@example.org") for n in range(3)]
        tenant = tenants.create(session, "Team", people[0].id).id
        for person in people[1:]:
            memberships.add(session, tenant, person.id, Role.OWNER)
    outcomes = race(LEAVE, databases, tenant)
    assert outcomes == ["last", "last", "left", "left"]
    with databases.global_session(read_only=True) as session:
        owners = sa.select(sa.func.count()).where(Membership.tenant_id == tenant)
        assert session.scalar(owners) == 1

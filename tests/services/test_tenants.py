"""Tenants: the built-in one, teams made whole, and apps that change hands."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    TenantExistsError,
    UnknownAppError,
    UnknownTenantError,
    UnknownUserError,
)
from streamhub_orm.global_db import Role
from streamhub_orm.services import apps, memberships, quotas, tenants, tokens, users
from streamhub_orm.services.quotas import FREE, PLATFORM, Limits

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases


def rows_of(session: Session, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in session.execute(sa.text(f"SELECT * FROM {table}"))]


def test_team_is_a_tenant_with_the_free_quota_and_an_owner(global_session: Session) -> None:
    ann = users.create(global_session, "ann@example.org")
    team = tenants.create(global_session, "Équipe", ann.id)
    assert uuid.UUID(team.id.removeprefix("tnt_")).version == 4
    assert (team.name, team.plan, team.id[:4]) == ("Équipe", "free", "tnt_")
    assert rows_of(global_session, "quotas")[1] == (team.id, 2, 2, 300, 5, 5)
    assert memberships.find_role(global_session, team.id, ann.id) is Role.OWNER
    assert tenants.get(global_session, team.id) is team
    assert [it.name for it in tenants.list_(global_session)] == ["Platform", "Équipe"]


def test_team_may_be_given_an_id_a_plan_and_limits(global_session: Session) -> None:
    ann = users.create(global_session, "ann@example.org")
    limits = Limits(max_apps=10, max_storage_gb=-1)
    tenants.create(global_session, "Acme", ann.id, tenant_id="acme", plan="pro", limits=limits)
    assert tenants.get(global_session, "acme").plan == "pro"
    assert quotas.get(global_session, "acme") == limits


def test_team_without_its_owner_is_not_made_at_all(global_session: Session) -> None:
    with pytest.raises(UnknownUserError):
        tenants.create(global_session, "Team", "nobody")
    assert len(rows_of(global_session, "tenants")) == len(rows_of(global_session, "quotas")) == 1


def test_team_with_a_taken_id_is_refused(global_session: Session) -> None:
    ann = users.create(global_session, "ann@example.org")
    with pytest.raises(TenantExistsError, match="'platform'"):
        tenants.create(global_session, "Team", ann.id, tenant_id="platform")
    assert memberships.list_members(global_session, "platform") == []


def test_platform_is_made_again_where_it_is_missing(global_session: Session) -> None:
    before = [row[:3] for row in rows_of(global_session, "tenants")]
    global_session.execute(sa.text("DELETE FROM tenants"))
    assert rows_of(global_session, "quotas") == []
    for _ in range(2):
        tenants.ensure_platform(global_session)
        assert [row[:3] for row in rows_of(global_session, "tenants")] == before
        assert rows_of(global_session, "quotas") == [
            ("platform", 100000, 100000, 100000000, 100000, 100000)
        ]


def test_platform_keeps_the_limits_that_the_operator_set(global_session: Session) -> None:
    global_session.execute(sa.text("UPDATE quotas SET max_apps = 7"))
    tenants.ensure_platform(global_session)
    assert quotas.get(global_session, "platform").max_apps == 7
    assert PLATFORM.max_apps == 100_000


def test_admin_is_made_as_the_core_makes_it_at_boot(global_session: Session) -> None:
    """Reference, Access: user `admin`, e-mail as written, superadmin; owner of platform."""
    tenants.ensure_admin(global_session, "Ops@Example.org")
    query = sa.text("SELECT id, email, is_superadmin, status FROM users")
    assert global_session.execute(query).all() == [("admin", "Ops@Example.org", 1, "active")]
    assert memberships.find_role(global_session, "platform", "admin") is Role.OWNER


def test_admin_who_is_there_keeps_the_role_and_gets_the_address(global_session: Session) -> None:
    """Reference, Access: owner of platform unless a member."""
    insert = "INSERT INTO users (id, email, status, name) VALUES ('admin', 'x', 'pending', 'Op')"
    global_session.execute(sa.text(insert))
    memberships.add(global_session, "platform", "admin", Role.VIEWER)
    admin = tenants.ensure_admin(global_session, "ops")
    assert (admin.email, admin.is_superadmin, admin.name) == ("ops", True, "Op")
    assert memberships.find_role(global_session, "platform", "admin") is Role.VIEWER


def test_user_without_a_team_gets_one(global_session: Session) -> None:
    """Reference, Access: free plan, quotas row."""
    ann = users.create(global_session, "ann@example.org")
    made = tenants.ensure_team(global_session, ann)
    assert made.role is Role.OWNER
    assert tenants.get(global_session, made.tenant_id).name == "ann@example.org"
    assert rows_of(global_session, "quotas")[1] == (made.tenant_id, 2, 2, 300, 5, 5)
    assert tenants.ensure_team(global_session, ann) is made
    assert len(tenants.list_(global_session)) == 2


def test_unknown_tenant_is_refused(global_session: Session) -> None:
    with pytest.raises(UnknownTenantError, match="found no tenant 'nope' in the table tenants"):
        tenants.get(global_session, "nope")
    assert quotas.get(global_session, "nope") == FREE


def test_app_is_given_away_with_its_tokens(acme: Databases) -> None:
    with acme.global_session() as session:
        tokens.issue(session, "of live", app="live")
        tokens.issue(session, "of tv-2", app="tv-2")
        tokens.issue(session, "of all")
        apps.give(session, "live", "acme")
        owners = {info.name: info.tenant_id for info in tokens.list_(session)}
        assert owners == {"of live": "acme", "of tv-2": "acme", "of all": "platform"}
        query = sa.text("SELECT name FROM apps WHERE tenant_id = 'acme' ORDER BY id")
        assert session.scalars(query).all() == ["live", "tv-2", "tv-3"]
        with pytest.raises(UnknownTenantError):
            apps.give(session, "live", "nope")
        with pytest.raises(UnknownAppError):
            apps.give(session, "nope", "acme")

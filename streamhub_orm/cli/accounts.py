"""`streamhub-db tenants` and `users`: who owns apps, and who signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from streamhub_orm.cli.lists import print_totals
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json
from streamhub_orm.cli.sessions import global_session, shown_time
from streamhub_orm.cli.tables import print_table
from streamhub_orm.services import tenants as tenant_service
from streamhub_orm.services import users as user_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamhub_orm.global_db import Tenant, User


@click.group
@global_options
def tenants() -> None:
    """List the customers of the server, and make one."""


@tenants.command("list")
@global_options
@click.pass_obj
def list_tenants(invocation: Invocation) -> None:
    """List tenants by name."""
    with global_session(invocation, "listing tenants", read_only=True) as session:
        found = [_tenant(tenant) for tenant in tenant_service.list_(session)]
    _print(invocation, "tenant", _TENANT, found)


@tenants.command
@click.argument("name")
@click.option("--owner", required=True, metavar="USER", help="Id or e-mail address of its owner.")
@click.option("--id", "tenant_id", metavar="ID", help="Its id; else one is made up.")
@click.option("--plan", default="free", show_default=True, help="What it is on.")
@global_options
@click.pass_obj
def create(invocation: Invocation, name: str, owner: str, tenant_id: str | None, plan: str) -> None:
    """Make a tenant called NAME, with the quota of the free plan, and a user its owner."""
    with global_session(invocation, "creating a tenant") as session:
        user = user_service.find_by_email(session, owner) if "@" in owner else None
        owner_id = owner if user is None else user.id
        made = tenant_service.create(session, name, owner_id, tenant_id=tenant_id, plan=plan)
        session.refresh(made)
        document = {**_tenant(made), "owner": owner_id}
    if invocation.json:
        print_json({"ok": True, **document})
    else:
        echo(f"made tenant {document['id']}")


@click.group
@global_options
def users() -> None:
    """List the accounts that sign in."""


@users.command("list")
@global_options
@click.pass_obj
def list_users(invocation: Invocation) -> None:
    """List users by e-mail address; never what they sign in with."""
    with global_session(invocation, "listing users", read_only=True) as session:
        found = [_user(user) for user in user_service.list_(session)]
    _print(invocation, "user", _USER, found)


_TENANT: Final = ("id", "name", "plan", "created_at")
_USER: Final = ("id", "email", "name", "status", "superadmin", "totp", "created_at")


def _print(
    invocation: Invocation, noun: str, columns: Sequence[str], items: list[dict[str, object]]
) -> None:
    if invocation.json:
        print_json({"ok": True, "items": items})
        return
    print_table(columns, [[item[column] for column in columns] for item in items])
    print_totals(noun, None, len(items))


def _tenant(tenant: Tenant) -> dict[str, object]:
    created = shown_time(tenant.created_at)
    return {"id": tenant.id, "name": tenant.name, "plan": tenant.plan, "created_at": created}


def _user(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "status": user.status,
        "superadmin": user.is_superadmin,
        "totp": user.totp_enabled,
        "created_at": shown_time(user.created_at),
    }

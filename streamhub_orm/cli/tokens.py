"""`streamhub-db tokens`: API tokens issued, listed and revoked."""

from __future__ import annotations

import sys

import click

from streamhub_orm.cli.completion import app_option
from streamhub_orm.cli.lists import print_totals
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, warn
from streamhub_orm.cli.sessions import global_session, shown_age, shown_time
from streamhub_orm.cli.streams import require_written
from streamhub_orm.cli.tables import print_table
from streamhub_orm.errors import OutputError
from streamhub_orm.global_db import ApiToken
from streamhub_orm.schema import utc_now
from streamhub_orm.services import tokens as service


@click.group
@global_options
def tokens() -> None:
    """Issue, list and revoke API tokens, or seed the first one."""


@tokens.command
@click.argument("name")
@app_option("A token of this app; else one that opens everything.")
@click.option(
    "--allow",
    multiple=True,
    metavar="ADDRESS",
    help="An IP address or network it may be used from, repeatable; else from anywhere.",
)
@global_options
@click.pass_obj
def issue(invocation: Invocation, name: str, app: str | None, allow: tuple[str, ...]) -> None:
    """Make a token called NAME and print it, this once."""
    with global_session(invocation, "issuing a token") as session:
        made = service.issue(session, name, app=app, allowed_ips=allow)
    if invocation.json:
        document = {"ok": True, "id": made.id, "name": made.name, "app": made.app}
        print_json({**document, "unmatched": made.unmatched, "token": made.plaintext})
    else:
        click.echo(made.plaintext)  # also with -q: it is shown this once
        if sys.stderr.isatty():
            opens = f"the app {made.app}" if made.app else "everything"
            warn(f"token {made.id}, {made.name}, opens {opens}; it is shown this once.")
    try:
        require_written()
    except OutputError:
        with global_session(invocation, "removing a token that nobody was shown") as session:
            session.delete(session.get_one(ApiToken, made.id))
        raise


@tokens.command("list")
@app_option("Only tokens of this app.")
@click.option("--tenant", metavar="ID", help="Only tokens of this tenant.")
@global_options
@click.pass_obj
def list_(invocation: Invocation, app: str | None, tenant: str | None) -> None:
    """List tokens, revoked ones too; never the tokens themselves."""
    with global_session(invocation, "listing tokens", read_only=True) as session:
        found = service.list_(session, app=app, tenant_id=tenant)
    if invocation.json:
        print_json({"ok": True, "tokens": [_document(info) for info in found]})
        return
    columns = ("id", "name", "app", "tenant", "allowed", "last used", "state")
    print_table(columns, [_line(info) for info in found])
    print_totals("token", ["revoked" if it.revoked else "in use" for it in found], len(found))


@tokens.command
@click.argument("token_id", type=int, metavar="[ID]", required=False)
@click.option("--name", metavar="NAME", help="The one token in use that is called so.")
@global_options
@click.pass_obj
def revoke(invocation: Invocation, token_id: int | None, name: str | None) -> None:
    """Make the token with this ID, or NAME, open nothing from now on."""
    if (token_id is None) == (name is None):
        raise click.UsageError("Pass the ID of the token, or --name.")  # noqa: TRY003, EM101
    with global_session(invocation, "revoking a token") as session:
        if token_id is None:
            named = [it.id for it in service.list_(session) if it.name == name and not it.revoked]
            if len(named) != 1:
                ids = ", ".join(map(str, named)) or "none"
                message = f"One token in use must be called {name!r}; found {ids}. Pass an ID."
                raise click.UsageError(message)
            (token_id,) = named
        service.revoke(session, token_id)
    if invocation.json:
        print_json({"ok": True, "id": token_id})
    else:
        echo(f"revoked token {token_id}")


@tokens.command
@click.option("--name", default="bootstrap", show_default=True, help="What a new one is called.")
@global_options
@click.pass_obj
def seed(invocation: Invocation, name: str) -> None:
    """Store the token on standard input, unless one that opens everything is in use already."""
    with global_session(invocation, "seeding a token") as session:
        seeded = service.seed(session, sys.stdin, name=name)
    if invocation.json:
        state = {"new": seeded.is_new, "revoked": seeded.is_revoked, "other": seeded.is_other}
        print_json({"ok": True, "id": seeded.id, **state})
    else:
        echo(f"token {seeded.id}: {_state_of(seeded)}")


def _state_of(seeded: service.SeededToken) -> str:
    if seeded.is_other:
        return "another one, in use; nothing was stored"
    return "new" if seeded.is_new else "revoked" if seeded.is_revoked else "already there"


def _document(info: service.TokenInfo) -> dict[str, object]:
    return {
        "id": info.id,
        "name": info.name,
        "scope": info.scope,
        "app": info.app,
        "tenant": info.tenant_id,
        "allowed_ips": info.allowed_ips,
        "last_used_at": shown_time(info.last_used_at),
        "created_at": shown_time(info.created_at),
        "revoked": info.revoked,
    }


def _line(info: service.TokenInfo) -> tuple[object, ...]:
    allowed = "nobody" if info.allowed_ips is None else ", ".join(map(str, info.allowed_ips))
    state = "revoked" if info.revoked else "in use"
    used = shown_age(info.last_used_at, utc_now())
    return info.id, info.name, info.app, info.tenant_id, allowed or None, used, state

"""`streamhub-db apps`, and `purge`, which clears one of them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.app_config import config
from streamhub_orm.cli.completion import AppName
from streamhub_orm.cli.lists import Choice, Entry, list_options, print_list
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, progress_bar, require_consent, text_of
from streamhub_orm.cli.sessions import opened_databases, showing_all, shown_time
from streamhub_orm.cli.tables import print_table
from streamhub_orm.global_db import PLATFORM_TENANT
from streamhub_orm.maintenance.purge import Scope
from streamhub_orm.maintenance.purge import purge as run_purge
from streamhub_orm.maintenance.sizes import read_sizes
from streamhub_orm.readable import in_bytes
from streamhub_orm.services import apps as service
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm import Databases
    from streamhub_orm.global_db import App
    from streamhub_orm.maintenance.purge import Purge


@click.group
@global_options
def apps() -> None:
    """Make, list, show, rename and delete apps, and change their settings."""


apps.add_command(config)


@apps.command
@click.argument("name")
@click.option("--tenant", default=PLATFORM_TENANT, metavar="ID", help="Whose app it is.")
@click.option("--display-name", metavar="TEXT", help="How it is called where people see it.")
@click.option("--reuse-folder", is_flag=True, help="Take over a folder whose app.db holds rows.")
@global_options
@click.pass_obj
def create(
    invocation: Invocation, name: str, tenant: str, display_name: str | None, *, reuse_folder: bool
) -> None:
    """Make the app NAME: its row, its folder, config.yaml and app.db. No quota is asked."""
    options = ["--tenant", tenant, *(["--reuse-folder"] if reuse_folder else [])]
    options += ["--display-name", display_name] if display_name is not None else []
    with (
        opened_databases(invocation, "creating an app") as databases,
        service.making(databases.place, name, options, reuse_folder=reuse_folder),
        databases.global_session() as session,
    ):
        app = service.create(
            session,
            databases.place,
            name,
            tenant_id=tenant,
            display_name=display_name,
            reuse_folder=reuse_folder,
        )
        document: dict[str, object] = {"ok": True, **_document(app, databases)}
    if invocation.json:
        print_json(document)
    else:
        echo(f"made {document['folder']}")


@apps.command("list")
@click.option("--tenant", metavar="ID", help="Only the apps of this tenant.")
@list_options(sorts=("name", "age"))
@global_options
@click.pass_obj
def list_(invocation: Invocation, tenant: str | None, choice: Choice) -> None:
    """List apps in the order in which they were made."""
    with (
        opened_databases(invocation, "listing apps") as databases,
        databases.global_session(read_only=True) as session,
        showing_all(session),
    ):
        entries = [
            Entry(_document(app, databases), text_of(app.name), made_at=app.created_at)
            for app in service.list_(session, tenant)
        ]
    if invocation.json:
        print_json({"ok": True, "apps": [entry.item for entry in choice.pick(entries)]})
        return
    columns = ("app", "tenant", "display_name", "created_at")

    def row(item: dict[str, object]) -> list[object]:
        return [item[column] for column in columns]

    print_list(columns, entries, row, choice, noun="app", judged=False)


@apps.command
@click.argument("name", type=AppName())
@global_options
@click.pass_obj
def show(invocation: Invocation, name: str) -> int:
    """Show what there is of the app NAME: its row, its database, its recordings and tokens."""
    with (
        opened_databases(invocation, "showing an app") as databases,
        databases.global_session(read_only=True) as session,
        showing_all(session),
    ):
        document = _document(service.get(session, name), databases)
        issued = tokens.list_(session, app=name)
        document["tokens"] = sum(not token.revoked for token in issued)
    (found,) = read_sizes(invocation.root, [name]).apps
    numbers = {"db_bytes": found.db_bytes, "vods": found.vod_count, "vod_bytes": found.vod_bytes}
    if invocation.json:
        print_json({"ok": found.error is None, **document, **numbers, "error": found.error})
    else:
        sizes = {
            "database": in_bytes(found.db_bytes),
            "recordings": f"{found.vod_count:,}, {in_bytes(found.vod_bytes)}",
        }
        print_table(("what", "value"), list({**document, **sizes}.items()))
    if found.error is not None:
        echo(f"Error: {name}: {found.error}", err=True)
    return 0 if found.error is None else 1


@apps.command
@click.argument("name", type=AppName())
@click.argument("display_name", metavar="TEXT")
@global_options
@click.pass_obj
def rename(invocation: Invocation, name: str, display_name: str) -> None:
    """Have people see the app NAME as TEXT; its name, which is that of its folder, stays."""
    with (
        opened_databases(invocation, "renaming an app") as databases,
        databases.global_session() as session,
    ):
        service.update(session, name, display_name=display_name)
    if invocation.json:
        print_json({"ok": True, "app": name, "display_name": display_name})
    else:
        echo(f"{name} is shown as {display_name}")


@apps.command
@click.argument("name", type=AppName())
@click.option("--purge", is_flag=True, help="Remove its folder too; without it that is kept.")
@click.option("--yes", is_flag=True, help="Do it; without it nothing is touched.")
@click.option("--dry-run", is_flag=True, help="Say what would go; touch nothing.")
@global_options
@click.pass_obj
def delete(invocation: Invocation, name: str, *, purge: bool, yes: bool, dry_run: bool) -> None:
    """Delete the app NAME and its tokens. Objects in a store stay."""
    lost = "its tokens and its folder with every recording" if purge else "its tokens"
    require_consent(f"deletes the app {name} with {lost}", yes=yes, dry_run=dry_run)
    with opened_databases(invocation, "deleting an app") as databases:
        folder = databases.place.app_folder(name)
        if dry_run:
            with databases.global_session(read_only=True) as session:
                service.get(session, name)
                issued = len(tokens.list_(session, app=name))
        else:
            service.delete(databases, name, purge=purge)
    document: dict[str, object] = {
        "ok": True,
        "app": name,
        "dry_run": dry_run,
        "kept": None if purge else str(folder),
    }
    if dry_run:
        size = sum(map(_size_of, folder.rglob("*"))) if purge else 0
        document |= {"tokens": issued, "bytes": size}
        goes = f"{folder} with {in_bytes(size)}" if purge else f"not its folder {folder}"
        line = f"would delete {name}, its tokens ({issued}), and {goes}"
    else:
        line = f"deleted {name}" + ("" if purge else f"; its folder is kept: {folder}")
    if invocation.json:
        print_json(document)
    else:
        echo(line)


def _size_of(path: Path) -> int:
    status = path.lstat()
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _document(app: App, databases: Databases) -> dict[str, object]:
    return {
        "app": app.name,
        "id": app.id,
        "tenant": app.tenant_id or PLATFORM_TENANT,
        "display_name": app.display_name,
        "created_at": shown_time(app.created_at),
        "folder": str(databases.place.apps / text_of(app.name)),
    }


@click.command
@click.argument("app", type=AppName())
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    help="vods: recordings with their objects and files; logs: log lines; all: these and streams.",
)
@click.option("--yes", is_flag=True, help="Delete; without it nothing is touched.")
@click.option("--dry-run", is_flag=True, help="Count what would go; touch nothing.")
@global_options
@click.pass_obj
def purge(invocation: Invocation, app: str, scope: str, *, yes: bool, dry_run: bool) -> int:
    """Delete what the use of APP has left; the app and its config stay.

    Stop its streams first. A recording whose objects cannot be deleted keeps its row: exit status
    1. Safe to run again at any time.
    """
    require_consent(f"deletes {scope} of the app {app}", yes=yes, dry_run=dry_run)
    with progress_bar(shown=not invocation.json) as progress:
        done = run_purge(invocation.root, app, Scope(scope), dry_run=dry_run, progress=progress)
    if invocation.json:
        print_json(done.to_json())
    else:
        _print_done(done)
    _print_kept(done)
    if done.error is not None:
        echo(f"Error: {app}: {done.error}", err=True)
    return 0 if done.ok else 1


def _print_kept(done: Purge) -> None:
    """Name the recordings that stay, but where all have one reason, which is said once."""
    named = [] if done.error is not None else done.kept_vods
    for vod in named:
        echo(f"Error: {done.app}: kept VOD {vod.id} ({vod.name}): {vod.reason}", err=True)
    if done.kept > len(named):
        more = "more " if named else ""
        echo(f"Error: {done.app}: kept {done.kept - len(named)} {more}VODs", err=True)


def _print_done(done: Purge) -> None:
    rows = [(what, count) for what, count in done.deleted.items() if count]
    if rows:
        print_table(("would go" if done.dry_run else "deleted", "number"), rows)
    else:
        echo("Nothing to do." if done.ok else "Nothing was deleted.")
    for backup in done.backups:
        echo(f"backup: {backup}")

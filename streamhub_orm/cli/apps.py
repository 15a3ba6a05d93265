"""`streamhub-db apps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table
from streamhub_orm.cli.sessions import opened_databases, shown_time
from streamhub_orm.global_db import PLATFORM_TENANT
from streamhub_orm.services import apps as service

if TYPE_CHECKING:
    from streamhub_orm import Databases
    from streamhub_orm.global_db import App


@click.group
@global_options
def apps() -> None:
    """Make, list and delete apps."""


@apps.command
@click.argument("name")
@click.option("--tenant", default=PLATFORM_TENANT, metavar="ID", help="Whose app it is.")
@click.option("--display-name", metavar="TEXT", help="How it is called where people see it.")
@click.option("--reuse-folder", is_flag=True, help="Take over a folder whose app.db holds rows.")
@global_options
@click.pass_obj
def create(
    settings: Settings, name: str, tenant: str, display_name: str | None, *, reuse_folder: bool
) -> None:
    """Make the app NAME: its row, its folder, config.yaml and app.db. No quota is asked."""
    with (
        opened_databases(settings, "creating an app") as databases,
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
        document = {"ok": True, **_document(app, databases)}
    if settings.json:
        print_json(document)
    elif settings.verbosity >= 0:
        click.echo(f"made {document['folder']}")


@apps.command("list")
@click.option("--tenant", metavar="ID", help="Only the apps of this tenant.")
@global_options
@click.pass_obj
def list_(settings: Settings, tenant: str | None) -> None:
    """List apps in the order in which they were made."""
    with (
        opened_databases(settings, "listing apps") as databases,
        databases.global_session(read_only=True) as session,
    ):
        found = [_document(app, databases) for app in service.list_(session, tenant)]
    if settings.json:
        print_json({"ok": True, "apps": found})
        return
    columns = ("app", "tenant", "display_name", "created_at")
    print_table(columns, [[it[column] for column in columns] for it in found])


@apps.command
@click.argument("name")
@click.option("--purge", is_flag=True, help="Remove its folder too; without it that is kept.")
@click.option("--yes", is_flag=True, help="Do it; without it nothing is touched.")
@global_options
@click.pass_obj
def delete(settings: Settings, name: str, *, purge: bool, yes: bool) -> None:
    """Delete the app NAME and its tokens. Objects in a store stay."""
    if not yes:
        lost = "its tokens and its folder with every recording" if purge else "its tokens"
        message = f"This deletes the app {name} with {lost}. Pass --yes to do it."
        raise click.UsageError(message)
    with opened_databases(settings, "deleting an app") as databases:
        service.delete(databases, name, purge=purge)
        folder = databases.place.app_folder(name)
    if settings.json:
        print_json({"ok": True, "app": name, "kept": None if purge else str(folder)})
    elif settings.verbosity >= 0:
        click.echo(f"deleted {name}" + ("" if purge else f"; its folder is kept: {folder}"))


def _document(app: App, databases: Databases) -> dict[str, object]:
    return {
        "app": app.name,
        "id": app.id,
        "tenant": app.tenant_id or PLATFORM_TENANT,
        "display_name": app.display_name,
        "created_at": shown_time(app.created_at),
        "folder": str(databases.place.apps / app.name),
    }

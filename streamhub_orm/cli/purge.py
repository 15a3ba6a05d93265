"""`streamhub-db purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table, require_consent
from streamhub_orm.maintenance.purge import Scope
from streamhub_orm.maintenance.purge import purge as run_purge

if TYPE_CHECKING:
    from streamhub_orm.maintenance.purge import Purge


@click.command
@click.argument("app")
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
def purge(settings: Settings, app: str, scope: str, *, yes: bool, dry_run: bool) -> int:
    """Delete what the use of APP has left; the app and its config stay.

    Stop its streams first. A recording whose objects cannot be deleted keeps its row: exit status
    1. Safe to run again at any time.
    """
    require_consent(f"deletes {scope} of the app {app}", yes=yes, dry_run=dry_run)
    done = run_purge(settings.root, app, Scope(scope), dry_run=dry_run)
    if settings.json:
        print_json(done.to_json())
    elif settings.verbosity >= 0:
        _print_done(done)
    _print_kept(done)
    if done.error is not None:
        click.echo(f"Error: {app}: {done.error}", err=True)
    return 0 if done.ok else 1


def _print_kept(done: Purge) -> None:
    """Name the recordings that stay, but where all have one reason, which is said once."""
    named = [] if done.error is not None else done.kept_vods
    for vod in named:
        click.echo(f"Error: {done.app}: kept VOD {vod.id} ({vod.name}): {vod.reason}", err=True)
    if done.kept > len(named):
        more = "more " if named else ""
        click.echo(f"Error: {done.app}: kept {done.kept - len(named)} {more}VODs", err=True)


def _print_done(done: Purge) -> None:
    rows = [(what, count) for what, count in done.deleted.items() if count]
    if rows:
        print_table(("would go" if done.dry_run else "deleted", "number"), rows)
    else:
        click.echo("Nothing to do." if done.ok else "Nothing was deleted.")
    for backup in done.backups:
        click.echo(f"backup: {backup}")

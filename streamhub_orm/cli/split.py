"""`streamhub-db split`: what is left to do after the split."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import require_consent
from streamhub_orm.errors import SplitCleanupError
from streamhub_orm.maintenance.sizes import in_bytes
from streamhub_orm.maintenance.split_cleanup import clean_up_split

if TYPE_CHECKING:
    from streamhub_orm.maintenance.split_cleanup import SplitCleanup


@click.group
@global_options
def split() -> None:
    """Finish the split of the global database into one database per app."""


@split.command
@click.option("--yes", is_flag=True, help="Delete; without it nothing is touched.")
@click.option("--dry-run", is_flag=True, help="Prove that the rows may go; touch nothing.")
@global_options
@click.pass_obj
def cleanup(settings: Settings, *, yes: bool, dry_run: bool) -> int:
    """Empty the global streams, vods and ingress_auth, and give their space back.

    Only once every row of them is found in the app.db of its app; backup first.
    """
    require_consent("empties three tables of the global database", yes=yes, dry_run=dry_run)
    try:
        done = clean_up_split(settings.root, dry_run=dry_run)
    except SplitCleanupError as error:
        _print_findings(settings, error)
        raise
    if settings.json:
        print_json(done.to_json())
    elif settings.verbosity >= 0:
        _print_done(done)
    if done.error is not None:
        click.echo(f"Error: {done.error}", err=True)
    return 0 if done.error is None else 1


def _print_findings(settings: Settings, error: SplitCleanupError) -> None:
    findings = list(error.findings)
    settings.refused_document = lambda text: {"ok": False, "error": text, "findings": findings}
    for finding in findings:
        click.echo(f"found {finding}", err=True)


def _print_done(done: SplitCleanup) -> None:
    if not done.removed.total and not done.reclaimed_bytes:
        click.echo("Nothing to do: the global streams, vods and ingress_auth are empty.")
        return
    rows = ", ".join(f"{count} {table}" for table, count in asdict(done.removed).items())
    click.echo(f"rows {'that would be ' if done.dry_run else ''}removed: {rows}")
    if done.differing.total:
        click.echo(
            f"of these, {done.differing.total} with another content than their like in the app.db, "
            "which has changed since or came first, and stays"
        )
    if not done.dry_run:
        click.echo(f"reclaimed: {in_bytes(done.reclaimed_bytes)}")
    if done.backup is not None:
        click.echo(f"backup of the global database: {done.backup}")

"""`streamhub-db split` and `rollback`: the split of the global database, finished or undone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, progress_of, require_consent
from streamhub_orm.errors import SplitCleanupError
from streamhub_orm.maintenance.split_cleanup import clean_up_split
from streamhub_orm.readable import in_bytes
from streamhub_orm.rollback import roll_back

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
def cleanup(invocation: Invocation, *, yes: bool, dry_run: bool) -> int:
    """Empty the global streams, vods and ingress_auth, and give their space back.

    Only once every row of them is found in the app.db of its app; backup first.
    """
    require_consent("empties three tables of the global database", yes=yes, dry_run=dry_run)
    try:
        with progress_of(invocation, "looking rows up") as progress:
            done = clean_up_split(invocation.root, dry_run=dry_run, progress=progress)
    except SplitCleanupError as error:
        _print_findings(invocation, error)
        raise
    if invocation.json:
        print_json(done.to_json())
    elif done.error is None or done.removed.total:
        _print_done(done)
    if done.error is not None:
        echo(f"Error: {done.error}", err=True)
    return 0 if done.error is None else 1


def _print_findings(invocation: Invocation, error: SplitCleanupError) -> None:
    findings = list(error.findings)
    invocation.refused_document = lambda text: {"ok": False, "error": text, "findings": findings}
    for finding in findings:
        echo(f"found {finding}", err=True)


def _print_done(done: SplitCleanup) -> None:
    if not done.removed.total and not done.reclaimed_bytes:
        echo("Nothing to do: the global streams, vods and ingress_auth are empty.")
        return
    rows = ", ".join(f"{count} {table}" for table, count in asdict(done.removed).items())
    echo(f"rows {'that would be ' if done.dry_run else ''}removed: {rows}")
    if done.differing.total:
        echo(
            f"of these, {done.differing.total} with another content than their like in the app.db, "
            "which has changed since or came first, and stays"
        )
    if not done.dry_run:
        echo(f"reclaimed: {in_bytes(done.reclaimed_bytes)}")
    if done.backup is not None:
        echo(f"backup of the global database: {done.backup}")


@click.command
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="This backup instead of the recorded one; a file set aside undoes a rollback.",
)
@click.option("--dry-run", is_flag=True, help="Verify the backup and say what would be done.")
@global_options
@click.pass_obj
def rollback(invocation: Invocation, to: Path | None, *, dry_run: bool) -> None:
    """Put the global database back as it was before the split. Stop the server first."""
    done = roll_back(invocation.root, to=to, dry_run=dry_run)
    if invocation.json:
        print_json(done.to_json())
    elif dry_run:
        echo(f"would put {done.restored} in the place of {done.global_db}")
    else:
        echo(f"{done.global_db} is {done.restored.name} again")
        echo(f"the database until now is {done.set_aside}")
        echo(f"To undo this: streamhub-db rollback --to {done.set_aside}")

"""`streamhub-db rollback`."""

from __future__ import annotations

from pathlib import Path

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.rollback import roll_back


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
def rollback(settings: Settings, to: Path | None, *, dry_run: bool) -> None:
    """Put the global database back as it was before the split. Stop the server first."""
    done = roll_back(settings.root, to=to, dry_run=dry_run)
    if settings.json:
        print_json(done.to_json())
    elif dry_run:
        click.echo(f"would put {done.restored} in the place of {done.global_db}")
    else:
        click.echo(f"{done.global_db} is {done.restored.name} again")
        click.echo(f"the database until now is {done.set_aside}")
        click.echo(f"To undo this: streamhub-db rollback --to {done.set_aside}")

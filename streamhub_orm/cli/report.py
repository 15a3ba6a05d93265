"""`streamhub-db report`."""

from __future__ import annotations

from pathlib import Path

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import progress_bar
from streamhub_orm.maintenance.report import write_report


@click.command
@click.option(
    "--html",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The page to write; an older report there is replaced.",
)
@global_options
@click.pass_obj
def report(settings: Settings, target: Path) -> int:
    """Write one HTML page about all databases: sizes, growth, unused space, revisions, failures.

    Exit status 1 if any database cannot be used; the page names it.
    """
    with progress_bar(shown=settings.verbosity >= 0 and not settings.json) as progress:
        fleet = write_report(settings.root, target, progress=progress)
    failed = fleet.failed
    if settings.json:
        document = {"ok": not failed, "data_dir": str(fleet.data_dir)}
        numbers = {"apps": len(fleet.apps), "failed": len(failed)}
        print_json({**document, "html": str(target.absolute()), **numbers})
    elif settings.verbosity >= 0:
        click.echo(f"wrote {target}: {len(fleet.apps)} apps, {len(failed)} databases failed")
    for database in failed:
        click.echo(f"Error: {database.name}: {database.error}", err=True)
    return 1 if failed else 0

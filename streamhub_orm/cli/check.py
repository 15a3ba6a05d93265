"""`streamhub-db check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.check import check_installation
from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table

if TYPE_CHECKING:
    from streamhub_orm.check import FileCheck


@click.command
@global_options
@click.pass_obj
def check(settings: Settings) -> int:
    """Compare every database with its history and check it for damage; exit 1 if any is wrong."""
    checks = list(check_installation(settings.root))
    ok = all(found.ok for found in checks)
    if settings.json:
        entries = [found.to_json() for found in checks]
        document = {"ok": ok, "data_dir": str(settings.root.absolute()), "databases": entries}
        print_json(document)
    else:
        rows = [
            (found.name, found.state, found.revision, "ok" if found.ok else "wrong")
            for found in checks
        ]
        print_table(("database", "state", "revision", "result"), rows)
    for found in checks:
        _print_findings(found, verbose=settings.verbosity > 0)
    return 0 if ok else 1


def _print_findings(found: FileCheck, *, verbose: bool) -> None:
    faults = [*found.drift, *found.integrity, *found.foreign_keys]
    if found.error:
        click.echo(f"Error: {found.name}: {found.error}", err=True)
    for fault in faults:
        click.echo(f"Error: {found.path}: {fault}", err=True)
    for extra in found.extras if verbose else ():
        click.echo(f"{found.path}: not ours, left alone: {extra}", err=True)

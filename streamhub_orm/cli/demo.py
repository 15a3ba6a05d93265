"""`streamhub-db demo`."""

from __future__ import annotations

from pathlib import Path

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.demo import ERAS, write_demo


@click.command
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--era", type=click.Choice(ERAS), help="Only databases of this era; default: all.")
@global_options
@click.pass_obj
def demo(settings: Settings, folder: Path, era: str | None) -> None:
    """Write a small legacy installation into DIR, to try the upgrade on."""
    write_demo(folder, era)
    if settings.json:
        print_json({"ok": True, "data_dir": str(folder.absolute())})
    elif settings.verbosity >= 0:
        click.echo(f"wrote a legacy installation into {folder}")
        click.echo(f"Now try: streamhub-db --data-dir {folder} upgrade")

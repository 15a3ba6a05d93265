"""`streamhub-db init`."""

from __future__ import annotations

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.init import make_installation


@click.command
@global_options
@click.pass_obj
def init(settings: Settings) -> None:
    """Make a fresh installation: global database, platform tenant, app `live`."""
    place = make_installation(settings.root)
    if settings.json:
        print_json(
            {"ok": True, "data_dir": str(place.root), "global_db": str(place.global_db)},
        )
    else:
        click.echo(f"made an installation in {place.root} with the app live")

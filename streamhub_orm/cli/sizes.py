"""`streamhub-db sizes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table
from streamhub_orm.maintenance.sizes import in_bytes, read_sizes

if TYPE_CHECKING:
    from streamhub_orm.maintenance.sizes import Sizes


@click.command
@click.option("--app", "apps", multiple=True, metavar="NAME", help="Only this app; repeatable.")
@global_options
@click.pass_obj
def sizes(settings: Settings, apps: tuple[str, ...]) -> int:
    """Show what each app takes: database and recordings, the largest first."""
    found = read_sizes(settings.root, apps)
    if settings.json:
        print_json(found.to_json())
    else:
        rows = [_row(one) for one in (*found.apps, found.global_, found.total)]
        print_table(("app", "database", "wal", "vods", "vod size", "variants", "total"), rows)
    for one in found.failed:
        click.echo(f"Error: {one.name}: {one.error}", err=True)
    return 1 if found.failed else 0


def _row(one: Sizes) -> tuple[object, ...]:
    name = f"({one.name})" if one.name in ("global", "total") else one.name
    numbers = (one.db_bytes, one.wal_bytes, one.vod_bytes, one.variants.size_bytes, one.total_bytes)
    database, wal, vod, variants, total = map(in_bytes, numbers)
    return (name, database, wal, one.vod_count, vod, variants, total)

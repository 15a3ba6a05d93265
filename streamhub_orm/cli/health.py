"""`streamhub-db health`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table
from streamhub_orm.cli.selection import selection_options
from streamhub_orm.maintenance.health import read_health
from streamhub_orm.maintenance.sizes import in_bytes

if TYPE_CHECKING:
    from streamhub_orm.maintenance.health import Health
    from streamhub_orm.maintenance.selection import Selection


@click.command
@selection_options
@click.option("--full", is_flag=True, help="Run integrity_check and foreign_key_check too.")
@global_options
@click.pass_obj
def health(settings: Settings, selection: Selection, *, full: bool) -> int:
    """Show size, unused space and tables of databases; opens them read-only.

    Exit status 1 if any cannot be read, or is damaged.
    """
    found = list(read_health(settings.root, selection, full=full))
    ok = all(one.ok for one in found)
    if settings.json:
        entries = [one.to_json() for one in found]
        print_json({"ok": ok, "data_dir": str(settings.root.absolute()), "databases": entries})
    else:
        print_table(_COLUMNS, [_row(one) for one in found])
        _print_tables(found, verbose=settings.verbosity > 0)
    for one in found:
        for fault in (one.error, *(one.integrity or ()), *(one.foreign_keys or ())):
            if fault:
                click.echo(f"Error: {one.name}: {fault}", err=True)
    return 0 if ok else 1


_COLUMNS = ("database", "state", "revision", "size", "wal", "pages", "unused", "rows", "result")


def _row(one: Health) -> tuple[object, ...]:
    unused = None if one.fragmentation_percent is None else f"{one.fragmentation_percent} %"
    rows = sum(table.rows for table in one.tables) if one.pages is not None else None
    sizes = (in_bytes(one.size_bytes), in_bytes(one.wal_bytes), one.pages)
    return (one.name, one.state, one.revision, *sizes, unused, rows, "ok" if one.ok else "wrong")


def _print_tables(found: list[Health], *, verbose: bool) -> None:
    """Show each table of one database; of several only where asked."""
    if len(found) > 1 and not verbose:
        return
    rows = [
        (one.name, table.table, table.rows, in_bytes(table.bytes))
        for one in found
        for table in one.tables
    ]
    click.echo()
    print_table(("database", "table", "rows", "size"), rows)

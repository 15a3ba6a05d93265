"""`streamhub-db health`, `sizes`, `optimize` and `report`: the space that databases take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamhub_orm.archives import survey_environment
from streamhub_orm.cli.completion import app_option
from streamhub_orm.cli.lists import OK, WRONG, Choice, Entry, list_options, print_list
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import (
    echo,
    print_json,
    progress_bar,
    progress_of,
    warn,
    warn_of_waits,
)
from streamhub_orm.cli.tables import print_table
from streamhub_orm.maintenance.health import read_health
from streamhub_orm.maintenance.optimize import OK as DONE
from streamhub_orm.maintenance.optimize import long_waits
from streamhub_orm.maintenance.optimize import optimize as run_optimize
from streamhub_orm.maintenance.report import counted, write_report
from streamhub_orm.maintenance.selection import Selection
from streamhub_orm.maintenance.sizes import read_sizes
from streamhub_orm.readable import in_bytes

if TYPE_CHECKING:
    from streamhub_orm.maintenance.health import Health
    from streamhub_orm.maintenance.optimize import Optimized
    from streamhub_orm.maintenance.sizes import Sizes


Command = TypeVar("Command", bound=Callable[..., Any])


def _selection_options(command: Command) -> Command:
    """Add --global, --app and --all; the command gets what they say as `selection`."""

    @wraps(command)
    def with_selection(
        *args: object, only_global: bool, apps: tuple[str, ...], everything: bool, **rest: object
    ) -> object:
        if everything and (only_global or apps):
            raise click.UsageError("--all goes without --global and --app")  # noqa: TRY003, EM101
        chosen = only_global or apps
        selection = Selection(with_global=only_global, apps=apps) if chosen else Selection()
        return command(*args, selection=selection, everything=everything, **rest)

    for option in reversed(_SELECTION):
        with_selection = option(with_selection)
    return with_selection  # type: ignore[return-value]


_SELECTION = (
    click.option("--global", "only_global", is_flag=True, help="The global database."),
    app_option("This app; repeatable.", many=True),
    click.option("--all", "everything", is_flag=True, help="All databases, and each one listed."),
)


@click.command
@_selection_options
@list_options(OK, WRONG, sorts=("name", "size"), everything=False)
@click.option("--full", is_flag=True, help="Run integrity_check and foreign_key_check too.")
@global_options
@click.pass_obj
def health(invocation: Invocation, selection: Selection, choice: Choice, *, full: bool) -> int:
    """Show size, unused space and tables of databases; opens them read-only.

    Exit status 1 if any cannot be read, or is damaged.
    """
    with progress_of(invocation, "measuring") as progress:
        health_of_each = read_health(invocation.root, selection, full=full, progress=progress)
        found = list(health_of_each)
    entries = [
        Entry(it, it.name, OK if it.ok else WRONG, it.ok, it.size_bytes or 0) for it in found
    ]
    ok = all(one.ok for one in found)
    if invocation.json:
        databases = [entry.item.to_json() for entry in choice.pick(entries)]
        print_json({"ok": ok, "data_dir": str(invocation.root.absolute()), "databases": databases})
    else:
        _print_tables(found, verbose=invocation.verbosity > 0)
        if not full:
            echo("Not looked for damage: `health --full` and `check` do.")
        for one in found:
            if one.server is not None:
                echo(f"{one.name}: on {one.server}, whose own means find damage (data checksums)")
        print_list(_HEALTH, entries, _health_row, choice, noun="database")
    for one in found:
        for fault in (one.error, *(one.integrity or ()), *(one.foreign_keys or ())):
            if fault:
                echo(f"Error: {one.name}: {fault}", err=True)
    return 0 if ok else 1


_HEALTH = ("database", "state", "revision", "size", "wal", "pages", "unused", "rows", "result")


def _health_row(one: Health) -> tuple[object, ...]:
    unused = None if one.fragmentation_percent is None else f"{one.fragmentation_percent} %"
    rows = sum(table.rows for table in one.tables) if one.tables else None
    sizes = (in_bytes(one.size_bytes), in_bytes(one.wal_bytes), one.pages)
    return (one.name, one.state, one.revision, *sizes, unused, rows, OK if one.ok else WRONG)


def _print_tables(found: list[Health], *, verbose: bool) -> None:
    """Show each table of one database; of several only where asked."""
    if len(found) > 1 and not verbose:
        return
    rows = [
        (one.name, table.table, table.rows, in_bytes(table.bytes))
        for one in found
        for table in one.tables
    ]
    print_table(("database", "table", "rows", "size"), rows)
    echo()


@click.command
@app_option("Only this app; repeatable.", many=True)
@list_options(OK, WRONG, sorts=("size", "name"))
@global_options
@click.pass_obj
def sizes(invocation: Invocation, apps: tuple[str, ...], choice: Choice) -> int:
    """Show what each app takes: database and recordings, the largest first."""
    with progress_of(invocation, "measuring") as progress:
        found = read_sizes(invocation.root, apps, progress=progress)
    entries = [
        Entry(it, it.name, WRONG if it.error else OK, it.error is None, it.total_bytes)
        for it in found.apps
    ]
    if invocation.json:
        picked = [entry.item.to_json() for entry in choice.pick(entries)]
        print_json({**found.to_json(), "apps": picked})
    else:
        columns = ("app", "database", "wal", "vods", "vod size", "variants", "total")
        last = [_sizes_row(found.global_), _sizes_row(found.total)]
        print_list(columns, entries, _sizes_row, choice, noun="app", judged=False, last=last)
    for one in found.failed:
        echo(f"Error: {one.name}: {one.error}", err=True)
    return 1 if found.failed else 0


def _sizes_row(one: Sizes) -> tuple[object, ...]:
    name = f"({one.name})" if one.name in ("global", "total") else one.name
    numbers = (one.db_bytes, one.wal_bytes, one.vod_bytes, one.variants.size_bytes, one.total_bytes)
    database, wal, vod, variants, total = map(in_bytes, numbers)
    return (name, database, wal, one.vod_count, vod, variants, total)


@click.command
@_selection_options
@list_options(OK, WRONG, sorts=("name", "size"), everything=False)
@global_options
@click.pass_obj
def optimize(invocation: Invocation, selection: Selection, choice: Choice) -> int:
    """Renew statistics and indices, and give unused space back.

    Each database is backed up for the time of the work. The server may go on meanwhile; writers
    wait. A global database on PostgreSQL is left to its autovacuum.
    """
    warn_of_waits(long_waits(invocation.root, selection))
    with progress_of(invocation, "optimizing") as progress:
        outcomes = list(run_optimize(invocation.root, selection, progress=progress))
    entries = [
        Entry(it, it.name, OK if it.ok else WRONG, it.ok, it.after_bytes or 0) for it in outcomes
    ]
    ok = all(outcome.ok for outcome in outcomes)
    reclaimed = sum(outcome.reclaimed_bytes for outcome in outcomes)
    if invocation.json:
        databases = [entry.item.to_json() for entry in choice.pick(entries)]
        data_dir = str(invocation.root.absolute())
        document = {"ok": ok, "data_dir": data_dir, "reclaimed_bytes": reclaimed}
        print_json({**document, "databases": databases})
    else:
        echo(f"reclaimed: {in_bytes(reclaimed)}")
        print_list(_OPTIMIZED, entries, _optimized_row, choice, noun="database")
    for outcome in outcomes:
        _print_remarks(outcome)
    return 0 if ok else 1


_OPTIMIZED = ("database", "before", "after", "reclaimed", "steps", "result")


def _optimized_row(outcome: Optimized) -> tuple[object, ...]:
    done = sum(step.result == DONE for step in outcome.steps)
    before, after = in_bytes(outcome.before_bytes), in_bytes(outcome.after_bytes)
    reclaimed = in_bytes(outcome.reclaimed_bytes)
    steps = f"{done} of {len(outcome.steps)}" if outcome.steps else None
    return (outcome.name, before, after, reclaimed, steps, OK if outcome.ok else WRONG)


def _print_remarks(outcome: Optimized) -> None:
    if outcome.error is not None:
        kept = "" if outcome.backup is None else f" Its backup is kept: {outcome.backup}"
        echo(f"Error: {outcome.name}: {outcome.error}{kept}", err=True)
    for step in outcome.steps:
        if step.reason and step.reason != outcome.error:
            warn(f"{outcome.name}: {step.name} {step.result}: {step.reason}")


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
def report(invocation: Invocation, target: Path) -> int:
    """Write one HTML page about all databases: sizes, growth, unused space, revisions, failures.

    Exit status 1 if any database cannot be used; the page names it.
    """
    with progress_bar(shown=not invocation.json) as progress:
        read_archives = partial(survey_environment, invocation.data_dir, invocation.root)
        fleet = write_report(
            invocation.root, target, progress=progress, read_archives=read_archives
        )
    failed = fleet.failed
    if invocation.json:
        server = fleet.global_.server
        document = {"ok": not failed, "data_dir": str(fleet.data_dir), "server": server}
        numbers = {"apps": len(fleet.apps), "failed": len(failed)}
        archives = [each.to_json() for each in fleet.archives]
        print_json({**document, "html": str(target.absolute()), **numbers, "archives": archives})
    else:
        apps, lost = counted(len(fleet.apps), "app"), counted(len(failed), "database")
        echo(f"wrote {target}: {apps}, {lost} failed")
    for database in failed:
        echo(f"Error: {database.name}: {database.error}", err=True)
    return 1 if failed else 0

"""`streamhub-db optimize`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Settings, global_options, print_json
from streamhub_orm.cli.output import print_table, warn_of_waits
from streamhub_orm.cli.selection import selection_options
from streamhub_orm.maintenance.optimize import OK, long_waits
from streamhub_orm.maintenance.optimize import optimize as run_optimize
from streamhub_orm.maintenance.sizes import in_bytes

if TYPE_CHECKING:
    from streamhub_orm.maintenance.optimize import Optimized
    from streamhub_orm.maintenance.selection import Selection


@click.command
@selection_options
@global_options
@click.pass_obj
def optimize(settings: Settings, selection: Selection) -> int:
    """Renew statistics and indices, and give unused space back.

    Each database is backed up for the time of the work. The server may go on meanwhile; writers
    wait.
    """
    if settings.verbosity >= 0:
        warn_of_waits(long_waits(settings.root, selection))
    outcomes = list(run_optimize(settings.root, selection))
    ok = all(outcome.ok for outcome in outcomes)
    reclaimed = sum(outcome.reclaimed_bytes for outcome in outcomes)
    if settings.json:
        entries = [outcome.to_json() for outcome in outcomes]
        data_dir = str(settings.root.absolute())
        document = {"ok": ok, "data_dir": data_dir, "reclaimed_bytes": reclaimed}
        print_json({**document, "databases": entries})
    else:
        print_table(_COLUMNS, [_row(outcome) for outcome in outcomes])
        click.echo(f"reclaimed: {in_bytes(reclaimed)}")
    for outcome in outcomes:
        _print_remarks(outcome)
    return 0 if ok else 1


_COLUMNS = ("database", "before", "after", "reclaimed", "steps", "result")


def _row(outcome: Optimized) -> tuple[object, ...]:
    done = sum(step.result == OK for step in outcome.steps)
    before, after = in_bytes(outcome.before_bytes), in_bytes(outcome.after_bytes)
    reclaimed = in_bytes(outcome.reclaimed_bytes)
    steps = f"{done} of {len(outcome.steps)}" if outcome.steps else None
    return (outcome.name, before, after, reclaimed, steps, "ok" if outcome.ok else "failed")


def _print_remarks(outcome: Optimized) -> None:
    if outcome.error is not None:
        click.echo(f"Error: {outcome.name}: {outcome.error}", err=True)
    for step in outcome.steps:
        if step.reason and step.reason != outcome.error:
            click.echo(f"{outcome.name}: {step.name} {step.result}: {step.reason}", err=True)
    if outcome.backup is not None:
        click.echo(f"{outcome.name}: its backup is kept: {outcome.backup}", err=True)

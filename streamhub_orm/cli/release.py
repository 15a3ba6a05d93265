"""`streamhub-db release`: the database step of a release, from a look before to a check after."""

from __future__ import annotations

from typing import Any

import click

from streamhub_orm.check import check_installation
from streamhub_orm.cli.installation import checks_json, show_checks, show_status
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import print_json
from streamhub_orm.cli.upgrade import run_upgrade
from streamhub_orm.status import read_status


@click.command
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes; default: one per core.")
@click.option("--dry-run", is_flag=True, help="Rehearse the upgrade, touch nothing; no check.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for another upgrade to end.",
)
@global_options
@click.pass_obj
def release(invocation: Invocation, jobs: int | None, lock_timeout: float, *, dry_run: bool) -> int:
    """Show the state, upgrade, and check the result: what a release pipeline calls.

    A failed database does not keep the check away; a refusal, with exit status 3, does.
    """
    done: dict[str, Any] = dict.fromkeys(("status", "upgrade", "check"))
    common = {"data_dir": str(invocation.root.absolute()), "dry_run": dry_run}
    invocation.refused_document = lambda error: {"ok": False, "error": error, **common, **done}
    found = read_status(invocation.root)
    done["status"] = found.to_json()
    _announce(invocation, "status")
    show_status(found, table=not invocation.json)
    _announce(invocation, "upgrade --dry-run" if dry_run else "upgrade")
    report = run_upgrade(invocation, jobs=jobs, dry_run=dry_run, lock_timeout_seconds=lock_timeout)
    done["upgrade"] = report.to_json()
    ok = not report.failed
    if not dry_run:
        _announce(invocation, "check")
        checks = list(check_installation(invocation.root))
        done["check"] = checks_json(checks, invocation.root)
        show_checks(checks, table=not invocation.json, verbose=invocation.verbosity > 0)
        ok = ok and done["check"]["ok"]
    if invocation.json:
        print_json({"ok": ok, "error": None, **common, **done})
    return 0 if ok else 1


def _announce(invocation: Invocation, step: str) -> None:
    if not invocation.json and invocation.verbosity >= 0:
        click.secho(f"== {step}", bold=True)

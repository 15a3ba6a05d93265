#!/usr/bin/env python3
"""The database step of a release: show what is there, upgrade it, check the result.

A release pipeline calls this, with the new release installed. Each step is a command of
streamhub-db; the exit status is the worst of theirs.
"""

from __future__ import annotations

import subprocess
import sys

import click

REFUSED = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data-dir", envvar="DATA_DIR", required=True, metavar="DIR", help="Or DATA_DIR.")
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes; default: one per core.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another upgrade to end.",
)
@click.option(
    "--dry-run", is_flag=True, help="Rehearse on scratch copies, touch nothing; no check."
)
def release_upgrade(data_dir: str, jobs: int | None, lock_timeout: float, *, dry_run: bool) -> None:
    """Run status, upgrade and check on one installation.

    Exit status: 0 all is well; 1 some databases failed, the others are done; 3 refused before
    anything was touched. A refusal ends the run; a failed database does not keep the check away.
    """
    options = [f"--lock-timeout={lock_timeout}"]
    options += [f"--jobs={jobs}"] if jobs else []
    steps = [["status"], ["upgrade", *options], ["check"]]
    if dry_run:
        steps = [["status"], ["upgrade", "--dry-run", *options]]
    statuses = []
    for step in steps:
        click.secho("== streamhub-db " + " ".join(step), bold=True)
        command = [sys.executable, "-m", "streamhub_orm", "--data-dir", data_dir, *step]
        statuses.append(subprocess.run(command, check=False).returncode)
        if statuses[-1] == REFUSED:
            break
    # A negative status is the signal that ended a step.
    sys.exit(max(abs(status) for status in statuses))


if __name__ == "__main__":
    release_upgrade()

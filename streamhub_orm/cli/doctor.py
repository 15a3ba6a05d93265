"""`streamhub-db doctor`: what may go wrong tonight, looked at beforehand."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - click reads the annotations of options
from pathlib import Path  # noqa: TC003
from typing import Final

import click

from streamhub_orm.cli.backup_options import find_places, local_dir_option
from streamhub_orm.cli.lists import OK, WRONG, print_totals
from streamhub_orm.cli.options import Duration, Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, progress_of, warn
from streamhub_orm.doctor import Verdict, examine

_WORDS: Final = {
    Verdict.OK: OK,
    Verdict.WARNING: "to look at",
    Verdict.FAILURE: WRONG,
}
"""In the line of totals."""


@click.command
@click.option(
    "--max-age", type=Duration(), metavar="AGE", help="Fail where the newest backup is older: 26h."
)
@local_dir_option
@global_options
@click.pass_obj
def doctor(invocation: Invocation, max_age: timedelta | None, local_dir: Path | None) -> int:
    """Look at all that an upgrade and a backup need; each finding says what to do.

    Space, modes, owners, links, settings, who has databases open, the bucket and its clock,
    SQLite, limits, the newest backups. Read-only. Exit status 1 where something would fail.
    """
    places = find_places(invocation, local_dir)
    with progress_of(invocation, "looking") as progress:
        findings = list(examine(invocation.root, places, max_age=max_age, progress=progress))
    ok = all(it.verdict is not Verdict.FAILURE for it in findings)
    if invocation.json:
        items = [it.to_json() for it in findings]
        print_json({"ok": ok, "data_dir": str(invocation.root.absolute()), "items": items})
    for it in findings if not invocation.json else ():
        line = f"{it.subject}: {it.found}" + (f". {it.todo}" if it.todo else "")
        if it.verdict is Verdict.FAILURE:
            echo(f"Error: {line}", err=True)
        elif it.verdict is Verdict.WARNING:
            warn(f"warning: {line}")
        else:
            echo(f"ok: {line}")
    if not invocation.json:
        print_totals("finding", [_WORDS[it.verdict] for it in findings], len(findings))
    return 0 if ok else 1

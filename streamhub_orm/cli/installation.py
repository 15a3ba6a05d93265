"""`streamhub-db init`, `demo`, `status` and `check`: an installation made and looked at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from streamhub_orm.check import check_installation
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, print_table
from streamhub_orm.demo import ERAS, write_demo
from streamhub_orm.init import make_installation
from streamhub_orm.status import FAILED_STATES, read_status

if TYPE_CHECKING:
    from streamhub_orm.check import FileCheck
    from streamhub_orm.status import Status


_SPLIT: Final = {True: "done", False: "not done", None: "unknown"}


@click.command
@global_options
@click.pass_obj
def init(invocation: Invocation) -> None:
    """Make a fresh installation: global database, platform tenant, app `live`."""
    place = make_installation(invocation.root)
    if invocation.json:
        print_json(
            {"ok": True, "data_dir": str(place.root), "global_db": str(place.global_db)},
        )
    else:
        echo(f"made an installation in {place.root} with the app live")


@click.command
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--era", type=click.Choice(ERAS), help="Only databases of this era; default: all.")
@global_options
@click.pass_obj
def demo(invocation: Invocation, folder: Path, era: str | None) -> None:
    """Write a small legacy installation into DIR, to try the upgrade on."""
    write_demo(folder, era)
    if invocation.json:
        print_json({"ok": True, "data_dir": str(folder.absolute())})
    elif invocation.verbosity >= 0:
        echo(f"wrote a legacy installation into {folder}")
        echo(f"Now try: streamhub-db --data-dir {folder} upgrade")


@click.command
@global_options
@click.pass_obj
def status(invocation: Invocation) -> int:
    """Show where every database stands; opens them read-only."""
    found = read_status(invocation.root)
    if invocation.json:
        print_json(found.to_json())
    show_status(found, table=not invocation.json)
    return 0 if found.ok else 1


def show_status(found: Status, *, table: bool) -> None:
    """Print the states, and on stderr what is wrong."""
    if table:
        document = found.to_json()
        head = document["global"]
        rows = [("(global)", head["state"], head["revision"], head["head"], "")]
        for app in document["apps"]:
            pending = "yes" if app["pending_import"] else "no"
            rows.append((app["app"], app["state"], app["revision"], app["head"], pending))
        print_table(("database", "state", "revision", "head", "import pending"), rows)
        echo(f"split: {_SPLIT[found.split_done]}")
    for name, state in {"global": found.global_, **found.apps}.items():
        if state.error is not None and state.state in FAILED_STATES:
            echo(f"Error: {name}: {state.error}", err=True)


@click.command
@click.option("--legacy", is_flag=True, help="Count anew the legacy rows that no app.db holds.")
@global_options
@click.pass_obj
def check(invocation: Invocation, *, legacy: bool) -> int:
    """Compare every database with its history and check it for damage; exit 1 if any is wrong."""
    checks = list(check_installation(invocation.root, legacy=legacy))
    if invocation.json:
        print_json(checks_json(checks, invocation.root))
    show_checks(checks, table=not invocation.json, verbose=invocation.verbosity > 0)
    return 0 if all(found.ok for found in checks) else 1


def checks_json(checks: list[FileCheck], data_dir: Path) -> dict[str, Any]:
    """Return the document of `check --json`."""
    ok = all(found.ok for found in checks)
    entries = [found.to_json() for found in checks]
    return {"ok": ok, "data_dir": str(data_dir.absolute()), "databases": entries}


def show_checks(checks: list[FileCheck], *, table: bool, verbose: bool) -> None:
    """Print the results, and on stderr what is wrong."""
    if table:
        rows = [
            (found.name, found.state, found.revision, "ok" if found.ok else "wrong")
            for found in checks
        ]
        print_table(("database", "state", "revision", "result"), rows)
    for found in checks:
        _print_findings(found, verbose=verbose)


def _print_findings(found: FileCheck, *, verbose: bool) -> None:
    faults = [*found.drift, *found.integrity, *found.foreign_keys]
    if found.error:
        echo(f"Error: {found.name}: {found.error}", err=True)
    for fault in faults:
        echo(f"Error: {found.path}: {fault}", err=True)
    if found.unmatched is not None and found.unmatched.total:
        rows = ", ".join(f"{count} {table}" for table, count in asdict(found.unmatched).items())
        echo(f"{found.path}: legacy rows that are not in it: {rows}", err=True)
    for extra in found.extras if verbose else ():
        echo(f"{found.path}: not ours, left alone: {extra}", err=True)

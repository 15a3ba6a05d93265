"""`streamhub-db init`, `demo`, `status` and `check`: an installation made and looked at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from streamhub_orm.archives import survey_environment
from streamhub_orm.check import check_installation
from streamhub_orm.cli.lists import ANY, OK, WRONG, Choice, Entry, list_options, print_list
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, progress_of, warn
from streamhub_orm.demo import ERAS, write_demo
from streamhub_orm.init import make_installation
from streamhub_orm.migrations.states import State
from streamhub_orm.status import FAILED_STATES, read_status

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            {"ok": True, "data_dir": str(place.root), "global_db": place.global_name},
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
    else:
        echo(f"wrote a legacy installation into {folder}")
        echo(f"Now try: streamhub-db --data-dir {folder} upgrade")


@click.command
@list_options(*State, OK, WRONG)
@global_options
@click.pass_obj
def status(invocation: Invocation, choice: Choice) -> int:
    """Show where every database stands, and the newest backup; opens them read-only."""
    with progress_of(invocation, "looking at apps") as progress:
        found = read_status(invocation.root, progress=progress)
    archives = survey_environment(invocation.data_dir, invocation.root)
    if invocation.json:
        picked = {it.name for it in choice.pick(_status_entries(found))}
        document = found.to_json()
        apps = [app for app in document["apps"] if app["app"] in picked]
        facts = [each.to_json() for each in archives]
        print_json({**document, "apps": apps, "archives": facts})
    else:
        for each in archives:
            echo(f"newest backup, {each.place}: {each.in_words()}")
    show_status(found, table=not invocation.json, choice=choice)
    return 0 if found.ok else 1


def show_status(found: Status, *, table: bool, choice: Choice = ANY) -> None:
    """Print the states, and on stderr what is wrong."""
    if table:
        echo(f"split: {_SPLIT[found.split_done]}")
        columns = ("database", "state", "revision", "head", "import pending")
        print_list(columns, _status_entries(found), _status_row, choice, noun="database")
    for name, state in {"global": found.global_, **found.apps}.items():
        if state.error is not None and state.state in FAILED_STATES:
            echo(f"Error: {name}: {state.error}", err=True)
    if found.promoted is not None:
        warn(f"global: what this file holds is old; it was {found.promoted}")


def _status_entries(found: Status) -> list[Entry[dict[str, Any]]]:
    document = found.to_json()
    entries = []
    for item in ({"app": "(global)", **document["global"]}, *document["apps"]):
        state = State(item["state"])
        word = OK if state is State.CURRENT else str(state)
        entries.append(Entry(item, item["app"], word, state not in FAILED_STATES))
    return entries


def _status_row(item: dict[str, Any]) -> tuple[object, ...]:
    pending = {True: "yes", False: "no", None: None}[item.get("pending_import")]
    return item["app"], item["state"], item["revision"], item["head"], pending


@click.command
@click.option("--legacy", is_flag=True, help="Count anew the legacy rows that no app.db holds.")
@list_options(OK, WRONG)
@global_options
@click.pass_obj
def check(invocation: Invocation, choice: Choice, *, legacy: bool) -> int:
    """Compare every database with its history and check it for damage; exit 1 if any is wrong."""
    with progress_of(invocation, "checking") as progress:
        checks = list(check_installation(invocation.root, legacy=legacy, progress=progress))
    if invocation.json:
        print_json(checks_json(checks, invocation.root, choice))
    verbose = invocation.verbosity > 0
    show_checks(checks, table=not invocation.json, verbose=verbose, choice=choice)
    return 0 if all(found.ok for found in checks) else 1


def checks_json(checks: list[FileCheck], data_dir: Path, choice: Choice = ANY) -> dict[str, Any]:
    """Return the document of `check --json`."""
    ok = all(found.ok for found in checks)
    entries = [entry.item.to_json() for entry in choice.pick(_check_entries(checks))]
    return {"ok": ok, "data_dir": str(data_dir.absolute()), "databases": entries}


def _check_entries(checks: list[FileCheck]) -> list[Entry[FileCheck]]:
    return [Entry(it, it.name, OK if it.ok else WRONG, it.ok) for it in checks]


def show_checks(
    checks: list[FileCheck], *, table: bool, verbose: bool, choice: Choice = ANY
) -> None:
    """Print the results, and on stderr what is wrong."""
    if table:

        def row(found: FileCheck) -> tuple[object, ...]:
            return found.name, found.state, found.revision, OK if found.ok else WRONG

        columns = ("database", "state", "revision", "result")
        print_list(columns, _check_entries(checks), row, choice, noun="database")
        for server in (found.server for found in checks if found.server is not None):
            echo(f"global: on {server}; damage is found by its own means (data checksums)")
    for found in checks:
        _print_findings(found, verbose=verbose)


_MOST_FAULTS: Final = 5
"""Lines for one database."""
_REBUILD: Final = ("missing from index", "wrong # of entries", "non-unique entry")
"""Words of integrity_check about an index alone."""


def _faults(found: FileCheck) -> Iterator[str]:
    """Yield each fault with what to do about it."""
    app = "--global" if found.name == "global" else f"--app {found.name}"
    restored = "" if found.name == "global" else f" {app}"
    restore = f"`streamhub-db backup restore latest{restored}`"
    for fault in found.integrity:
        index_alone = any(words in fault for words in _REBUILD)
        todo = f"Run `streamhub-db optimize {app}`" if index_alone else f"Restore it: {restore}"
        yield f"{fault}. {todo}."
    for fault in found.foreign_keys if found.server is not None else ():
        yield f"{fault}. Delete these rows, and let nobody switch constraints off again."
    for fault in found.foreign_keys if found.server is None else ():
        table = fault.partition(" → ")[0]
        rows = f"SELECT rowid FROM pragma_foreign_key_check('{table}')"  # noqa: S608 - it is shown, not run
        yield f"{fault}. Back up, then: DELETE FROM {table} WHERE rowid IN ({rows});"  # noqa: S608
    for fault in found.drift:
        yield f"{fault}. Undo by hand what changed the structure, or restore it: {restore}."


def _print_findings(found: FileCheck, *, verbose: bool) -> None:
    faults = [f"{found.where}: {fault}" for fault in _faults(found)]
    faults = [f"{found.name}: {it}" for it in (found.error, *found.settings) if it] + faults
    shown = len(faults) if verbose or len(faults) <= _MOST_FAULTS else _MOST_FAULTS - 1
    for fault in faults[:shown]:
        echo(f"Error: {fault}", err=True)
    if shown < len(faults):
        echo(f"Error: {found.name}: {len(faults) - shown} more faults; -v shows them", err=True)
    if found.unmatched is not None and found.unmatched.total:
        rows = ", ".join(f"{count} {table}" for table, count in asdict(found.unmatched).items())
        warn(f"{found.path}: legacy rows that are not in it: {rows}")
    for extra in found.extras if verbose else ():
        warn(f"{found.where}: not ours, left alone: {extra}")

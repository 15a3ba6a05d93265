"""`streamhub-db copies`: backups beside the databases, and what restores have set aside."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.lists import Choice, Entry, list_options, print_list
from streamhub_orm.cli.options import Duration, Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, require_consent
from streamhub_orm.maintenance.copies import list_copies, prune_copies
from streamhub_orm.readable import in_bytes, in_time
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from streamhub_orm.maintenance.copies import Copy


@click.group
@global_options
def copies() -> None:
    """Look after the copies that earlier work left in the installation.

    Upgrades and other changes leave `<file>.bak-<time>`, a restore `pre-restore-<time>/`.
    """


@copies.command("list")
@list_options(sorts=("name", "size", "age"))
@global_options
@click.pass_obj
def list_(invocation: Invocation, choice: Choice) -> None:
    """List the copies with their sizes; of each database the newest first."""
    found = list_copies(invocation.root)
    entries = [
        Entry(copy, copy.of, size_bytes=copy.size_bytes, made_at=copy.taken_at) for copy in found
    ]
    if invocation.json:
        items = [entry.item.to_json() for entry in choice.pick(entries)]
        print_json({"ok": True, "items": items})
    else:
        row = partial(_row, utc_now())
        size = _bytes_of(found)
        columns = ("of", "age", "size", "stays", "path")
        print_list(columns, entries, row, choice, noun="copy", judged=False, size_bytes=size)


def _row(now: datetime, copy: Copy) -> tuple[object, ...]:
    age = f"{in_time(now - copy.taken_at)} ago"
    return copy.of, age, in_bytes(copy.size_bytes), copy.stays, copy.path


@copies.command
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="The newest N of each database stay, and of the folders of restores.",
)
@click.option(
    "--older-than", type=Duration(), default=timedelta(), metavar="AGE", help="Younger ones stay."
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Remove them.")
@global_options
@click.pass_obj
def prune(
    invocation: Invocation, keep: int, older_than: timedelta, *, dry_run: bool, yes: bool
) -> int:
    """Remove old copies.

    What was there before the split stays, and so does every backup of a database that is missing.
    """
    require_consent("removes copies of databases", yes=yes, dry_run=dry_run)
    pruned = prune_copies(invocation.root, keep=keep, older_than=older_than, dry_run=dry_run)
    if invocation.json:
        document = {
            "ok": not pruned.failed,
            "dry_run": dry_run,
            "removed": [str(copy.path) for copy in pruned.removed],
            "bytes": _bytes_of(pruned.removed),
            "failed": pruned.failed,
            "kept": pruned.kept,
        }
        print_json(document)
    else:
        verb = "would remove" if dry_run else "removed"
        for copy in pruned.removed:
            echo(f"{verb} {copy.path}")
        total = f"{len(pruned.removed)} copies, {in_bytes(_bytes_of(pruned.removed))}"
        echo(f"{verb} {total}; {pruned.kept} stay")
    for reason in pruned.failed.values():
        echo(f"Error: {reason}", err=True)
    return 1 if pruned.failed else 0


def _bytes_of(found: list[Copy]) -> int:
    return sum(copy.size_bytes for copy in found)

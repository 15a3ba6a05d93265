"""`streamhub-db downgrade`, `history` and `revision`: the two histories of revisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.completion import app_option
from streamhub_orm.cli.lists import OK, print_totals
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, progress_of
from streamhub_orm.cli.tables import print_table
from streamhub_orm.downgrade import downgrade_installation
from streamhub_orm.migrations.authoring import write_revision
from streamhub_orm.migrations.linting import lint
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World

_WORLDS = {world.name: world for world in (GLOBAL, APP)}


@click.command
@click.argument("revision")
@app_option("This app; repeatable.", many=True)
@click.option("--all-apps", is_flag=True, help="Every registered app.")
@click.option("--drop-rows", is_flag=True, help="Give up rows and values the older schema lacks.")
@click.option("--dry-run", is_flag=True, help="Rehearse on scratch copies; touch nothing.")
@global_options
@click.pass_obj
def downgrade(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    revision: str,
    apps: tuple[str, ...],
    *,
    all_apps: bool,
    drop_rows: bool,
    dry_run: bool,
) -> int:
    """Take the global database, or apps, down to REVISION; backup first.

    g0013 and a0008 are the revisions that equal what the Node core itself makes; `-- -1` is one
    step down from where a file stands.
    """
    with progress_of(invocation, "downgrading") as progress:
        each = downgrade_installation(
            invocation.root,
            revision,
            apps=apps,
            all_apps=all_apps,
            drop_rows=drop_rows,
            dry_run=dry_run,
            progress=progress,
        )
        outcomes = list(each)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if invocation.json:
        databases = [outcome.to_json() for outcome in outcomes]
        print_json({"ok": not failed, "dry_run": dry_run, "databases": databases})
    else:
        rows = [(o.name, o.from_revision, o.to_revision, o.backup) for o in outcomes]
        print_table(("database", "from", "to", "backup"), rows)
        verb = "would be changed" if dry_run else "changed"
        states = [
            "failed" if o.error else OK if o.from_revision == o.to_revision else verb
            for o in outcomes
        ]
        print_totals("database", states, len(outcomes))
    for outcome in failed:
        echo(f"Error: {outcome.name}: {outcome.error}", err=True)
    return 1 if failed else 0


@click.command
@global_options
@click.pass_obj
def history(invocation: Invocation) -> None:
    """List the revisions of both histories, oldest first."""
    rows = [
        (world.name, script.revision, script.doc.splitlines()[0].rstrip("."))
        for world in _WORLDS.values()
        for script in world.history
    ]
    if invocation.json:
        items = [dict(zip(("history", "revision", "title"), row, strict=True)) for row in rows]
        print_json({"ok": True, "items": items})
    else:
        print_table(("history", "revision", "title"), rows)
        print_totals("revision", None, len(rows))


@click.group
@global_options
def revision() -> None:
    """Write a revision of one of the histories, and check what is written."""


def _writer(world: World) -> click.Command:
    @click.command(world.name, help=f"Write a new revision file for {world.title}.")
    @click.option("-m", "--message", required=True, help="What it does, in a few words.")
    @click.option("--autogenerate", is_flag=True, help="Begin with what differs from the models.")
    @global_options
    @click.pass_obj
    def write(invocation: Invocation, message: str, *, autogenerate: bool) -> None:
        path = write_revision(world, message, autogenerate=autogenerate)
        if invocation.json:
            print_json({"ok": True, "path": str(path)})
        else:
            echo(f"wrote {path}")

    return write


for each in _WORLDS.values():
    revision.add_command(_writer(each))


@revision.command("lint")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]…")
@global_options
@click.pass_obj
def lint_revisions(invocation: Invocation, files: tuple[Path, ...]) -> int:
    """Check revision files, or both histories, against the project's rules; exit 1 if any fails."""
    findings = lint(files)
    if invocation.json:
        print_json({"ok": not findings, "findings": [found.details for found in findings]})
    for found in findings:
        echo(f"Error: {found}", err=True)
    return 1 if findings else 0

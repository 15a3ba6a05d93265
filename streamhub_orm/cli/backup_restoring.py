"""`streamhub-db backup restore`, `undo` and `drill`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamhub_orm.archives import drill as run_drill
from streamhub_orm.archives import fetch_and_restore, undo_restore
from streamhub_orm.archives.stored import LATEST
from streamhub_orm.cli.backup_options import find_places, print_outcome, reading_options
from streamhub_orm.cli.completion import app_option
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import progress_bar
from streamhub_orm.maintenance.report import counted

if TYPE_CHECKING:
    from typing import Unpack

    from streamhub_orm.archives.restore import Restored
    from streamhub_orm.cli.backup_options import Where


_replace_server_option = click.option(
    "--replace-server",
    metavar="DATABASE",
    help="Give up the rows that this database of the server holds; they are set aside.",
)


@click.command
@click.argument("name")
@reading_options
@app_option("Only the files of this app.")
@click.option(
    "--keep-global", is_flag=True, help="Leave the global database as it is: of a lost node."
)
@_replace_server_option
@click.option("--dry-run", is_flag=True, help="Verify the backup, say what would be replaced.")
@click.option("--allow-incomplete", is_flag=True, help="Restore what an incomplete backup holds.")
@click.option(
    "--no-manifest", is_flag=True, help="Restore one without a manifest; no checksum is compared."
)
@click.option("--upgrade", "then_upgrade", is_flag=True, help="Then bring every database to head.")
@global_options
@click.pass_obj
def restore(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    name: str,
    source: str,
    app: str | None,
    replace_server: str | None,
    *,
    dry_run: bool,
    allow_incomplete: bool,
    no_manifest: bool,
    keep_global: bool,
    then_upgrade: bool,
    **where: Unpack[Where],
) -> int:
    """Put the files of a backup in place of the present ones. Stop the server first.

    NAME is that of a backup, a path, or `latest`. Every file is verified before the first one is
    touched; the present ones go into pre-restore-<UTC>/, from where `backup undo` puts them back.
    Rows of a control plane are replaced in one transaction.
    """
    with progress_bar(shown=not invocation.json) as progress:
        restored = fetch_and_restore(
            find_places(invocation, **where),
            name,
            source=source,
            app=app,
            allow_incomplete=allow_incomplete,
            no_manifest=no_manifest,
            keep_global=keep_global,
            replace_server=replace_server,
            dry_run=dry_run,
            then_upgrade=then_upgrade,
            progress=progress,
        )
    _print_restored(invocation, restored)
    return 0 if restored.ok else 1


@click.command
@click.argument("folder", type=click.Path(path_type=Path))
@_replace_server_option
@click.option("--dry-run", is_flag=True, help="Say what would be replaced.")
@global_options
@click.pass_obj
def undo(
    invocation: Invocation, folder: Path, replace_server: str | None, *, dry_run: bool
) -> None:
    """Undo a restore: put back what it set aside in FOLDER. Stop the server first.

    The files that are there now are set aside in turn, so that this can be undone too.
    """
    places = find_places(invocation)
    restored = undo_restore(folder, places.data_dir, replace_server=replace_server, dry_run=dry_run)
    _print_restored(invocation, restored)


@click.command
@click.argument("name", default=LATEST)
@reading_options
@global_options
@click.pass_obj
def drill(invocation: Invocation, name: str, source: str, **where: Unpack[Where]) -> int:
    """Restore a backup into a scratch folder, check every database there, and remove it.

    NAME is that of a backup, a path, or `latest` (the default). The installation is not touched.
    """
    places = find_places(invocation, **where)
    with progress_bar(shown=not invocation.json) as progress:
        drilled = run_drill(places, name, source=source, progress=progress)
    counts = f"{drilled.files} files, {drilled.databases} databases"
    verdict = "every database is good" if drilled.ok else f"{len(drilled.faults)} faults"
    lines = [f"{drilled.archive}: {counts} restored in {drilled.seconds:.1f} s; {verdict}"]
    print_outcome(invocation, drilled.to_json(), lines, drilled.faults)
    return 0 if drilled.ok else 1


def _rows_in_words(restored: Restored) -> list[str]:
    """Say what becomes of the rows of a control plane."""
    if not restored.rows:
        return [f"{restored.server} holds the same rows already"]
    would = "would be " if restored.dry_run else ""
    lines = [f"rows of {restored.server} {would}replaced:"]
    lines += [f"  {table}: {now} by {then}" for table, (now, then) in restored.rows.items()]
    if restored.must_be_named is not None:
        name = restored.must_be_named
        lines.append(f"That is refused without the option --replace-server {name}.")
    return lines


def _print_restored(invocation: Invocation, restored: Restored) -> None:
    would = "would be " if restored.dry_run else ""
    lines = [f"{counted(len(restored.files), 'file')} of {restored.source} {would}put in place"]
    lines += [f"  {name}" for name in restored.files if restored.dry_run]
    if restored.server is not None:
        lines += _rows_in_words(restored)
    if restored.checksums is False:
        lines.append("warning: the backup has no manifest, so no checksum was compared")
    lines += [f"warning: the backup lacks {name}, which is as it was" for name in restored.lacks]
    for app in restored.unregistered:
        lines.append(f"warning: app {app} is not registered in the global database")
        lines.append(f"  To register it: streamhub-db apps create {app} --reuse-folder")
    if restored.set_aside is not None:
        lines.append(f"the files until now are in {restored.set_aside}")
        lines.append(f"To undo this: streamhub-db backup undo {restored.set_aside}")
    errors = []
    if restored.failed:
        failed = f"{restored.failed} databases could not be upgraded"
        errors.append(f"{failed}; `streamhub-db upgrade` says why.")
    if restored.error is not None:
        errors.append(restored.error)
    print_outcome(invocation, restored.to_json(), lines, errors)

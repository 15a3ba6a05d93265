"""`streamhub-db backup restore` and `backup undo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamhub_orm.archives.restore import restore_archive, undo_restore
from streamhub_orm.cli.backup_places import Places, from_option, local_dir_option
from streamhub_orm.cli.options import Invocation, global_options, print_json
from streamhub_orm.cli.output import progress_bar
from streamhub_orm.errors import StreamHubError
from streamhub_orm.upgrade import upgrade

if TYPE_CHECKING:
    from streamhub_orm.archives.restore import Restored


@click.command
@click.argument("name")
@from_option
@local_dir_option
@click.option("--app", metavar="NAME", help="Only the files of this app.")
@click.option("--dry-run", is_flag=True, help="Verify the backup, say what would be replaced.")
@click.option("--allow-incomplete", is_flag=True, help="Restore what an incomplete backup holds.")
@click.option("--upgrade", "upgrading", is_flag=True, help="Then bring every database to head.")
@global_options
@click.pass_obj
def restore(  # noqa: PLR0913 - one parameter for each option
    settings: Invocation,
    name: str,
    place: str,
    local_dir: Path | None,
    app: str | None,
    *,
    dry_run: bool,
    allow_incomplete: bool,
    upgrading: bool,
) -> int:
    """Put the files of a backup in place of the present ones. Stop the server first.

    NAME is that of a backup, a path, or `latest`. Every file is verified before the first one is
    touched; the present ones go into pre-restore-<UTC>/, from where `backup undo` puts them back.
    """
    places = Places.find(settings, local_dir)
    shown = settings.verbosity >= 0 and not settings.json
    with (
        places.archive(place, name, allow_incomplete=allow_incomplete) as archive,
        progress_bar(shown=shown) as progress,
    ):
        done = restore_archive(
            archive,
            places.data_dir,
            app=app,
            allow_incomplete=allow_incomplete,
            dry_run=dry_run,
            progress=progress,
        )
    failed, error = 0, None
    if upgrading and not dry_run:
        try:
            failed = upgrade(places.data_dir).failed
        except StreamHubError as refusal:  # the files are in their places all the same
            error = f"restored, but not upgraded: {refusal}"
    _print_restored(settings, done, failed, error)
    return 1 if failed or error else 0


@click.command
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be replaced.")
@global_options
@click.pass_obj
def undo(settings: Invocation, folder: Path, *, dry_run: bool) -> None:
    """Undo a restore: put back what it set aside in FOLDER. Stop the server first.

    The files that are there now are set aside in turn, so that this can be undone too.
    """
    places = Places.find(settings, None)
    _print_restored(settings, undo_restore(folder, places.data_dir, dry_run=dry_run))


def _print_restored(
    settings: Invocation, done: Restored, failed: int = 0, error: str | None = None
) -> None:
    if settings.json:
        ok = not failed and error is None
        print_json({**done.to_json(), "ok": ok, "error": error, "failed": failed})
    elif settings.verbosity >= 0:
        would = "would be " if done.dry_run else ""
        click.echo(f"{len(done.files)} files of {done.source} {would}put in place")
        for app in done.unregistered:
            click.echo(f"warning: app {app} is not registered in the global database")
        if done.set_aside is not None:
            click.echo(f"the files until now are in {done.set_aside}")
            click.echo(f"To undo this: streamhub-db backup undo {done.set_aside}")
    if failed:
        click.echo(
            f"Error: {failed} databases could not be upgraded; `streamhub-db upgrade` says why.",
            err=True,
        )
    if error is not None:
        click.echo(f"Error: {error}", err=True)

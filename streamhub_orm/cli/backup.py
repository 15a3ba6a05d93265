"""`streamhub-db backup`: archives of the whole installation, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamhub_orm.archives import (
    Places,
    create_archive,
    fetch_and_restore,
    list_archives,
    prune_archives,
    undo_restore,
    verify_archive,
)
from streamhub_orm.archives.places import ALL, LATEST, LOCAL, PLACES
from streamhub_orm.cli.options import Invocation, global_options, lock_timeout_option
from streamhub_orm.cli.output import echo, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from streamhub_orm.archives.create import Created
    from streamhub_orm.archives.places import Listing
    from streamhub_orm.archives.prune import Pruned
    from streamhub_orm.archives.restore import Restored
    from streamhub_orm.archives.verify import Verified
    from streamhub_orm.cli.output import Progress

_local_dir_option = click.option(
    "--local-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the backups; else BACKUP_LOCAL_DIR, else backups/ in the installation.",
)
_from_option = click.option(
    "--from",
    "place",
    type=click.Choice(PLACES),
    default=LOCAL,
    show_default=True,
    help="Where the backup lies; s3 is the bucket of BACKUP_S3_BUCKET.",
)


@click.group
@global_options
def backup() -> None:
    """Back the whole installation up into one archive, and restore it.

    The variables BACKUP_DATA_DIR, BACKUP_LOCAL_DIR, BACKUP_RETENTION_DAYS and BACKUP_S3_BUCKET,
    _ENDPOINT, _PREFIX, _REGION, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY say where to and how long.
    """


@backup.command
@_local_dir_option
@click.option("--jobs", type=click.IntRange(min=1), help="Files at once; default: one per core.")
@click.option("--full", is_flag=True, help="Read every file, also those surely unchanged.")
@click.option(
    "--upload/--no-upload",
    default=None,
    help="Store the archive in the bucket too; default: where BACKUP_S3_BUCKET is set.",
)
@click.option(
    "--no-clobber/--clobber",
    default=True,
    show_default=True,
    help="Whether an object of the same name in the bucket stays.",
)
@lock_timeout_option
@global_options
@click.pass_obj
def create(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    local_dir: Path | None,
    jobs: int | None,
    lock_timeout: float,
    *,
    full: bool,
    upload: bool | None,
    no_clobber: bool,
) -> int:
    """Back up every database, secrets.json and each config.yaml into one verified archive.

    The server may run. Files that are surely unchanged since the newest archive are taken from it.
    """
    places = _find_places(invocation, local_dir)
    bucket = places.upload_bucket(wanted=upload)
    with _progress(invocation) as progress:
        created = create_archive(
            places.data_dir,
            places.folder,
            bucket=bucket,
            no_clobber=no_clobber,
            jobs=jobs,
            incremental=not full,
            lock_timeout_seconds=lock_timeout,
            progress=progress,
        )
    _print_created(invocation, created)
    return 0 if created.ok else 1


@backup.command("list")
@_local_dir_option
@global_options
@click.pass_obj
def list_(invocation: Invocation, local_dir: Path | None) -> int:
    """List the backups in the folder and, where one is named, in the bucket; the newest first."""
    listing = list_archives(_find_places(invocation, local_dir))
    _print_listing(invocation, listing)
    return 0 if listing.error is None else 1


@backup.command
@click.argument("name", default=LATEST)
@_from_option
@_local_dir_option
@global_options
@click.pass_obj
def verify(invocation: Invocation, name: str, place: str, local_dir: Path | None) -> int:
    """Read a backup to its end: checksums, integrity of every database, row counts, revisions.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    with _find_places(invocation, local_dir).archive(place, name) as archive:
        verified = verify_archive(archive)
    _print_verified(invocation, verified)
    return 0 if verified.ok else 1


@backup.command
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    metavar="DAYS",
    help="Older ones go; 0: of any age stay. Else BACKUP_RETENTION_DAYS, else 30.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="All but the newest N complete ones go; default: any number stays.",
)
@click.option(
    "--place",
    type=click.Choice([*PLACES, ALL]),
    default=ALL,
    show_default=True,
    help="Where to prune; s3 is the bucket of BACKUP_S3_BUCKET.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@_local_dir_option
@global_options
@click.pass_obj
def prune(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    keep_days: int | None,
    keep: int | None,
    place: str,
    local_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Remove old backups; the newest good one always stays."""
    places = _find_places(invocation, local_dir)
    pruned = prune_archives(places, place=place, keep_days=keep_days, keep=keep, dry_run=dry_run)
    _print_pruned(invocation, pruned, dry_run=dry_run)
    return 0 if all(each.ok for each in pruned) else 1


@backup.command
@click.argument("name")
@_from_option
@_local_dir_option
@click.option("--app", metavar="NAME", help="Only the files of this app.")
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
    place: str,
    local_dir: Path | None,
    app: str | None,
    *,
    dry_run: bool,
    allow_incomplete: bool,
    no_manifest: bool,
    then_upgrade: bool,
) -> int:
    """Put the files of a backup in place of the present ones. Stop the server first.

    NAME is that of a backup, a path, or `latest`. Every file is verified before the first one is
    touched; the present ones go into pre-restore-<UTC>/, from where `backup undo` puts them back.
    """
    with _progress(invocation) as progress:
        restored = fetch_and_restore(
            _find_places(invocation, local_dir),
            name,
            source=place,
            app=app,
            allow_incomplete=allow_incomplete,
            no_manifest=no_manifest,
            dry_run=dry_run,
            then_upgrade=then_upgrade,
            progress=progress,
        )
    _print_restored(invocation, restored)
    return 0 if restored.ok else 1


@backup.command
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be replaced.")
@global_options
@click.pass_obj
def undo(invocation: Invocation, folder: Path, *, dry_run: bool) -> None:
    """Undo a restore: put back what it set aside in FOLDER. Stop the server first.

    The files that are there now are set aside in turn, so that this can be undone too.
    """
    places = _find_places(invocation, None)
    _print_restored(invocation, undo_restore(folder, places.data_dir, dry_run=dry_run))


def _find_places(invocation: Invocation, local_dir: Path | None) -> Places:
    return Places.find(invocation.data_dir, invocation.root, local_dir)


def _progress(invocation: Invocation) -> AbstractContextManager[Progress]:
    return progress_bar(shown=invocation.verbosity >= 0 and not invocation.json)


def _print_created(invocation: Invocation, created: Created) -> None:
    document = created.to_json()
    counts = f"{document['files']} files, {document['reused']} of them unchanged"
    lines = [f"{created.archive}: {counts}, {document['bytes']} bytes"]
    empty = created.left_out
    lines += [f"warning: {name} is left out: it has no table" for name in empty]
    if created.stored is not None:
        lines.append(f"stored as {created.stored}")
    failures = created.manifest.failures.items()
    errors = [f"{name} is not in the backup: {reason}" for name, reason in failures]
    if created.error is not None:
        errors.append(f"not stored in the bucket: {created.error}")
    _print(invocation, document, lines, errors)


def _print_listing(invocation: Invocation, listing: Listing) -> None:
    document = listing.to_json()
    if invocation.json:
        print_json(document)
    elif listing.archives:
        columns = ("place", "name", "taken_at", "complete", "bytes")
        print_table(columns, [[row[column] for column in columns] for row in document["backups"]])
        for line in _suspected([str(it.name) for _, it in listing.archives if it.is_suspect]):
            echo(line)
    elif listing.error is None:
        echo(f"no backups in {listing.folder}")
    _print_errors([listing.error] if listing.error is not None else [])


def _suspected(names: list[str]) -> list[str]:
    what = "its name is from the future, so a clock was wrong; it counts as the oldest, and stays"
    return [f"warning: {name}: {what}" for name in names]


def _print_verified(invocation: Invocation, verified: Verified) -> None:
    manifest = "" if verified.manifest else "; it has no manifest, so no checksums to compare"
    counts = f"{verified.files} files, {verified.databases} databases, {verified.rows} rows"
    lines = [f"{verified.archive.name}: {counts}{manifest}"]
    if not verified.complete:
        lines.append("It is incomplete: not every database was backed up.")
    lines += [f"warning: it lacks {name}" for name in verified.lacks]
    lines.append("Every file is good." if verified.ok else f"{len(verified.faults)} faults.")
    errors = [f"{verified.archive}: {fault}" for fault in verified.faults]
    _print(invocation, verified.to_json(), lines, errors)


def _print_pruned(invocation: Invocation, places: list[Pruned], *, dry_run: bool) -> None:
    lines, errors = [], []
    for pruned in places:
        lines += [f"{'would remove' if dry_run else 'removed'} {name}" for name in pruned.removed]
        lines += _suspected(pruned.suspect)
        errors += [f"{key} stays: {reason}" for key, reason in pruned.failed.items()]
        if pruned.error is None:
            reason = "" if pruned.good else "; none of them is good, so all stay"
            lines.append(f"{pruned.place}: {pruned.kept} kept{reason}")
        else:
            errors.append(pruned.error)
    documents = [pruned.to_json() for pruned in places]
    ok = all(pruned.ok for pruned in places)
    _print(invocation, {"ok": ok, "dry_run": dry_run, "places": documents}, lines, errors)


def _print_restored(invocation: Invocation, restored: Restored) -> None:
    would = "would be " if restored.dry_run else ""
    lines = [f"{len(restored.files)} files of {restored.source} {would}put in place"]
    if restored.checksums is False:
        lines.append("warning: the backup has no manifest, so no checksum was compared")
    lines += [f"warning: the backup lacks {name}, which is as it was" for name in restored.lacks]
    apps = restored.unregistered
    lines += [f"warning: app {app} is not registered in the global database" for app in apps]
    if restored.set_aside is not None:
        lines.append(f"the files until now are in {restored.set_aside}")
        lines.append(f"To undo this: streamhub-db backup undo {restored.set_aside}")
    errors = []
    if restored.failed:
        failed = f"{restored.failed} databases could not be upgraded"
        errors.append(f"{failed}; `streamhub-db upgrade` says why.")
    if restored.error is not None:
        errors.append(restored.error)
    _print(invocation, restored.to_json(), lines, errors)


def _print(
    invocation: Invocation, document: dict[str, Any], lines: list[str], errors: list[str]
) -> None:
    if invocation.json:
        print_json(document)
    elif invocation.verbosity >= 0:
        for line in lines:
            echo(line)
    _print_errors(errors)


def _print_errors(errors: list[str]) -> None:
    for error in errors:
        echo(f"Error: {error}", err=True)

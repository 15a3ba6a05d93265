"""`streamhub-db backup`: archives of the whole installation, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from streamhub_orm.archives.create import create_backup
from streamhub_orm.archives.prune import Pruned, Retention, prune_backups
from streamhub_orm.archives.stored import LATEST, list_backups, store_backup
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.cli.backup_places import PLACES, Places, from_option, local_dir_option
from streamhub_orm.cli.backup_restore import restore, undo
from streamhub_orm.cli.options import Invocation, global_options, lock_timeout_option, print_json
from streamhub_orm.cli.output import print_table, progress_bar
from streamhub_orm.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.create import Created


@click.group
@global_options
def backup() -> None:
    """Back the whole installation up into one archive, and restore it.

    The variables BACKUP_DATA_DIR, BACKUP_LOCAL_DIR, BACKUP_RETENTION_DAYS and BACKUP_S3_BUCKET,
    _ENDPOINT, _PREFIX, _REGION, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY say where to and how long.
    """


backup.add_command(restore)
backup.add_command(undo)


@dataclass(frozen=True)
class _Outcome:
    """What `backup create` did."""

    created: Created
    stored: str | None
    error: str | None

    @property
    def ok(self) -> bool:
        return self.error is None and self.created.complete

    def to_json(self) -> dict[str, Any]:
        manifest = self.created.manifest
        return {
            "ok": self.ok,
            "error": self.error,
            "archive": str(self.created.archive),
            "complete": self.created.complete,
            "bytes": self.created.archive.stat().st_size,
            "files": len(manifest.files),
            "reused": self.created.reused,
            "failures": manifest.failures,
            "stored": self.stored,
        }


@backup.command
@local_dir_option
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
    settings: Invocation,
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
    places = Places.find(settings, local_dir)
    uploading = upload if upload is not None else places.settings.s3 is not None
    if uploading:
        places.get_bucket()  # refused now rather than once the archive is there
    with progress_bar(shown=settings.verbosity >= 0 and not settings.json) as progress:
        created = create_backup(
            places.data_dir,
            places.folder,
            jobs=jobs,
            incremental=not full,
            lock_timeout_seconds=lock_timeout,
            progress=progress,
        )
    outcome = _Outcome(created, None, None)
    if uploading:
        outcome = _upload(places, created, no_clobber=no_clobber)
    _print_created(settings, outcome)
    return 0 if outcome.ok else 1


def _upload(places: Places, created: Created, *, no_clobber: bool) -> _Outcome:
    try:
        with places.opened("s3") as store:
            stored = store_backup(store, created.archive, no_clobber=no_clobber)
            return _Outcome(created, f"{store.name}/{stored.key}", None)
    except StorageError as error:
        return _Outcome(created, None, str(error))


def _print_created(settings: Invocation, outcome: _Outcome) -> None:
    document = outcome.to_json()
    if settings.json:
        print_json(document)
    elif settings.verbosity >= 0:
        click.echo(
            f"{document['archive']}: {document['files']} files, {document['reused']} of them "
            f"unchanged, {document['bytes']} bytes"
        )
        if outcome.stored is not None:
            click.echo(f"stored as {outcome.stored}")
    for name, reason in outcome.created.manifest.failures.items():
        click.echo(f"Error: {name} is not in the backup: {reason}", err=True)
    if outcome.error is not None:
        click.echo(f"Error: not stored in the bucket: {outcome.error}", err=True)


@backup.command("list")
@local_dir_option
@global_options
@click.pass_obj
def list_(settings: Invocation, local_dir: Path | None) -> int:
    """List the backups in the folder and, where one is named, in the bucket; the newest first."""
    places = Places.find(settings, local_dir)
    found, error = _listed(places)
    if settings.json:
        folder = str(places.folder)
        print_json({"ok": error is None, "error": error, "folder": folder, "backups": found})
    elif found:
        columns = ("place", "name", "taken_at", "complete", "bytes")
        print_table(columns, [[each[column] for column in columns] for each in found])
    elif error is None:
        click.echo(f"no backups in {places.folder}")
    if error is not None:
        click.echo(f"Error: {error}", err=True)
    return 0 if error is None else 1


def _listed(places: Places) -> tuple[list[dict[str, Any]], str | None]:
    """Return the backups of each place, and why those of a place are not among them."""
    found, errors = [], []
    for place in places.names:
        if place == "local" and not places.folder.is_dir():
            continue
        try:
            with places.opened(place) as store:
                found += [{"place": place, **each.to_json()} for each in list_backups(store)]
        except StorageError as error:
            errors.append(str(error))
    return found, "; ".join(errors) or None


@backup.command
@click.argument("name", default=LATEST)
@from_option
@local_dir_option
@global_options
@click.pass_obj
def verify(settings: Invocation, name: str, place: str, local_dir: Path | None) -> int:
    """Read a backup to its end: checksums, integrity of every database, row counts, revisions.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    with Places.find(settings, local_dir).archive(place, name) as archive:
        found = verify_archive(archive)
    if settings.json:
        print_json(found.to_json())
    elif settings.verbosity >= 0:
        manifest = "" if found.manifest else "; it has no manifest, so no checksums to compare"
        click.echo(
            f"{found.archive.name}: {found.files} files, {found.databases} databases, "
            f"{found.rows} rows{manifest}"
        )
        if not found.complete:
            click.echo("It is incomplete: not every database was backed up.")
        click.echo("Every file is good." if found.ok else f"{len(found.faults)} faults.")
    for fault in found.faults:
        click.echo(f"Error: {found.archive}: {fault}", err=True)
    return 0 if found.ok else 1


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
    type=click.Choice([*PLACES, "all"]),
    default="all",
    show_default=True,
    help="Where to prune; s3 is the bucket of BACKUP_S3_BUCKET.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@local_dir_option
@global_options
@click.pass_obj
def prune(  # noqa: PLR0913 - one parameter for each option
    settings: Invocation,
    keep_days: int | None,
    keep: int | None,
    place: str,
    local_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Remove old backups; the newest good one always stays."""
    places = Places.find(settings, local_dir)
    days = places.settings.retention_days if keep_days is None else keep_days
    chosen = places.names if place == "all" else (place,)
    done = _pruned(places, chosen, Retention(days, keep), dry_run=dry_run)
    ok = not any(pruned.failed or pruned.error for pruned in done)
    if settings.json:
        places_json = [pruned.to_json() for pruned in done]
        print_json({"ok": ok, "dry_run": dry_run, "places": places_json})
    elif settings.verbosity >= 0:
        for pruned in done:
            _print_pruned(pruned, dry_run=dry_run)
    for pruned in done:
        for key, reason in pruned.failed.items():
            click.echo(f"Error: {key} stays: {reason}", err=True)
        if pruned.error is not None:
            click.echo(f"Error: {pruned.error}", err=True)
    return 0 if ok else 1


def _pruned(
    places: Places, chosen: tuple[str, ...], retention: Retention, *, dry_run: bool
) -> list[Pruned]:
    """Prune each place, whatever is wrong with another; where all of them fail, raise."""
    done: list[Pruned] = []
    faults: list[StorageError] = []
    for each in chosen:
        if each == "local" and not places.folder.is_dir():
            continue
        try:
            with places.opened(each) as store:
                done.append(prune_backups(store, retention, dry_run=dry_run))
        except StorageError as error:
            faults.append(error)
            done.append(Pruned(each, error=str(error)))
    if faults and len(faults) == len(done):
        raise faults[0]
    return done


def _print_pruned(pruned: Pruned, *, dry_run: bool) -> None:
    if pruned.error is not None:
        return
    for name in pruned.removed:
        click.echo(f"{'would remove' if dry_run else 'removed'} {name}")
    reason = "" if pruned.good else "; none of them is good, so all stay"
    click.echo(f"{pruned.place}: {pruned.kept} kept{reason}")

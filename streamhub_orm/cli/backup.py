"""`streamhub-db backup`: archives of the whole installation, made, listed, watched and pruned."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - click reads the annotations of options
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING

import click

from streamhub_orm.archives import (
    check_freshness,
    create_archive,
    list_archives,
    prune_archives,
    upload_archive,
)
from streamhub_orm.archives.retention import Retention
from streamhub_orm.archives.stored import LATEST
from streamhub_orm.cli.backup_options import (
    find_places,
    identity_option,
    local_dir_option,
    place_option,
    print_errors,
    print_outcome,
)
from streamhub_orm.cli.backup_reading import diff, show, verify
from streamhub_orm.cli.backup_restoring import drill, restore, undo
from streamhub_orm.cli.lists import print_totals
from streamhub_orm.cli.options import Duration, Invocation, global_options, lock_timeout_option
from streamhub_orm.cli.output import echo, print_json, progress_bar, warn
from streamhub_orm.cli.tables import print_table
from streamhub_orm.readable import in_bytes, in_time
from streamhub_orm.schema import utc_now
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    from streamhub_orm.archives.create import Created
    from streamhub_orm.archives.places import Listing
    from streamhub_orm.archives.prune import Pruned

_no_clobber_option = click.option(
    "--no-clobber/--clobber",
    default=True,
    show_default=True,
    help="Whether an object of the same name in the bucket stays.",
)


@click.group
@global_options
def backup() -> None:
    """Back the whole installation up into one archive, and restore it.

    The variables BACKUP_DATA_DIR, BACKUP_LOCAL_DIR, BACKUP_RETENTION_DAYS and BACKUP_S3_BUCKET,
    _ENDPOINT, _PREFIX, _REGION, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY say where to and how long,
    BACKUP_AGE_RECIPIENTS and BACKUP_AGE_IDENTITY for whom it is encrypted and what opens it.
    """


for command in (verify, show, diff, restore, undo, drill):
    backup.add_command(command)


@backup.command
@local_dir_option
@click.option("--jobs", type=click.IntRange(min=1), help="Files at once; default: one per core.")
@click.option("--full", is_flag=True, help="Read every file, also those surely unchanged.")
@click.option(
    "--pg-dump",
    is_flag=True,
    help="Add the server's own dump of the global database, for pg_restore.",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt it for this public key of age or SSH; repeatable. Else BACKUP_AGE_RECIPIENTS.",
)
@click.option(
    "--upload/--no-upload",
    default=None,
    help="Store the archive in the bucket too; default: where BACKUP_S3_BUCKET is set.",
)
@_no_clobber_option
@lock_timeout_option
@global_options
@click.pass_obj
def create(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    local_dir: Path | None,
    jobs: int | None,
    recipients: tuple[str, ...],
    lock_timeout: float,
    *,
    full: bool,
    pg_dump: bool,
    upload: bool | None,
    no_clobber: bool,
) -> int:
    """Back up every database, secrets.json and each config.yaml into one verified archive.

    The server may run. Files that are surely unchanged since the newest archive are taken from it.
    """
    if pg_dump and ServerUrl.load() is None:
        message = "--pg-dump is for a global database on a server."
        raise click.UsageError(message)
    places = find_places(invocation, local_dir, recipients=recipients)
    bucket = places.upload_bucket(wanted=upload)
    with progress_bar(shown=not invocation.json) as progress:
        created = create_archive(
            places.data_dir,
            places.folder,
            bucket=bucket,
            no_clobber=no_clobber,
            recipients=places.recipients,
            jobs=jobs,
            incremental=not full,
            pg_dump=pg_dump,
            lock_timeout_seconds=lock_timeout,
            progress=progress,
        )
    _print_created(invocation, created)
    return 0 if created.ok else 1


@backup.command
@click.argument("name", default=LATEST)
@local_dir_option
@_no_clobber_option
@global_options
@click.pass_obj
def upload(invocation: Invocation, name: str, local_dir: Path | None, *, no_clobber: bool) -> None:
    """Store a backup of the folder in the bucket, as after an upload that failed.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    stored = upload_archive(find_places(invocation, local_dir), name, no_clobber=no_clobber)
    print_outcome(invocation, {"ok": True, "stored": stored}, [f"stored as {stored}"], [])


@backup.command("list")
@local_dir_option
@global_options
@click.pass_obj
def list_(invocation: Invocation, local_dir: Path | None) -> int:
    """List the backups in the folder and, where one is named, in the bucket; the newest first."""
    listing = list_archives(find_places(invocation, local_dir))
    _print_listing(invocation, listing)
    return 0 if listing.error is None else 1


@backup.command
@click.option(
    "--max-age",
    type=Duration(),
    metavar="AGE",
    help="Fail where the newest complete backup is older: 26h, 2d.",
)
@click.option("--verify", is_flag=True, help="Read the newest local one to its end as well.")
@place_option
@local_dir_option
@identity_option
@global_options
@click.pass_obj
def check(  # noqa: PLR0913 - one parameter for each option
    invocation: Invocation,
    max_age: timedelta | None,
    place: str,
    local_dir: Path | None,
    identity: Path | None,
    *,
    verify: bool,
) -> int:
    """Tell whether each place has a backup that is young enough; for monitoring.

    Exit status 1 where one has none, or an old or damaged one.
    """
    places = find_places(invocation, local_dir, identity=identity)
    found = check_freshness(places, place=place, max_age=max_age, verify=verify)
    lines, errors = [], []
    for each in found:
        if each.error is not None:
            errors.append(f"{each.place}: {each.error}")
        else:
            lines.append(f"{each.place}: {each.in_words()}")
    document = {
        "ok": not errors,
        "max_age_seconds": None if max_age is None else int(max_age.total_seconds()),
        "items": [each.to_json() for each in found],
    }
    print_outcome(invocation, document, lines, errors)
    return 1 if errors else 0


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
    "--keep-within", type=Duration(), metavar="AGE", help="All of this last time stay: 36h, 14d."
)
@click.option(
    "--keep-daily", type=click.IntRange(min=1), metavar="N", help="One of each of N days stays."
)
@click.option(
    "--keep-weekly", type=click.IntRange(min=1), metavar="N", help="One of each of N weeks stays."
)
@click.option(
    "--keep-monthly", type=click.IntRange(min=1), metavar="N", help="One of each of N months stays."
)
@place_option
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@local_dir_option
@identity_option
@global_options
@click.pass_obj
def prune(  # noqa: PLR0913, PLR0917 - one parameter for each option
    invocation: Invocation,
    keep_days: int | None,
    keep: int | None,
    keep_within: timedelta | None,
    keep_daily: int | None,
    keep_weekly: int | None,
    keep_monthly: int | None,
    place: str,
    local_dir: Path | None,
    identity: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Remove old backups; the newest good one always stays.

    With one of --keep-within, -daily, -weekly and -monthly, what any of them or --keep wants stays.
    """
    places = find_places(invocation, local_dir, identity=identity)
    periods = (keep_within, keep_daily, keep_weekly, keep_monthly)
    if keep_days is not None and any(periods):
        message = "--keep-days is a limit and does not go with rules: say --keep-within instead."
        raise click.UsageError(message)
    retention = Retention(
        places.retention_days if keep_days is None else keep_days,
        keep,
        keep_within,
        keep_daily or 0,
        keep_weekly or 0,
        keep_monthly or 0,
    )
    pruned = prune_archives(places, place=place, retention=retention, dry_run=dry_run)
    _print_pruned(invocation, pruned, dry_run=dry_run)
    return 0 if all(each.ok for each in pruned) else 1


def _print_created(invocation: Invocation, created: Created) -> None:
    document = created.to_json()
    counts = f"{document['files']} files, {document['reused']} of them unchanged"
    lines = [f"{created.archive}: {counts}, {in_bytes(document['bytes'])}"]
    empty = created.left_out
    lines += [f"warning: {name} is left out: it has no table" for name in empty]
    if created.stored is not None:
        lines.append(f"stored as {created.stored}")
    failures = created.manifest.failures.items()
    errors = [f"{name} is not in the backup: {reason}" for name, reason in failures]
    if created.error is not None:
        again = f"streamhub-db backup upload {created.archive.name}"
        errors.append(f"not stored in the bucket: {created.error} Once that is cured: {again}")
    print_outcome(invocation, document, lines, errors)


def _print_listing(invocation: Invocation, listing: Listing) -> None:
    if invocation.json:
        print_json(listing.to_json())
    elif listing.archives:
        for line in _suspected([str(it.name) for _, it in listing.archives if it.is_suspect]):
            warn(line)
        now = utc_now()
        rows = [
            (
                place,
                it.name,
                f"{in_time(now - it.name.taken_at)} ago",
                in_bytes(it.size_bytes),
                "yes" if it.name.complete else "no",
            )
            for place, it in listing.archives
        ]
        print_table(("place", "name", "age", "size", "complete"), rows)
        size = sum(it.size_bytes for _, it in listing.archives)
        print_totals("backup", None, len(listing.archives), size_bytes=size)
    elif listing.error is None:
        echo(f"no backups in {listing.folder}")
    print_errors([listing.error] if listing.error is not None else [])


def _suspected(names: list[str]) -> list[str]:
    what = "its name is from the future, so a clock was wrong; it counts as the oldest, and stays"
    return [f"warning: {name}: {what}" for name in names]


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
    print_outcome(invocation, {"ok": ok, "dry_run": dry_run, "places": documents}, lines, errors)

"""`streamhub-db backup verify`, `show` and `diff`: what is in an archive."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click reads the annotations of options
from typing import TYPE_CHECKING

import click

from streamhub_orm.archives import verify_archive
from streamhub_orm.archives.contents import compare_manifests, manifest_json, read_manifest
from streamhub_orm.archives.stored import LATEST
from streamhub_orm.cli.backup_options import (
    find_places,
    from_option,
    identity_option,
    local_dir_option,
    print_outcome,
)
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.tables import print_table

if TYPE_CHECKING:
    from streamhub_orm.archives.verify import Verified


@click.command
@click.argument("name", default=LATEST)
@from_option
@local_dir_option
@identity_option
@global_options
@click.pass_obj
def verify(
    invocation: Invocation,
    name: str,
    place: str,
    local_dir: Path | None,
    identity: Path | None,
) -> int:
    """Read a backup to its end: checksums, integrity of every database, row counts, revisions.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    with find_places(invocation, local_dir, identity=identity).archive(place, name) as archive:
        verified = verify_archive(archive.path)
    verified.archive = archive.address
    _print_verified(invocation, verified)
    return 0 if verified.ok else 1


@click.command
@click.argument("name", default=LATEST)
@from_option
@local_dir_option
@identity_option
@global_options
@click.pass_obj
def show(
    invocation: Invocation,
    name: str,
    place: str,
    local_dir: Path | None,
    identity: Path | None,
) -> None:
    """Show what a backup holds, by its manifest: files, sizes, revisions, rows.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    places = find_places(invocation, local_dir, identity=identity)
    with places.archive(place, name, allow_incomplete=True) as archive:
        document = manifest_json(read_manifest(archive.path))
    items = document["items"]
    if not invocation.json and invocation.verbosity >= 0:
        columns = ("name", "bytes", "revision", "rows")
        print_table(columns, [_row(item) for item in items])
    totals = f"{len(items)} files, {sum(item['bytes'] for item in items)} bytes"
    line = f"{archive.address}: {totals}; made {document['created_at']} by {document['release']}"
    failures = [f"{name} is not in it: {reason}" for name, reason in document["failures"].items()]
    print_outcome(
        invocation, {"ok": True, "archive": archive.address, **document}, [line, *failures], []
    )


def _row(item: dict[str, object]) -> list[object]:
    rows = item["rows"]
    total = sum(rows.values()) if isinstance(rows, dict) else None
    return [item["name"], item["bytes"], item["revision"], total]


@click.command
@click.argument("before")
@click.argument("after", default=LATEST)
@from_option
@local_dir_option
@identity_option
@global_options
@click.pass_obj
def diff(  # noqa: PLR0913, PLR0917 - one parameter for each option
    invocation: Invocation,
    before: str,
    after: str,
    place: str,
    local_dir: Path | None,
    identity: Path | None,
) -> None:
    """Compare two backups by their manifests: databases that came, went or changed, and their rows.

    BEFORE and AFTER are names of backups, paths, or `latest` (the default of AFTER).
    """
    places = find_places(invocation, local_dir, identity=identity)
    with places.archive(place, before, allow_incomplete=True) as first:
        old = read_manifest(first.path)
    with places.archive(place, after, allow_incomplete=True) as second:
        new = read_manifest(second.path)
    found = compare_manifests(old, new)
    document = {
        "ok": True,
        "before": first.address,
        "after": second.address,
        "items": [each.to_json() for each in found],
        "unchanged": len(new.files) - sum(each.change != "removed" for each in found),
    }
    lines = []
    for each in found:
        rows = ", ".join(f"{name} {a} -> {b}" for name, (a, b) in each.rows.items())
        lines.append(f"{each.change} {each.name}{f': {rows}' if rows else ''}")
    lines.append(f"{document['unchanged']} files are the same in both")
    print_outcome(invocation, document, lines, [])


def _print_verified(invocation: Invocation, verified: Verified) -> None:
    manifest = "" if verified.manifest else "; it has no manifest, so no checksums to compare"
    counts = f"{verified.files} files, {verified.databases} databases, {verified.rows} rows"
    lines = [f"{verified.archive}: {counts}{manifest}"]
    if not verified.complete:
        lines.append("It is incomplete: not every database was backed up.")
    lines += [f"warning: it lacks {name}" for name in verified.lacks]
    lines.append("Every file is good." if verified.ok else f"{len(verified.faults)} faults.")
    errors = [f"{verified.archive}: {fault}" for fault in verified.faults]
    print_outcome(invocation, verified.to_json(), lines, errors)

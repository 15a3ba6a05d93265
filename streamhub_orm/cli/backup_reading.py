"""`streamhub-db backup verify`, `show` and `diff`: what is in an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.archives.contents import compare_manifests, read_contents
from streamhub_orm.archives.stored import LATEST
from streamhub_orm.archives.verify import verify_stored
from streamhub_orm.cli.backup_options import find_places, print_outcome, reading_options
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import progress_bar
from streamhub_orm.cli.tables import print_table
from streamhub_orm.readable import in_bytes

if TYPE_CHECKING:
    from typing import Unpack

    from streamhub_orm.archives.verify import Verified
    from streamhub_orm.cli.backup_options import Where


@click.command
@click.argument("name", default=LATEST)
@reading_options
@global_options
@click.pass_obj
def verify(invocation: Invocation, name: str, source: str, **where: Unpack[Where]) -> int:
    """Read a backup to its end: checksums, integrity of every database, row counts, revisions.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    places = find_places(invocation, **where)
    with progress_bar(shown=not invocation.json) as progress:
        verified = verify_stored(places, name, source=source, progress=progress)
    _print_verified(invocation, verified)
    return 0 if verified.ok else 1


@click.command
@click.argument("name", default=LATEST)
@reading_options
@global_options
@click.pass_obj
def show(invocation: Invocation, name: str, source: str, **where: Unpack[Where]) -> None:
    """Show what a backup holds, by its manifest: files, sizes, revisions, rows.

    NAME is that of a backup, a path, or `latest` (the default).
    """
    found = read_contents(find_places(invocation, **where), name, source=source)
    manifest = found.manifest
    if not invocation.json:
        rows = [
            (
                it.name,
                in_bytes(it.bytes),
                it.revision,
                None if it.rows is None else sum(it.rows.values()),
            )
            for it in manifest.files
        ]
        print_table(("name", "size", "revision", "rows"), rows)
    size = in_bytes(sum(it.bytes for it in manifest.files))
    totals = f"{len(manifest.files)} files, {size}"
    line = f"{found.address}: {totals}; made {manifest.created_at} by {manifest.release}"
    failures = [f"{path} is not in it: {reason}" for path, reason in manifest.failures.items()]
    print_outcome(invocation, found.to_json(), [line, *failures], [])


@click.command
@click.argument("before")
@click.argument("after", default=LATEST)
@reading_options
@global_options
@click.pass_obj
def diff(
    invocation: Invocation, before: str, after: str, source: str, **where: Unpack[Where]
) -> None:
    """Compare two backups by their manifests: databases that came, went or changed, and their rows.

    BEFORE and AFTER are names of backups, paths, or `latest` (the default of AFTER).
    """
    places = find_places(invocation, **where)
    first = read_contents(places, before, source=source)
    second = read_contents(places, after, source=source)
    found = compare_manifests(first.manifest, second.manifest)
    unchanged = len(second.manifest.files) - sum(each.change != "removed" for each in found)
    document = {
        "ok": True,
        "before": first.address,
        "after": second.address,
        "items": [each.to_json() for each in found],
        "unchanged": unchanged,
    }
    lines = []
    for each in found:
        rows = ", ".join(f"{name} {a} -> {b}" for name, (a, b) in each.rows.items())
        lines.append(f"{each.change} {each.name}{f': {rows}' if rows else ''}")
    print_outcome(invocation, document, [*lines, f"{unchanged} files are the same in both"], [])


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

"""Contents of archives by their manifests: what one holds, and how two differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamhub_orm.archives.format import load_manifest
from streamhub_orm.archives.places import LOCAL
from streamhub_orm.errors import UnusableArchiveError

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.format import Manifest
    from streamhub_orm.archives.places import Places


@dataclass(frozen=True)
class Contents:
    """Contents of one archive, by its manifest."""

    address: str
    """Path or URL of the archive."""
    manifest: Manifest

    def to_json(self) -> dict[str, Any]:
        """Return the document of `backup show --json`; no checksum, no place on the disk."""
        manifest = self.manifest
        return {
            "ok": True,
            "archive": self.address,
            "created_at": manifest.created_at,
            "release": manifest.release,
            "complete": not manifest.failures,
            "failures": manifest.failures,
            "items": [
                {
                    "name": entry.name,
                    "bytes": entry.bytes,
                    "packed_bytes": entry.packed_bytes,
                    "revision": entry.revision,
                    "rows": entry.rows,
                }
                for entry in manifest.files
            ],
        }


def read_contents(places: Places, name: str, *, source: str = LOCAL) -> Contents:
    """Read the manifest of an archive, complete or not: by its name, a path, or `latest`.

    Raises what `read_manifest` and `Places.archive` raise.
    """
    with places.archive(source, name, allow_incomplete=True) as archive:
        return Contents(archive.address, read_manifest(archive.path))


def read_manifest(archive: Path) -> Manifest:
    """Return the manifest; raises `UnusableArchiveError` for an archive without one."""
    manifest = load_manifest(archive)
    if manifest is None:
        raise UnusableArchiveError(
            archive,
            "no manifest at its end",
            "one, as `backup create` writes it",
            "It was made by a script, or is cut off: `streamhub-db backup verify` reads it whole.",
        )
    return manifest


@dataclass(frozen=True)
class Difference:
    """One file that two archives do not hold alike."""

    name: str
    change: str
    """`added`, `removed` or `changed`."""
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows before and after, of the tables whose number differs."""

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `backup diff --json` prints."""
        rows = {table: {"before": a, "after": b} for table, (a, b) in self.rows.items()}
        return {"name": self.name, "change": self.change, "rows": rows}


def compare_manifests(before: Manifest, after: Manifest) -> list[Difference]:
    """Return the files that differ between two archives, by name."""
    old, new = before.entries, after.entries
    found = []
    for name in sorted(old.keys() | new.keys()):
        first, second = old.get(name), new.get(name)
        if first is not None and second is not None and first.sha256 == second.sha256:
            continue
        rows_then = (first and first.rows) or {}
        rows_now = (second and second.rows) or {}
        tables = sorted(rows_then.keys() | rows_now.keys())
        pairs = {table: (rows_then.get(table, 0), rows_now.get(table, 0)) for table in tables}
        changed = {table: pair for table, pair in pairs.items() if pair[0] != pair[1]}
        change = "added" if first is None else "removed" if second is None else "changed"
        found.append(Difference(name, change, changed))
    return found

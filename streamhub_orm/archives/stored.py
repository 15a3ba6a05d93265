"""Archives in one store: listed, found by name, and put there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.errors import NoSuchBackupError, UnusableArchiveError
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from streamhub_orm.storage import ObjectStore

LATEST: Final = "latest"
"""Stands for the newest complete archive."""
_TOLERANCE: Final = timedelta(minutes=5)
"""How far two clocks that are set right may differ."""


@dataclass(frozen=True)
class StoredArchive:
    """One archive in a place."""

    name: ArchiveName
    key: str
    """The whole key in the store."""
    size_bytes: int
    modified_at: datetime
    """Time at which the store got it, by the store's clock."""

    @property
    def is_suspect(self) -> bool:
        """True where its name is from the future: of this clock, or of the store's at that time.

        The clock was ahead when it was made, so its name does not tell how old it is.
        """
        return self.name.taken_at - _TOLERANCE > min(utc_now(), self.modified_at)

    def to_json(self) -> dict[str, Any]:
        """Return its part of an entry of what `backup list --json` prints."""
        return {
            "name": str(self.name),
            "taken_at": self.name.taken_at.isoformat(),
            "complete": self.name.complete,
            "encrypted": self.name.encrypted,
            "suspect": self.is_suspect,
            "bytes": self.size_bytes,
        }


def archives_in(store: ObjectStore) -> list[StoredArchive]:
    """Return the archives in a store, the newest first; whatever else is there is left out.

    Suspect ones come last, since nobody knows how old they are.
    """
    found = []
    for stored in store.iter_objects():
        folder, _, name = stored.key.rpartition("/")
        parsed = ArchiveName.parse(name)
        # Not in a folder of the store's: what lies deeper is somebody else's.
        if parsed is not None and folder == store.prefix:
            found.append(StoredArchive(parsed, stored.key, stored.size_bytes, stored.modified_at))
    return sorted(found, key=lambda each: (not each.is_suspect, each.name), reverse=True)


def newest_of(archives: Iterable[StoredArchive]) -> StoredArchive | None:
    """Return the newest complete archive of a list with the newest first; no suspect one."""
    return next((it for it in archives if it.name.complete and not it.is_suspect), None)


def get_archive(store: ObjectStore, name: str, *, allow_incomplete: bool = False) -> StoredArchive:
    """Return the archive of a name, or the newest complete one for `latest`; a suspect one last.

    With `allow_incomplete`, `latest` is the newest one, complete or not. Raises
    `NoSuchBackupError`.
    """
    archives = archives_in(store)
    for archive in archives:
        usable = archive.name.complete or allow_incomplete
        if name == str(archive.name) or (name == LATEST and usable):
            return archive
    wanted = "complete backup" if name == LATEST else f"backup {name!r}"
    raise NoSuchBackupError(wanted, store.name, [str(archive.name) for archive in archives])


def store_archive(store: ObjectStore, archive: Path, *, no_clobber: bool = True) -> StoredArchive:
    """Put an archive into a store, whole and checked by its SHA-256, or not at all.

    With `no_clobber` one of the same name stays: `ObjectExistsError`.
    """
    name = ArchiveName.parse(archive.name)
    if name is None:
        raise UnusableArchiveError(
            archive,
            "a name of another form",
            "streamhub-backup-<UTC>.tar.gz or .tar.gz.age",
            "Rename the file.",
        )
    # The whole key: by the rule for keys, a name that began with the prefix would not get it.
    key = f"{store.prefix}/{name}" if store.prefix else str(name)
    stored = store.put(archive, key, no_clobber=no_clobber)
    return StoredArchive(name, stored.key, stored.size_bytes, stored.modified_at)

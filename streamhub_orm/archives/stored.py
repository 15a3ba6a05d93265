"""The backups that lie in a place: a folder or a bucket, both an object store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.errors import NoSuchBackupError, UnusableArchiveError
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.storage import ObjectStore

LATEST: Final = "latest"
"""What stands for the newest complete backup."""


@dataclass(frozen=True)
class StoredBackup:
    """One archive in a place."""

    name: ArchiveName
    key: str
    """The whole key in the store."""
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `backup list --json` prints."""
        return {
            "name": str(self.name),
            "taken_at": self.name.taken_at.isoformat(),
            "complete": self.name.complete,
            "bytes": self.size_bytes,
        }


def list_backups(store: ObjectStore) -> list[StoredBackup]:
    """Return the backups in a store, the newest first; whatever else is there is left out."""
    found = []
    for stored in store.iter_objects():
        folder, _, name = stored.key.rpartition("/")
        parsed = ArchiveName.parse(name)
        # Not in a folder of the store's: what lies deeper is somebody else's.
        if parsed is not None and folder == store.prefix:
            found.append(StoredBackup(parsed, stored.key, stored.size_bytes))
    return sorted(found, key=lambda each: each.name, reverse=True)


def get_backup(store: ObjectStore, name: str, *, allow_incomplete: bool = False) -> StoredBackup:
    """Return the backup of a name, or the newest complete one for `latest`.

    With `allow_incomplete`, `latest` is the newest one, complete or not. Raises
    `NoSuchBackupError`.
    """
    backups = list_backups(store)
    for backup in backups:
        usable = backup.name.complete or allow_incomplete
        if name == str(backup.name) or (name == LATEST and usable):
            return backup
    wanted = "complete backup" if name == LATEST else f"backup {name!r}"
    raise NoSuchBackupError(wanted, store.name, [str(backup.name) for backup in backups])


def store_backup(store: ObjectStore, archive: Path, *, no_clobber: bool = True) -> StoredBackup:
    """Put an archive into a store, whole and checked by its SHA-256, or not at all.

    With `no_clobber` one of the same name stays: `ObjectExistsError`.
    """
    name = ArchiveName.parse(archive.name)
    if name is None:
        raise UnusableArchiveError(
            archive, "a name of another form", "streamhub-backup-<UTC>.tar.gz", "Rename the file."
        )
    # The whole key: by the rule for keys, a name that began with the prefix would not get it.
    key = f"{store.prefix}/{name}" if store.prefix else str(name)
    stored = store.put(archive, key, no_clobber=no_clobber)
    return StoredBackup(name, stored.key, stored.size_bytes)


@contextmanager
def as_file(store: ObjectStore, backup: StoredBackup, scratch: Path | None) -> Iterator[Path]:
    """Yield an archive as a file: itself in a folder, else a copy that is fetched to `scratch`."""
    if isinstance(store, LocalStore):
        yield store.folder / backup.key
        return
    with TemporaryDirectory(prefix="streamhub-fetch-", dir=scratch) as folder:
        path = Path(folder) / str(backup.name)
        store.get(backup.key, path)
        yield path

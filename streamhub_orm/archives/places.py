"""Places of archives: a folder of this machine and, where one is named, a bucket."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import (
    EnvironmentSettingError,
    NoSuchBackupError,
    StorageError,
    UnusableArchiveError,
)
from streamhub_orm.owner import as_operator, scratch_folder
from streamhub_orm.schema import utc_now
from streamhub_orm.settings import ArchiveSettings
from streamhub_orm.storage import LocalStore, open_s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import ObjectStore

Outcome = TypeVar("Outcome")

LOCAL: Final = "local"
PLACES: Final = (LOCAL, "s3")
ALL: Final = "all"
"""Stands for every place that there is."""
LATEST: Final = "latest"
"""Stands for the newest complete archive."""
_TOLERANCE: Final = timedelta(minutes=5)
"""How far two clocks that are set right may differ."""
_DEFAULT_FOLDER: Final = "backups"
_BUCKET: Final = "BACKUP_S3_BUCKET"


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
            "suspect": self.is_suspect,
            "bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Places:
    """An installation, the folder of its archives and the bucket."""

    data_dir: Path
    folder: Path
    bucket: S3Settings | None
    retention_days: int

    @classmethod
    def find(cls, data_dir: Path | None, default_dir: Path, folder: Path | None) -> Places:
        """Complete what is given by the BACKUP_* variables of the environment.

        The installation is `data_dir`, else BACKUP_DATA_DIR, else `default_dir`; the folder is
        `folder`, else BACKUP_LOCAL_DIR, else `backups` in the installation. Raises
        `EnvironmentSettingError`.
        """
        found = ArchiveSettings.load()
        root = (data_dir or found.data_dir or default_dir).absolute()
        folder = folder or found.local_dir or root / _DEFAULT_FOLDER
        folder = folder.absolute()
        DataDir(root, root).require_no_link(folder)
        return cls(root, folder, found.s3, found.retention_days)

    def get_bucket(self) -> S3Settings:
        """Return the bucket; raises `EnvironmentSettingError` where none is named."""
        if self.bucket is None:
            expected = "the bucket that --from s3, --place s3 and --upload mean"
            raise EnvironmentSettingError(_BUCKET, "nothing", expected)
        return self.bucket

    def upload_bucket(self, *, wanted: bool | None) -> S3Settings | None:
        """Return the bucket that new archives go to; where nothing is `wanted`, if one is named."""
        if wanted is None:
            return self.bucket
        return self.get_bucket() if wanted else None

    @contextmanager
    def opened(self, place: str) -> Iterator[ObjectStore]:
        """Open the store of a place; a folder that is not there yet holds no archives."""
        if place == LOCAL:
            with as_operator(self.folder):
                yield LocalStore(self.folder)
        else:
            with open_s3_store(self.get_bucket()) as store:
                yield store

    def in_each(
        self, work: Callable[[ObjectStore], Outcome], place: str = ALL
    ) -> dict[str, Outcome | StorageError]:
        """Do the same in each place, or in one; the error of one place does not stop the next.

        A folder that does not exist is passed over.
        """
        outcomes: dict[str, Outcome | StorageError] = {}
        there = PLACES if self.bucket else (LOCAL,)
        for each in there if place == ALL else (place,):
            if each == LOCAL and not self._has_folder():
                continue
            try:
                with self.opened(each) as store:
                    outcomes[each] = work(store)
            except StorageError as error:
                outcomes[each] = error
        return outcomes

    @contextmanager
    def archive(self, place: str, name: str, *, allow_incomplete: bool = False) -> Iterator[Path]:
        """Yield an archive as a file: by its name, by `latest`, or by a path of its own.

        One from the bucket is fetched, and removed at the end. Raises `NoSuchBackupError` or a
        `StorageError`; a path is not looked at.
        """
        if place == LOCAL and not self._has_folder() and name == LATEST:
            wanted = "complete backup"
            raise NoSuchBackupError(wanted, str(self.folder), [])
        if place == LOCAL and ("/" in name or not self._has_folder()):
            yield self._named(name)
        elif place == LOCAL:
            with self.opened(place) as store:
                found = get_archive(store, name, allow_incomplete=allow_incomplete)
            yield self.folder / found.key
        else:
            with scratch_folder("fetch") as folder:
                with self.opened(place) as store:
                    found = get_archive(store, name, allow_incomplete=allow_incomplete)
                    store.get(found.key, folder / str(found.name))
                yield folder / str(found.name)

    def _named(self, name: str) -> Path:
        """Return the archive at a path; a link to it is followed outside of the installation."""
        path = Path(name).absolute()
        if path.is_relative_to(self.data_dir):
            return path
        with as_operator(path):
            return path.resolve()

    def _has_folder(self) -> bool:
        with as_operator(self.folder):
            return self.folder.is_dir()


@dataclass(frozen=True)
class Listing:
    """The archives of every place."""

    folder: Path
    archives: list[tuple[str, StoredArchive]]
    """Place and archive; in each place the newest first."""
    error: str | None
    """Why those of a place are not among them."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup list --json` prints."""
        return {
            "ok": self.error is None,
            "error": self.error,
            "folder": str(self.folder),
            "backups": [{"place": place, **each.to_json()} for place, each in self.archives],
        }


def list_archives(places: Places) -> Listing:
    """List the archives in the folder and in the bucket, as far as they can be reached."""
    archives, errors = [], []
    for place, found in places.in_each(archives_in).items():
        if isinstance(found, StorageError):
            errors.append(str(found))
        else:
            archives += [(place, each) for each in found]
    return Listing(places.folder, archives, "; ".join(errors) or None)


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
            archive, "a name of another form", "streamhub-backup-<UTC>.tar.gz", "Rename the file."
        )
    # The whole key: by the rule for keys, a name that began with the prefix would not get it.
    key = f"{store.prefix}/{name}" if store.prefix else str(name)
    stored = store.put(archive, key, no_clobber=no_clobber)
    return StoredArchive(name, stored.key, stored.size_bytes, stored.modified_at)

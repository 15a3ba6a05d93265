"""Places of archives: a folder of this machine and, where one is named, a bucket."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from streamhub_orm.archives.encryption import as_plain
from streamhub_orm.archives.stored import (
    LATEST,
    StoredArchive,
    archives_in,
    get_archive,
    store_archive,
)
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import (
    ArchiveError,
    EnvironmentSettingError,
    NoSuchBackupError,
    StorageError,
)
from streamhub_orm.owner import as_operator, scratch_folder
from streamhub_orm.settings import ArchiveSettings
from streamhub_orm.storage import LocalStore, open_s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import ObjectStore

Outcome = TypeVar("Outcome")

LOCAL: Final = "local"
S3: Final = "s3"
PLACES: Final = (LOCAL, S3)
ALL: Final = "all"
"""Stands for every place that there is."""
_DEFAULT_FOLDER: Final = "backups"
_READ_SECONDS: Final = 15.0
_BUCKET: Final = "BACKUP_S3_BUCKET"


@dataclass(frozen=True)
class ReadableArchive:
    """An archive as a plain file of this machine."""

    path: Path
    """The file itself, or a copy that is removed at the end."""
    address: str
    """Where the archive lies: its path, or its URL in the bucket."""

    @classmethod
    def at(cls, path: Path) -> ReadableArchive:
        """Return the archive at a path."""
        return cls(path, str(path))


@dataclass(frozen=True)
class Places:
    """An installation, the folder of its archives and the bucket."""

    data_dir: Path
    folder: Path
    bucket: S3Settings | None
    retention_days: int
    recipients: tuple[str, ...] = ()
    """Public keys that new archives are encrypted for."""
    identity: Path | None = None
    """The file whose identity opens encrypted archives."""

    @classmethod
    def find(
        cls,
        data_dir: Path | None,
        default_dir: Path,
        folder: Path | None,
        *,
        recipients: Sequence[str] = (),
        identity: Path | None = None,
    ) -> Places:
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
        return cls(
            root,
            folder,
            found.s3,
            found.retention_days,
            tuple(recipients) or found.recipients,
            identity or found.identity,
        )

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
    def opened(self, place: str, *, read_seconds: float = _READ_SECONDS) -> Iterator[ObjectStore]:
        """Open the store of a place; a folder that is not there yet holds no archives.

        One answer of a bucket is waited for `read_seconds`, at most three times.
        """
        if place == LOCAL:
            with as_operator(self.folder):
                yield LocalStore(self.folder)
        else:
            with open_s3_store(self.get_bucket(), read_seconds=read_seconds) as store:
                yield store

    def names(self, place: str = ALL) -> tuple[str, ...]:
        """Return the places that a name stands for: one, or for `all` those that there are."""
        if place != ALL:
            return (place,)
        return PLACES if self.bucket is not None else (LOCAL,)

    def in_each(
        self,
        work: Callable[[ObjectStore], Outcome],
        place: str = ALL,
        *,
        read_seconds: float = _READ_SECONDS,
    ) -> dict[str, Outcome | StorageError]:
        """Do the same in each place, or in one; the error of one place does not stop the next.

        A folder that does not exist is passed over.
        """
        outcomes: dict[str, Outcome | StorageError] = {}
        for each in self.names(place):
            if each == LOCAL and not self._has_folder():
                continue
            try:
                with self.opened(each, read_seconds=read_seconds) as store:
                    outcomes[each] = work(store)
            except StorageError as error:
                outcomes[each] = error
        return outcomes

    @contextmanager
    def archive(
        self, place: str, name: str, *, allow_incomplete: bool = False
    ) -> Iterator[ReadableArchive]:
        """Yield an archive as a file: by its name, by `latest`, or by a path of its own.

        One from the bucket is fetched, an encrypted one decrypted, and the copy removed at the end.
        An error about the copy names the archive itself. Raises `NoSuchBackupError`, a
        `StorageError` or what `decrypt` raises; a path is not looked at.
        """
        with self.stored(place, name, allow_incomplete=allow_incomplete) as stored:
            copies = [stored.path]
            try:
                with as_plain(stored.path, self.identity) as plain:
                    copies.append(plain)
                    yield ReadableArchive(plain, stored.address)
            except ArchiveError as error:
                if error.archive in copies:
                    error.archive = stored.address
                raise

    @contextmanager
    def stored(
        self, place: str, name: str, *, allow_incomplete: bool = False
    ) -> Iterator[ReadableArchive]:
        """Yield an archive as a file as it is stored, plain or encrypted; else as `archive`."""
        if place == LOCAL and not self._has_folder() and name == LATEST:
            wanted = "complete backup"
            raise NoSuchBackupError(wanted, str(self.folder), [])
        if place == LOCAL and ("/" in name or not self._has_folder()):
            yield ReadableArchive.at(self._named(name))
        elif place == LOCAL:
            with self.opened(place) as store:
                found = get_archive(store, name, allow_incomplete=allow_incomplete)
            yield ReadableArchive.at(self.folder / found.key)
        else:
            with scratch_folder("fetch") as folder:
                with self.opened(place) as store:
                    found = get_archive(store, name, allow_incomplete=allow_incomplete)
                    store.get(found.key, folder / str(found.name))
                    address = f"{store.name}/{found.key}"
                yield ReadableArchive(folder / str(found.name), address)

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


def upload_archive(places: Places, name: str, *, no_clobber: bool = True) -> str:
    """Store an archive of the folder in the bucket as it is, and return its address there.

    Raises what `Places.archive` and `store_archive` raise.
    """
    with places.stored(LOCAL, name) as archive, places.opened(S3) as store:
        stored = store_archive(store, archive.path, no_clobber=no_clobber)
        return f"{store.name}/{stored.key}"

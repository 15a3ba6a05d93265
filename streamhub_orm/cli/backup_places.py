"""Where the `backup` commands find the installation and its backups: options, then BACKUP_*."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from streamhub_orm.archives.stored import LATEST, as_file, get_backup
from streamhub_orm.errors import EnvironmentSettingError, NoSuchBackupError
from streamhub_orm.settings import BackupSettings
from streamhub_orm.storage import LocalStore, open_s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.cli.options import Invocation
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import ObjectStore

PLACES: Final = ("local", "s3")
_DEFAULT_FOLDER: Final = "backups"
_BUCKET: Final = "BACKUP_S3_BUCKET"

local_dir_option = click.option(
    "--local-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the backups; else BACKUP_LOCAL_DIR, else backups/ in the installation.",
)
from_option = click.option(
    "--from",
    "place",
    type=click.Choice(PLACES),
    default="local",
    show_default=True,
    help="Where the backup lies; s3 is the bucket of BACKUP_S3_BUCKET.",
)


@dataclass(frozen=True)
class Places:
    """The installation, the folder of its backups and the bucket."""

    data_dir: Path
    folder: Path
    settings: BackupSettings

    @classmethod
    def find(cls, settings: Invocation, local_dir: Path | None) -> Places:
        """Put options and environment together; raises `EnvironmentSettingError`."""
        found = BackupSettings.load()
        root = (settings.data_dir or found.data_dir or settings.root).absolute()
        folder = local_dir or found.local_dir or root / _DEFAULT_FOLDER
        return cls(root, folder.absolute(), found)

    @property
    def names(self) -> tuple[str, ...]:
        """The places that there are."""
        return PLACES if self.settings.s3 else PLACES[:1]

    @contextmanager
    def opened(self, place: str) -> Iterator[ObjectStore]:
        """Open the store of a place; a folder that is not there yet holds no backups."""
        if place == "local":
            yield LocalStore(self.folder)
        else:
            with open_s3_store(self.get_bucket()) as store:
                yield store

    def get_bucket(self) -> S3Settings:
        """Return where the bucket is; raises `EnvironmentSettingError` where none is named."""
        if self.settings.s3 is None:
            expected = "the bucket that --from s3, --place s3 and --upload mean"
            raise EnvironmentSettingError(_BUCKET, "nothing", expected)
        return self.settings.s3

    @contextmanager
    def archive(self, place: str, name: str, *, allow_incomplete: bool = False) -> Iterator[Path]:
        """Yield a backup as a file: by its name, by `latest`, or by a path of its own."""
        if place == "local" and not self.folder.is_dir() and name == LATEST:
            wanted = "complete backup"
            raise NoSuchBackupError(wanted, str(self.folder), [])
        if place == "local" and ("/" in name or not self.folder.is_dir()):
            yield Path(name).absolute()
            return
        with self.opened(place) as store:
            found = get_backup(store, name, allow_incomplete=allow_incomplete)
            with as_file(store, found, None) as path:
                yield path

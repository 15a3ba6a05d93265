"""Names of archives, and of the files in them.

Both are those of the archives that operators have made so far by their own scripts, so either side
restores the other's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streamhub_orm.data_dir import APP_NAME, GLOBAL_DB_NAME
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.migrations.worlds import World

MANIFEST_NAME: Final = "manifest.json"
_ARCHIVE: Final = re.compile(
    r"streamhub-backup-(\d{8}T\d{6}Z)(\.incomplete)?\.tar\.gz(\.age)?", re.ASCII
)
_TIME: Final = "%Y%m%dT%H%M%SZ"
_PART: Final = re.compile(
    rf"data/(?:{re.escape(GLOBAL_DB_NAME)}|streamhub\.dump|secrets\.json|"
    rf"apps/(?P<app>{APP_NAME.pattern})/(?P<file>app\.db|vods\.db|config\.yaml))"
)


class PartKind(StrEnum):
    """The kind of a file in an archive."""

    GLOBAL = "global"
    DUMP = "dump"
    """A dump of the server's own program beside it; it stays in the archive."""
    SECRETS = "secrets"
    APP = "app"
    LEGACY = "legacy"
    """A vods.db, from before the app had an app.db."""
    CONFIG = "config"

    @property
    def is_database(self) -> bool:
        """True where it is a SQLite file."""
        return self in {PartKind.GLOBAL, PartKind.APP, PartKind.LEGACY}

    @property
    def world(self) -> World | None:
        """The history that its file has a revision of; a vods.db never had one."""
        return {PartKind.GLOBAL: GLOBAL, PartKind.APP: APP}.get(self)


_DUMP: Final = "data/streamhub.dump"
_OF_NO_APP: Final = (PartKind.GLOBAL, PartKind.DUMP, PartKind.SECRETS)
_FILES: Final = {
    PartKind.APP: "app.db",
    PartKind.LEGACY: "vods.db",
    PartKind.CONFIG: "config.yaml",
}


@dataclass(frozen=True, order=True)
class Part:
    """One file of an installation, and its place in an archive."""

    kind: PartKind
    app: str | None = None

    @property
    def name(self) -> str:
        """The path in the archive."""
        if self.kind is PartKind.GLOBAL:
            return f"data/{GLOBAL_DB_NAME}"
        if self.kind is PartKind.DUMP:
            return _DUMP
        if self.kind is PartKind.SECRETS:
            return "data/secrets.json"
        return f"data/apps/{self.app}/{_FILES[self.kind]}"

    def path_in(self, place: DataDir) -> Path:
        """Return the path in an installation; secrets lie beside the global database.

        A dump has no place there.
        """
        assert self.kind is not PartKind.DUMP  # noqa: S101 - nothing puts it there
        if self.kind is PartKind.GLOBAL:
            return place.global_db
        if self.kind is PartKind.SECRETS:
            return place.secrets
        return place.app_folder(self.app or "") / _FILES[self.kind]


def part_named(name: str) -> Part | None:
    """Return the part that a path in an archive names; None for any other path."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    if match["app"] is not None:
        kinds = {file: kind for kind, file in _FILES.items()}
        return Part(kinds[match["file"]], match["app"])
    return next(it for it in map(Part, _OF_NO_APP) if it.name == name)


@dataclass(frozen=True, order=True)
class ArchiveName:
    """The name of an archive, which says when it was taken and whether it is whole."""

    taken_at: datetime
    """Aware, in UTC, to the second."""
    complete: bool = True
    """True where every database is in it; an incomplete one shows that in its name."""
    encrypted: bool = False
    """True where only an identity of one of its recipients opens it."""

    def __str__(self) -> str:
        """Return the file name."""
        mark = "" if self.complete else ".incomplete"
        seal = ".age" if self.encrypted else ""
        return f"streamhub-backup-{self.taken_at.strftime(_TIME)}{mark}.tar.gz{seal}"

    @classmethod
    def parse(cls, name: str) -> ArchiveName | None:
        """Return what a file name says; None for any other file's."""
        match = _ARCHIVE.fullmatch(name)
        if match is None:
            return None
        try:
            taken_at = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(taken_at, complete=match[2] is None, encrypted=match[3] is not None)

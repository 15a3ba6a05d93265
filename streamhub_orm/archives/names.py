"""What an archive is called, and what the files in it are called.

Both are those of the archives that operators have made so far (schema-reference: Backups made by
operators today), so either side restores the other's.
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
_ARCHIVE: Final = re.compile(r"streamhub-backup-(\d{8}T\d{6}Z)(\.incomplete)?\.tar\.gz", re.ASCII)
_TIME: Final = "%Y%m%dT%H%M%SZ"
_MEMBER: Final = re.compile(
    rf"data/(?:{re.escape(GLOBAL_DB_NAME)}|secrets\.json|"
    rf"apps/(?P<app>{APP_NAME.pattern})/(?P<file>app\.db|vods\.db|config\.yaml))"
)


class Kind(StrEnum):
    """What a file of a backup is."""

    GLOBAL = "global"
    SECRETS = "secrets"
    APP = "app"
    LEGACY = "legacy"
    """A vods.db, from before the app had an app.db."""
    CONFIG = "config"

    @property
    def is_database(self) -> bool:
        """Whether it is a SQLite file."""
        return self in {Kind.GLOBAL, Kind.APP, Kind.LEGACY}

    @property
    def world(self) -> World | None:
        """The history that its file has a revision of; a vods.db never had one."""
        return {Kind.GLOBAL: GLOBAL, Kind.APP: APP}.get(self)


_FILES: Final = {
    Kind.APP: "app.db",
    Kind.LEGACY: "vods.db",
    Kind.CONFIG: "config.yaml",
}


@dataclass(frozen=True, order=True)
class Member:
    """One file of an installation, and its place in an archive."""

    kind: Kind
    app: str | None = None

    @property
    def name(self) -> str:
        """The path in the archive."""
        if self.kind is Kind.GLOBAL:
            return f"data/{GLOBAL_DB_NAME}"
        if self.kind is Kind.SECRETS:
            return "data/secrets.json"
        return f"data/apps/{self.app}/{_FILES[self.kind]}"

    def path_in(self, place: DataDir) -> Path:
        """Return the path in an installation; secrets lie beside the global database."""
        if self.kind is Kind.GLOBAL:
            return place.global_db
        if self.kind is Kind.SECRETS:
            return place.secrets
        return place.app_folder(self.app or "") / _FILES[self.kind]


def member_named(name: str) -> Member | None:
    """Return the member that a path in an archive names; None for any other path."""
    match = _MEMBER.fullmatch(name)
    if match is None:
        return None
    if match["app"] is not None:
        kinds = {file: kind for kind, file in _FILES.items()}
        return Member(kinds[match["file"]], match["app"])
    return Member(Kind.GLOBAL if name.endswith(".db") else Kind.SECRETS)


@dataclass(frozen=True, order=True)
class ArchiveName:
    """The name of an archive, which says when it was taken and whether it is whole."""

    taken_at: datetime
    """Aware, in UTC, to the second."""
    complete: bool = True
    """Whether every database is in it; an incomplete one shows that in its name."""

    def __str__(self) -> str:
        """Return the file name."""
        mark = "" if self.complete else ".incomplete"
        return f"streamhub-backup-{self.taken_at.strftime(_TIME)}{mark}.tar.gz"

    @classmethod
    def parse(cls, name: str) -> ArchiveName | None:
        """Return what a file name says; None for what is no backup's."""
        match = _ARCHIVE.fullmatch(name)
        if match is None:
            return None
        try:
            taken_at = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(taken_at, complete=match[2] is None)

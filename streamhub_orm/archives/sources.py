"""Which files of an installation belong into a backup."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamhub_orm.archives.names import Kind, Member
from streamhub_orm.data_dir import APP_NAME
from streamhub_orm.engine.connections import reading, translated
from streamhub_orm.errors import StreamHubError

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir


@dataclass(frozen=True)
class Source:
    """One file of an installation that is to go into an archive."""

    member: Member
    path: Path


@dataclass(frozen=True)
class Sources:
    """The files to back up, and those that cannot be."""

    sources: list[Source] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Path in the archive, and the reason."""


def find_sources(place: DataDir) -> Sources:
    """Find every database, secrets.json and each app's config.yaml; registered or not.

    A registered app without an app.db, which nobody has opened yet, has nothing to back up.
    """
    sources = Sources()
    _add(sources, Member(Kind.GLOBAL), place)
    _add(sources, Member(Kind.SECRETS), place)
    for app in _apps(place):
        for kind in (Kind.APP, Kind.LEGACY, Kind.CONFIG):
            _add(sources, Member(kind, app), place)
    return sources


def _add(sources: Sources, member: Member, place: DataDir) -> None:
    path = member.path_in(place)
    try:
        with translated(path, "looking for it"):
            size = _size(_contained(member, place))
    except StreamHubError as error:
        sources.failures[member.name] = str(error)
        return
    if size is not None and (size > 0 or not member.kind.is_database):
        sources.sources.append(Source(member, path))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _contained(member: Member, place: DataDir) -> Path:
    """Return the path; a link out of the app's folder is refused, as everywhere else."""
    if member.kind is Kind.APP:
        return place.app_db(member.app or "")
    if member.kind is Kind.LEGACY:
        return place.legacy_db(member.app or "")
    if member.kind is Kind.CONFIG:
        return place.app_config(member.app or "")
    return member.path_in(place)


def _apps(place: DataDir) -> list[str]:
    """Return the names of registered apps and of folders, as far as an app can have them."""
    with reading(place.global_db) as connection:
        names = {str(name) for (name,) in connection.execute("SELECT name FROM apps")}
    if place.apps.is_dir():
        with os.scandir(place.apps) as entries:
            names.update(entry.name for entry in entries)
    return sorted(name for name in names if APP_NAME.fullmatch(name))

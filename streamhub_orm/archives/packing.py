"""Packing: each file of an installation is found, copied, verified and compressed."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streamhub_orm.archives.format import pack_fragment
from streamhub_orm.archives.names import Part, PartKind
from streamhub_orm.archives.unchanged import Inodes
from streamhub_orm.data_dir import APP_NAME
from streamhub_orm.durable_files import open_regular
from streamhub_orm.engine.backups import copy_verified
from streamhub_orm.engine.connections import reading, translated
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.states import look_at
from streamhub_orm.registry import read_app_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from streamhub_orm.archives.format import Entry, Owner
    from streamhub_orm.data_dir import DataDir


@dataclass(frozen=True)
class Found:
    """The files of an installation that belong into an archive, and those that cannot be in it."""

    parts: list[Part] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    """Paths in the archive that databases without a byte would have."""
    failures: dict[str, str] = field(default_factory=dict)
    """Path in the archive, and the reason."""


def find_parts(place: DataDir, global_db: Path) -> Found:
    """Find every database, secrets.json and each app's config.yaml; registered or not.

    `global_db` is the file of the global database, or the copy of a control plane. A registered app
    without an app.db, which nobody has opened yet, has nothing to archive.
    """
    parts = [Part(PartKind.GLOBAL), Part(PartKind.SECRETS)]
    if global_db != place.global_db:
        parts.insert(1, Part(PartKind.DUMP))  # where one was asked for
    for app in _apps(place, global_db):
        parts += [Part(kind, app) for kind in (PartKind.APP, PartKind.LEGACY, PartKind.CONFIG)]
    found = Found()
    for part in parts:
        path = _path_of(part, place, global_db)
        try:
            with translated(path, "looking for it"):
                size = _size(_contained(part, place, path))
        except StreamHubError as error:
            found.failures[part.name] = str(error)
        else:
            if size == 0 and part.kind.is_database:
                found.empty.append(part.name)
            elif size is not None:
                found.parts.append(part)
    return found


def _path_of(part: Part, place: DataDir, global_db: Path) -> Path:
    if part.kind is PartKind.DUMP:
        return dump_beside(global_db)
    return global_db if part.kind is PartKind.GLOBAL else part.path_in(place)


def dump_beside(copy: Path) -> Path:
    """Return the path of a dump beside the copy of a control plane."""
    return copy.with_suffix(".dump")


def _apps(place: DataDir, global_db: Path) -> list[str]:
    """Return the names of registered apps and of folders, as far as an app can have them."""
    with reading(global_db) as connection:
        names = set(read_app_ids(connection))
    if place.apps.is_dir():
        with os.scandir(place.apps) as entries:
            names.update(entry.name for entry in entries)
    return sorted(name for name in names if APP_NAME.fullmatch(name))


def _contained(part: Part, place: DataDir, path: Path) -> Path:
    """Return the path; a link is refused, as everywhere else."""
    if part.kind is PartKind.APP:
        return place.app_db(part.app or "")
    if part.kind is PartKind.LEGACY:
        return place.legacy_db(part.app or "")
    if part.kind is PartKind.CONFIG:
        return place.app_config(part.app or "")
    place.require_regular(path)
    return path


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(frozen=True)
class Packed:
    """A file that is ready to be appended to the archive, or the reason why it cannot be."""

    part: Part
    entry: Entry | None = None
    """None with an `error`, and for a database without a table, which holds nothing."""
    fragment: Path | None = None
    """The compressed file; None where the archive before holds it already."""
    error: str | None = None


@dataclass(frozen=True)
class Packer:
    """The packing of files for one archive."""

    place: DataDir
    scratch: Path
    owner: Owner
    known: dict[str, Entry]
    """The files of the archive before, by name."""
    global_db: Path
    """The file of the global database, or the copy of a control plane."""

    def pack_each(self, parts: Iterable[Part], jobs: int) -> Iterator[Packed]:
        """Pack files in threads, `jobs` at a time, and yield them in order.

        Copying, hashing and compressing all leave the interpreter free for the other threads. Only
        a few finished files wait for their turn, so that the scratch space stays bounded.
        """
        with ThreadPoolExecutor(jobs) as threads:
            waiting: deque[Future[Packed]] = deque()
            for part in parts:
                waiting.append(threads.submit(self._pack_if_changed, part))
                if len(waiting) > jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _pack_if_changed(self, part: Part) -> Packed:
        """Take the file over from the archive before if it is surely unchanged, else pack it."""
        known = self.known.get(part.name)
        # A database without a table, as older archives may hold it, is looked at and left out.
        if known is not None and known.source is not None and known.rows != {}:
            with suppress(OSError):
                if Inodes.of(self._source_of(part)) == known.source:
                    return Packed(part, known)
        return self.pack(part)

    def _source_of(self, part: Part) -> Path:
        return _path_of(part, self.place, self.global_db)

    def pack(self, part: Part) -> Packed:
        """Copy the file as it is now, verify the copy, and compress it."""
        path = self._source_of(part)
        fragment = self.scratch / part.name.replace("/", "_")
        try:
            with translated(path, "backing it up"):
                inodes = Inodes.of(path)  # before the copy, so that a later look sees a late write
                pack = self._pack_database if part.kind.is_database else self._pack_file
                entry = pack(part, path, fragment)
        except StreamHubError as error:
            fragment.unlink(missing_ok=True)
            return Packed(part, error=str(error))
        if entry is None:
            return Packed(part)
        is_copy = path.parent == self.scratch
        return Packed(part, replace(entry, source=None if is_copy else inodes), fragment)

    def _pack_database(self, part: Part, path: Path, fragment: Path) -> Entry | None:
        copy = fragment.with_suffix(".copy")
        try:
            rows = copy_verified(path, copy)
            if not rows:
                return None
            world = part.kind.world
            revision = look_at(copy, world).revision if world is not None else None
            return replace(self._pack_file(part, copy, fragment), revision=revision, rows=rows)
        finally:
            copy.unlink(missing_ok=True)

    def _pack_file(self, part: Part, path: Path, fragment: Path) -> Entry:
        with os.fdopen(open_regular(path), "rb") as content, fragment.open("wb") as target:
            size = os.fstat(content.fileno()).st_size
            return pack_fragment(content, part.name, size, self.owner, target)

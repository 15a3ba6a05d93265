"""`backup create`: every database of an installation, verified, in one archive."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Final

from streamhub_orm import __version__
from streamhub_orm.archives.archive import Owner, copy_fragment, finish, load_manifest
from streamhub_orm.archives.manifest import Manifest
from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.archives.preparing import Preparation
from streamhub_orm.archives.sources import find_sources
from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import make_folder, no_empty_folder_left, publish
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.archives.manifest import Entry
    from streamhub_orm.archives.preparing import Prepared

    Progress = Callable[[str, int, int], None]

_PHASE: Final = "backing up"


@dataclass(frozen=True)
class Created:
    """What a backup became."""

    archive: Path
    manifest: Manifest
    reused: int
    """Files taken over from the archive before, unread."""

    @property
    def complete(self) -> bool:
        """Whether every database is in it."""
        return not self.manifest.failures


def create_backup(  # noqa: PLR0913 - one keyword for each option of the command
    data_dir: Path,
    folder: Path,
    *,
    jobs: int | None = None,
    incremental: bool = True,
    lock_timeout_seconds: float = 0.0,
    progress: Progress = lambda *_: None,
) -> Created:
    """Back up an installation into a new archive in `folder` (mode 0600), each copy verified.

    A file that cannot be copied is named in the manifest; the others are in the archive, whose
    name then says `.incomplete`. With `incremental`, files that are surely unchanged since the
    newest archive there are taken from that one. Holds the lock of an upgrade, since a backup of
    half a split would be none. Raises a `StreamHubError` where nothing was made.
    """
    place = DataDir.find(data_dir)
    with (
        run_lock(place.lock_path, like=place.global_db, timeout_seconds=lock_timeout_seconds),
        translated(folder, "writing the backup"),
        no_empty_folder_left(folder),
    ):
        make_folder(folder, like=place.global_db)
        with _scratch_in(folder, place) as scratch:
            job = _Job(place, scratch, _newest_in(folder) if incremental else None)
            job.write(jobs or os.cpu_count() or 1, progress)
            archive = _publish(job.target_path, folder, place, complete=not job.manifest.failures)
    return Created(archive, job.manifest, job.reused)


@contextmanager
def _scratch_in(folder: Path, place: DataDir) -> Iterator[Path]:
    """Make a private folder for what is unfinished; a dead run's had the same name and goes.

    The run lock is held, so no living run of this installation uses it.
    """
    mark = sha256(os.fsencode(place.root)).hexdigest()[:12]
    scratch = folder / f".streamhub-backup-{mark}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _newest_in(folder: Path) -> Path | None:
    names = [name for entry in folder.iterdir() if (name := ArchiveName.parse(entry.name))]
    return folder / str(max(names)) if names else None


def _publish(finished: Path, folder: Path, place: DataDir, *, complete: bool) -> Path:
    """Give the archive its name: the present second, or the next one that is free."""
    second = int(datetime.now(UTC).timestamp())
    while True:
        target = folder / str(ArchiveName(datetime.fromtimestamp(second, UTC), complete=complete))
        try:
            publish(finished, target, like=place.global_db, mode=0o600)
        except FileExistsError:
            second += 1
        else:
            return target


class _Job:
    """One archive in the making."""

    def __init__(self, place: DataDir, scratch: Path, previous: Path | None) -> None:
        owner = place.global_db.stat()
        self.target_path = scratch / "archive"
        self.manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), __version__)
        self.reused = 0
        self._place = place
        self._previous = previous
        self._owner = Owner(owner.st_uid, owner.st_gid)
        self._preparation = Preparation(scratch, self._owner, _entries_of(previous))

    def write(self, jobs: int, progress: Progress) -> None:
        """Prepare the files side by side, append them in order, and end with the manifest."""
        found = find_sources(self._place)
        self.manifest.failures.update(found.failures)
        with self.target_path.open("xb") as target:
            prepared = self._preparation.prepare_each(found.sources, jobs)
            for done, each in enumerate(prepared, start=1):
                self._append(each, target)
                progress(_PHASE, done, len(found.sources))
            finish(target, self.manifest, self._owner)

    def _append(self, prepared: Prepared, target: IO[bytes]) -> None:
        if prepared.entry is None:
            self.manifest.failures[prepared.source.member.name] = str(prepared.error)
            return
        offset = target.tell()
        if prepared.fragment is not None:
            with prepared.fragment.open("rb") as fragment:
                shutil.copyfileobj(fragment, target, 1 << 20)
            prepared.fragment.unlink()
        elif self._take_over(prepared.entry, target):
            self.reused += 1
        else:
            self._append(self._preparation.read(prepared.source), target)
            return
        self.manifest.files.append(replace(prepared.entry, offset=offset))

    def _take_over(self, entry: Entry, target: IO[bytes]) -> bool:
        return self._previous is not None and copy_fragment(self._previous, entry, target)


def _entries_of(archive: Path | None) -> dict[str, Entry]:
    try:
        manifest = load_manifest(archive) if archive is not None else None
    except DamagedArchiveError:
        return {}
    return {} if manifest is None else manifest.entries

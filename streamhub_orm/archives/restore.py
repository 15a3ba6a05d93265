"""`backup restore`: an installation, or one app of it, as it was when the archive was made."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.in_use import require_unused
from streamhub_orm.archives.swapping import Swap, remove_emptied, swap_in, swaps_back
from streamhub_orm.archives.unpacking import only_app
from streamhub_orm.archives.verify import Check
from streamhub_orm.data_dir import DataDir, require_app_name
from streamhub_orm.durable_files import make_folder, mark_as_wal, no_empty_folder_left
from streamhub_orm.engine.backups import time_stamp
from streamhub_orm.engine.connections import fold_wal_in, reading, translated
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import (
    DamagedArchiveError,
    DataDirError,
    LockFileError,
    OtherFileSystemError,
    UnusableArchiveError,
    UpgradeRunningError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamhub_orm.archives.names import Member

    Progress = Callable[[str, int, int], None]

_PHASE: Final = "verifying"
_ASIDE: Final = "pre-restore-"


@dataclass
class Restored:
    """What a restore did, or in a dry run would do."""

    data_dir: Path
    source: Path
    """The archive, or the folder that an undo took the files from."""
    files: list[str] = field(default_factory=list)
    """What was put in place, by the names of the archive."""
    set_aside: Path | None = None
    """Where the files before lie; None in a dry run."""
    unregistered: list[str] = field(default_factory=list)
    """Restored apps that the global database does not know."""
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup restore --json` prints."""
        return {
            "ok": True,
            "error": None,
            "data_dir": str(self.data_dir),
            "source": str(self.source),
            "files": self.files,
            "set_aside": None if self.set_aside is None else str(self.set_aside),
            "unregistered": self.unregistered,
            "dry_run": self.dry_run,
        }


def restore_archive(  # noqa: PLR0913 - one keyword for each option of the command
    archive: Path,
    data_dir: Path,
    *,
    app: str | None = None,
    allow_incomplete: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
) -> Restored:
    """Put the files of an archive in place of the present ones, which go into `pre-restore-<UTC>/`.

    Every file is verified before the first one is touched. With `app`, only that app's files. Files
    that the archive does not hold stay. Raises `ArchiveError` and its kinds, `DatabaseInUseError`
    while another process has one of the databases open, or another `StreamHubError`.
    """
    if app is not None:
        require_app_name(app)
    place = _place_of(data_dir)
    with _alone_in(place), _staging_in(place) as staging:
        members = _unpack_verified(
            archive, staging, app, allow_incomplete=allow_incomplete, progress=progress
        )
        swaps = [Swap(each, each.path_in(place), staging / each.name) for each in members]
        return _swap_all(place, archive, swaps, dry_run=dry_run)


def undo_restore(aside: Path, data_dir: Path, *, dry_run: bool = False) -> Restored:
    """Put back what a restore set aside; the files that are there now are set aside in turn."""
    place = _place_of(data_dir)
    with _alone_in(place):
        aside = Path(os.path.abspath(aside))  # noqa: PTH100 - resolve() would follow links
        restored = _swap_all(place, aside, swaps_back(place, aside), dry_run=dry_run)
        if not dry_run:
            remove_emptied(aside)
        return restored


def _place_of(data_dir: Path) -> DataDir:
    """Find the installation; where its global database is lost, or nothing is there, a new one."""
    try:
        return DataDir.find(data_dir)
    except DataDirError:
        place = DataDir.fresh(data_dir)
        lost = place.apps.is_dir() and not (place.root / "streamhub.db").exists()
        if place.global_db.exists() or not (lost or _is_new(place)):
            raise
        return place


def _is_new(place: DataDir) -> bool:
    """Tell whether nothing is there but what a restore may have left that was killed."""
    data = place.global_db.parent
    if place.root.exists() and not place.root.is_dir():
        return False
    entries = [
        entry for folder in (place.root, data) if folder.is_dir() for entry in folder.iterdir()
    ]
    left = {data, place.lock_path, _staging_of(place)}
    return all(entry in left or entry.name.startswith(_ASIDE) for entry in entries)


@contextmanager
def _alone_in(place: DataDir) -> Iterator[None]:
    folder = place.global_db.parent
    is_new = not folder.exists()
    with translated(place.root, "restoring"), no_empty_folder_left(folder), ExitStack() as held:
        make_folder(folder, like=_existing(place.root))
        try:
            held.enter_context(run_lock(place.lock_path, like=_like(place)))
            shutil.rmtree(_staging_of(place), ignore_errors=True)  # a dead run's
            yield
        except (UpgradeRunningError, LockFileError):
            is_new = False  # somebody else's by now
            raise
        finally:
            if is_new and list(folder.iterdir()) == [place.lock_path]:
                place.lock_path.unlink()  # the lock of no installation


def _like(place: DataDir) -> Path:
    """Return the file whose owner all files take, or the folder where there is none yet."""
    return place.global_db if place.global_db.exists() else place.root


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _staging_of(place: DataDir) -> Path:
    return place.root / ".streamhub-restore"


@contextmanager
def _staging_in(place: DataDir) -> Iterator[Path]:
    """Make a private folder for the unpacked files."""
    staging = _staging_of(place)
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack_verified(
    archive: Path,
    staging: Path,
    app: str | None,
    *,
    allow_incomplete: bool,
    progress: Progress,
) -> list[Member]:
    check = Check(archive)
    members = []
    for unpacked in check.unpacking.files(staging, only_app(app)):
        check.look_at(unpacked)
        if unpacked.member.kind.is_database and not check.found.faults:
            mark_as_wal(unpacked.path)
        members.append(unpacked.member)
        progress(_PHASE, len(members), check.expected or len(members))
    found = check.finish(partial=app is not None)
    if found.faults:
        raise DamagedArchiveError(archive, found.faults)
    if not members:
        raise UnusableArchiveError(
            archive,
            f"no files of app {app!r}",
            "an app that is in it",
            "Name another backup or app.",
        )
    if app is None and not found.complete and not allow_incomplete:
        lacking = ", ".join(found.manifest.failures) if found.manifest else ""
        raise UnusableArchiveError(
            archive,
            f"an incomplete backup, which lacks {lacking}",
            "every database",
            "Use another backup, or pass --allow-incomplete: what it lacks stays as it is.",
        )
    return members


def _swap_all(place: DataDir, source: Path, swaps: Sequence[Swap], *, dry_run: bool) -> Restored:
    require_unused(swap.target for swap in swaps if swap.member.kind.is_database)
    _require_one_file_system(place, swaps)
    restored = Restored(place.root, source, [swap.member.name for swap in swaps], dry_run=dry_run)
    if not dry_run:
        _make_single_files(swaps)
        restored.set_aside = place.root / f"{_ASIDE}{time_stamp()}"
        swap_in(swaps, restored.set_aside, like=_like(place))
        restored.unregistered = _unregistered(place, swaps)
    return restored


def _make_single_files(swaps: Sequence[Swap]) -> None:
    """Fold each -wal into its file: two files cannot be moved at one instant."""
    for swap in swaps:
        for path in (swap.target, swap.staged):
            if swap.member.kind.is_database and path is not None and path.exists():
                with suppress(sqlite3.DatabaseError):  # no database any more: it goes as it is
                    fold_wal_in(path)


def _require_one_file_system(place: DataDir, swaps: Sequence[Swap]) -> None:
    """Refuse what a rename cannot do, before anything is touched."""
    device = place.root.stat().st_dev
    for swap in swaps:
        folder = _existing(swap.target.parent)
        if folder.stat().st_dev != device:
            raise OtherFileSystemError(swap.target, folder, place.root)


def _unregistered(place: DataDir, swaps: Sequence[Swap]) -> list[str]:
    if not place.global_db.exists():
        return sorted({swap.member.app for swap in swaps if swap.member.app})
    with reading(place.global_db) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM apps")}
    return sorted({swap.member.app for swap in swaps if swap.member.app} - known)

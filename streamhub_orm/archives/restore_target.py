"""Target of a restore: an installation, one whose global database is lost, or a new folder."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from streamhub_orm.data_dir import ASIDE, DataDir
from streamhub_orm.durable_files import (
    file_mode,
    make_folder,
    make_scratch,
    no_empty_folder_left,
    remove_folder,
)
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import DataDirError, LockFileError, UpgradeRunningError
from streamhub_orm.migrations.global_database import refuse_promoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def target_of(data_dir: Path | DataDir) -> DataDir:
    """Find the installation; a new one where its global database is lost or nothing is there.

    Raises `PromotedDatabaseError` where a server has the global database, and no URL is given: a
    file in its place would take writes, beside the server.
    """
    try:
        place = DataDir.find(data_dir)
    except DataDirError:
        assert not isinstance(data_dir, DataDir)  # noqa: S101 - one that was found is taken as it is
        place = DataDir.fresh(data_dir)
        lost = place.apps.is_dir() and not (place.root / "streamhub.db").exists()
        if place.global_db.exists() or not (lost or _is_new(place)):
            raise
    refuse_promoted(place)
    return place


def _is_new(place: DataDir) -> bool:
    """Tell whether nothing is there but what a restore may have left that was killed."""
    data = place.global_db.parent
    if place.root.exists() and not place.root.is_dir():
        return False
    entries = [
        entry for folder in (place.root, data) if folder.is_dir() for entry in folder.iterdir()
    ]
    left = {data, place.lock_path, staging_of(place)}
    return all(entry in left or entry.name.startswith(ASIDE) for entry in entries)


@contextmanager
def alone_in(place: DataDir) -> Iterator[None]:
    """Hold the run lock, in a folder that is made for it where the installation is new.

    Of an installation that was not restored after all, nothing stays.
    """
    folder = place.global_db.parent
    is_new = not folder.exists()
    with translated(place.root, "restoring"), no_empty_folder_left(folder), ExitStack() as held:
        make_folder(folder)
        try:
            held.enter_context(run_lock(place.lock_path))
            remove_folder(staging_of(place))  # a dead run's
            yield
        except (UpgradeRunningError, LockFileError):
            is_new = False  # somebody else's by now
            raise
        finally:
            if is_new and list(folder.iterdir()) == [place.lock_path]:
                place.lock_path.unlink()  # the lock of no installation


def mode_of(place: DataDir) -> int:
    """Return the mode of a new file: that of the global database, or of the folder."""
    return file_mode(place.global_db if place.global_db.exists() else place.root)


def staging_of(place: DataDir) -> Path:
    """Return the folder of what is unfinished; the next run removes a dead one's."""
    return place.root / ".streamhub-restore"


@contextmanager
def staging_in(place: DataDir) -> Iterator[Path]:
    """Make a private folder for the unpacked files."""
    staging = staging_of(place)
    make_scratch(staging)
    try:
        yield staging
    finally:
        remove_folder(staging)

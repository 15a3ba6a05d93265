"""Copies that earlier work left: backups beside databases, and what a restore has set aside."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import APP_NAME, ASIDE, DataDir
from streamhub_orm.durable_files import irregularity, remove_database
from streamhub_orm.engine.backups import list_backups, time_of
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import StreamHubError
from streamhub_orm.legacy.bookkeeping import protected_backups
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RESTORE: Final = "restore"
"""Stands for the name of a database where a restore has set several files aside."""


@dataclass(frozen=True)
class Copy:
    """One copy: a backup beside a database, or a folder of files that a restore has replaced."""

    path: Path
    of: str
    """`global` or the name of the app; `restore` for a folder of a restore."""
    taken_at: datetime
    """By its name."""
    size_bytes: int
    stays: str | None
    """Why `prune_copies` never removes it; None where it may."""

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `copies list --json` prints."""
        return {
            "path": str(self.path),
            "of": self.of,
            "taken_at": self.taken_at.isoformat(),
            "bytes": self.size_bytes,
            "stays": self.stays,
        }


@dataclass
class PrunedCopies:
    """The outcome of pruning; of a dry run, what it would be."""

    removed: list[Copy] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Paths that could not be removed, with the reason."""
    kept: int = 0


def list_copies(data_dir: Path) -> list[Copy]:
    """Return every copy in an installation, by what it is of, the newest first.

    Files and folders that an operator named as he liked are none. Raises a `DatabaseFileError`
    where the file of the global database, which knows the backups that stay, cannot be read. Where
    that database is on a server, the file may be missing; its backups stay then.
    """
    place = DataDir.find(data_dir)
    is_elsewhere = place.global_url is not None and not place.global_db.exists()
    protected = frozenset[str]() if is_elsewhere else protected_backups(place.global_db)
    found = list(_backups_of(place.global_db, "global", protected))
    for app in _app_folders(place):
        found += _backups_of(place.apps / app / "app.db", app, frozenset())
    found += _set_aside(place)
    return sorted(found, key=lambda copy: (copy.of, -copy.taken_at.timestamp()))


def prune_copies(
    data_dir: Path,
    *,
    keep: int,
    older_than: timedelta = timedelta(),
    dry_run: bool = False,
) -> PrunedCopies:
    """Remove the copies that are older than `older_than`, but of each database the newest `keep`.

    What was there before the split stays for ever, and so does the backup of a database that is
    missing. Holds the lock of an upgrade, which relies on its backups: raises
    `UpgradeRunningError`, and what `list_copies` raises.
    """
    place = DataDir.find(data_dir)
    pruned = PrunedCopies()
    with run_lock(place.lock_path):
        before = utc_now() - older_than
        for _, copies in groupby(list_copies(data_dir), key=attrgetter("of")):
            for number, copy in enumerate(copies, start=1):
                if number <= keep or copy.stays is not None or copy.taken_at > before:
                    pruned.kept += 1
                elif dry_run:
                    pruned.removed.append(copy)
                else:
                    _remove(copy, pruned)
    return pruned


def _remove(copy: Copy, pruned: PrunedCopies) -> None:
    try:
        with translated(copy.path, "removing it"):
            if copy.of == _RESTORE:
                shutil.rmtree(copy.path)
            else:
                remove_database(copy.path)
    except StreamHubError as error:
        pruned.failed[str(copy.path)] = str(error)
    else:
        pruned.removed.append(copy)


def _app_folders(place: DataDir) -> Iterator[str]:
    """Yield the names of the folders that are an app's, registered or not; no link."""
    if irregularity(place.apps) == "a folder":
        with os.scandir(place.apps) as entries:
            for entry in sorted(entries, key=attrgetter("name")):
                if APP_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield entry.name


def _backups_of(path: Path, of: str, protected: frozenset[str]) -> Iterator[Copy]:
    is_missing = path.is_symlink() or not path.is_file() or path.stat().st_size == 0
    for backup in list_backups(path):
        stays = None
        if backup.name in protected:
            stays = "recorded as the one of before the split, or of its cleanup"
        elif is_missing:
            stays = "its database is missing"
        taken_at = time_of(backup.name.removeprefix(f"{path.name}.bak-"))
        if taken_at is not None:
            yield Copy(backup, of, taken_at, backup.stat().st_size, stays)


def _set_aside(place: DataDir) -> Iterator[Copy]:
    with os.scandir(place.root) as entries:
        for entry in entries:
            stamp = entry.name.removeprefix(ASIDE)
            taken_at = time_of(stamp) if stamp != entry.name else None
            if taken_at is not None and entry.is_dir(follow_symlinks=False):
                folder = place.root / entry.name
                yield Copy(folder, _RESTORE, taken_at, _folder_bytes(folder), None)


def _folder_bytes(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - no link is followed
        for parent, _, names in os.walk(folder)
        for name in names
    )

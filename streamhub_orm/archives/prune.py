"""Pruning: old archives go, but never the newest good one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from streamhub_orm.archives.places import ALL, archives_in
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.errors import StorageError, StreamHubError
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from streamhub_orm.archives.places import Places, StoredArchive
    from streamhub_orm.storage import ObjectStore


@dataclass(frozen=True)
class Retention:
    """How long archives stay; an archive goes where either field says so."""

    days: int
    """Archives older than this go; 0 keeps any age."""
    count: int | None = None
    """Only so many complete archives stay, the newest; None keeps any number."""


@dataclass
class Pruned:
    """The outcome of pruning one place; of a dry run, what it would be."""

    place: str
    good: str | None = None
    """The newest good archive, which stays whatever its age."""
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Archives that could not be removed, with the reason."""
    suspect: list[str] = field(default_factory=list)
    """Archives whose names are from the future; they stay, and count as none."""
    kept: int = 0
    error: str | None = None
    """Why the place as a whole could not be pruned, where another one was."""

    @property
    def ok(self) -> bool:
        """True where everything that was to go is gone."""
        return not self.failed and self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `backup prune --json` prints."""
        return {
            "place": self.place,
            "good": self.good,
            "removed": self.removed,
            "failed": self.failed,
            "suspect": self.suspect,
            "kept": self.kept,
            "error": self.error,
        }


def prune_archives(
    places: Places,
    *,
    place: str = ALL,
    keep_days: int | None = None,
    keep: int | None = None,
    dry_run: bool = False,
) -> list[Pruned]:
    """Remove old archives from the folder and the bucket, or from one of them.

    Archives of more than `keep_days` days go (None: as the environment says; 0 keeps any age), and
    all but the newest `keep` complete ones. An error of one place is told in its outcome and does
    not stop the other; where every place fails, the first `StorageError` is raised.
    """
    retention = Retention(places.retention_days if keep_days is None else keep_days, keep)
    prune = partial(prune_store, retention=retention, dry_run=dry_run)
    outcomes = places.in_each(prune, place)
    errors = [outcome for outcome in outcomes.values() if isinstance(outcome, StorageError)]
    if errors and len(errors) == len(outcomes):
        raise errors[0]
    return [
        Pruned(name, error=str(outcome)) if isinstance(outcome, StorageError) else outcome
        for name, outcome in outcomes.items()
    ]


def prune_store(
    store: ObjectStore, retention: Retention, *, dry_run: bool = False, now: datetime | None = None
) -> Pruned:
    """Remove the archives in a store that the retention gives up.

    The newest good one stays, and where none is good, all do. A folder's archive is good if it is
    complete and every file in it verifies; a bucket's if it is complete and was stored by `backup
    create`, which the bucket checked by its SHA-256. Newest is the one by its name, and the one by
    the store's own time: clocks may have been wrong when either was set.
    """
    archives = archives_in(store)
    is_good = cache(partial(_is_good, store))
    good = next(filter(is_good, archives), None)
    pruned = Pruned(store.name, None if good is None else str(good.name), kept=len(archives))
    pruned.suspect = [str(archive.name) for archive in archives if archive.is_suspect]
    if good is None:
        return pruned
    by_time = sorted(archives, key=lambda archive: archive.modified_at, reverse=True)
    kept = {good, next(filter(is_good, by_time))}
    outdated = [it for it in _outdated(archives, retention, now or utc_now()) if it not in kept]
    if not dry_run:
        failed = store.delete_many([each.key for each in outdated])
        pruned.failed = {key: str(error) for key, error in failed.items()}
    pruned.removed = [str(each.name) for each in outdated if each.key not in pruned.failed]
    pruned.kept -= len(pruned.removed)
    return pruned


def _is_good(store: ObjectStore, archive: StoredArchive) -> bool:
    if not archive.name.complete:
        return False
    if not isinstance(store, LocalStore):
        return store.head(archive.key).sha256 is not None
    try:
        found = verify_archive(store.folder / archive.key, scratch=store.folder)
    except StreamHubError:
        return False
    return found.ok and found.complete


def _outdated(
    archives: list[StoredArchive], retention: Retention, now: datetime
) -> list[StoredArchive]:
    """Return the archives that the retention gives up, of a list with the newest first."""
    outdated, complete = [], 0
    try:
        oldest = now - timedelta(days=retention.days)
    except OverflowError:  # before there were calendars
        oldest = datetime.min.replace(tzinfo=UTC)
    for archive in (each for each in archives if not each.is_suspect):
        too_old = retention.days > 0 and archive.name.taken_at < oldest
        if too_old or (retention.count is not None and complete >= retention.count):
            outdated.append(archive)
        complete += archive.name.complete
    return outdated

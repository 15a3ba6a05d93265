"""Pruning: old archives go, but never the newest good one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from streamhub_orm.archives.encryption import as_plain
from streamhub_orm.archives.places import ALL
from streamhub_orm.archives.retention import Retention
from streamhub_orm.archives.stored import archives_in
from streamhub_orm.archives.verification import record_verified, verified_at
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.errors import StorageError, StreamHubError
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from streamhub_orm.archives.places import Places
    from streamhub_orm.archives.stored import StoredArchive
    from streamhub_orm.storage import ObjectStore


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
    retention: Retention | None = None,
    dry_run: bool = False,
) -> list[Pruned]:
    """Remove old archives from the folder and the bucket, or from one of them.

    Which ones, `retention` says; None means as many days as the environment names. An error of one
    place is told in its outcome and does not stop the other; where every place fails, the first
    `StorageError` is raised.
    """
    retention = retention or Retention(places.retention_days)
    prune = partial(prune_store, retention=retention, dry_run=dry_run, identity=places.identity)
    outcomes = places.in_each(prune, place)
    errors = [outcome for outcome in outcomes.values() if isinstance(outcome, StorageError)]
    if errors and len(errors) == len(outcomes):
        raise errors[0]
    return [
        Pruned(name, error=str(outcome)) if isinstance(outcome, StorageError) else outcome
        for name, outcome in outcomes.items()
    ]


def prune_store(
    store: ObjectStore,
    retention: Retention,
    *,
    dry_run: bool = False,
    identity: Path | None = None,
    now: datetime | None = None,
) -> Pruned:
    """Remove the archives in a store that the retention gives up.

    The newest good one stays, and where none is good, all do; see `is_good`. Newest is the one by
    its name, and the one by the store's own time: clocks may have been wrong when either was set.
    """
    archives = archives_in(store)
    can_rely_on = cache(partial(is_good, store, identity=identity))
    good = next(filter(can_rely_on, archives), None)
    pruned = Pruned(store.name, None if good is None else str(good.name), kept=len(archives))
    pruned.suspect = [str(archive.name) for archive in archives if archive.is_suspect]
    if good is None:
        return pruned
    by_time = sorted(archives, key=lambda archive: archive.modified_at, reverse=True)
    kept = {good, next(filter(can_rely_on, by_time))}
    outdated = [it for it in retention.outdated(archives, now or utc_now()) if it not in kept]
    if not dry_run:
        failed = store.delete_many([each.key for each in outdated])
        pruned.failed = {key: str(error) for key, error in failed.items()}
    pruned.removed = [str(each.name) for each in outdated if each.key not in pruned.failed]
    pruned.kept -= len(pruned.removed)
    return pruned


def is_good(store: ObjectStore, archive: StoredArchive, *, identity: Path | None = None) -> bool:
    """Tell whether an archive is complete and, as far as can be seen from here, whole.

    In a folder every file in it has to verify; of an encrypted one nothing can be seen without its
    `identity`, so that it counts as whole. In a bucket it has to be one that `backup create` or
    `backup upload` stored, which the bucket checked by its SHA-256.
    """
    if not archive.name.complete:
        return False
    if not isinstance(store, LocalStore):
        return verified_at(store, archive) is not None
    if archive.name.encrypted and identity is None:
        return True
    try:
        with as_plain(store.folder / archive.key, identity, scratch=store.folder) as plain:
            found = verify_archive(plain, scratch=store.folder)
    except StreamHubError:
        return False
    good = found.ok and found.complete
    if good:
        record_verified(store.folder / archive.key)
    return good

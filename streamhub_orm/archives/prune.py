"""`backup prune`: old backups go, but never the newest good one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from streamhub_orm.archives.stored import StoredBackup, list_backups
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.errors import StreamHubError
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from streamhub_orm.storage import ObjectStore


@dataclass(frozen=True)
class Retention:
    """How long backups stay; a backup goes where either says so."""

    days: int
    """Backups older than this go; 0 keeps any age."""
    count: int | None = None
    """Only so many complete backups stay, the newest; None keeps any number."""


@dataclass
class Pruned:
    """What a pruning did, or in a dry run would do."""

    place: str
    good: str | None = None
    """The newest good backup, which stays whatever its age."""
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Backups that could not be removed, with the reason."""
    kept: int = 0
    error: str | None = None
    """Why the store as a whole could not be pruned, where another one was."""

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `backup prune --json` prints."""
        return {
            "place": self.place,
            "good": self.good,
            "removed": self.removed,
            "failed": self.failed,
            "kept": self.kept,
            "error": self.error,
        }


def prune_backups(
    store: ObjectStore, retention: Retention, *, dry_run: bool = False, now: datetime | None = None
) -> Pruned:
    """Remove the backups in a store that the retention gives up.

    The newest good one stays, and where none is good, all do. A folder's archive is good if it is
    complete and every file in it verifies; a bucket's if it is complete and was stored by `backup
    create`, which the bucket checked by its SHA-256.
    """
    backups = list_backups(store)
    good = next((backup for backup in backups if _is_good(store, backup)), None)
    pruned = Pruned(store.name, None if good is None else str(good.name), kept=len(backups))
    if good is None:
        return pruned
    outdated = [each for each in _outdated(backups, retention, now or utc_now()) if each != good]
    if not dry_run:
        pruned.failed = store.delete_many([each.key for each in outdated])
    pruned.removed = [str(each.name) for each in outdated if each.key not in pruned.failed]
    pruned.kept -= len(pruned.removed)
    return pruned


def _outdated(
    backups: list[StoredBackup], retention: Retention, now: datetime
) -> list[StoredBackup]:
    """Return what the retention gives up, of backups that are sorted with the newest first."""
    outdated, complete = [], 0
    oldest = now - timedelta(days=retention.days)
    for backup in backups:
        too_old = retention.days > 0 and backup.name.taken_at < oldest
        if too_old or (retention.count is not None and complete >= retention.count):
            outdated.append(backup)
        complete += backup.name.complete
    return outdated


def _is_good(store: ObjectStore, backup: StoredBackup) -> bool:
    if not backup.name.complete:
        return False
    if not isinstance(store, LocalStore):
        return store.head(backup.key).sha256 is not None
    try:
        return verify_archive(store.folder / backup.key, scratch=store.folder).ok
    except StreamHubError:
        return False

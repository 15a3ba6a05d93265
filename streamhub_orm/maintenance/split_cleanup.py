"""Clean-up after the split: the global copies of moved rows are deleted once all is proved.

What a row must meet is the split's own rule after an import: its identity is found in its app.db,
whatever else changed, since rows live on there. So a row that was superseded goes too: another one
holds its place. The backup of this run keeps all of them, and no pruning removes it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import size_bytes
from streamhub_orm.engine.connections import (
    attach_read_only,
    open_for_migration,
    reading,
    translated,
)
from streamhub_orm.engine.integrity import is_intact, require_intact
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.engine.vacuum import vacuum
from streamhub_orm.errors import (
    LockedDatabaseError,
    NoGlobalFileError,
    SplitCleanupError,
    StreamHubError,
)
from streamhub_orm.fleet import read_pages
from streamhub_orm.legacy.accounts import TABLES, RowCounts
from streamhub_orm.legacy.bookkeeping import CLEANUP_BACKUP, read_meta, split_transaction
from streamhub_orm.legacy.global_rows import count_global_rows
from streamhub_orm.legacy.meta import write_value
from streamhub_orm.maintenance.selection import back_up_first
from streamhub_orm.maintenance.split_proof import prove_split

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class SplitCleanup:
    """Outcome of a clean-up, or in a dry run what it would do."""

    data_dir: Path
    dry_run: bool
    removed: RowCounts = field(default_factory=RowCounts)
    """Rows that are gone from the global tables."""
    differing: RowCounts = field(default_factory=RowCounts)
    """Rows among them whose like in the app.db has other content, which is what counts."""
    backup: Path | None = None
    reclaimed_bytes: int = 0
    error: str | None = None
    """Why the rows are deleted but their space is not given back, or may not even be deleted."""

    def to_json(self) -> dict[str, Any]:
        """Return the document of `split cleanup --json`."""
        return {
            "ok": self.error is None,
            "error": self.error,
            "data_dir": str(self.data_dir),
            "dry_run": self.dry_run,
            "removed": asdict(self.removed),
            "differing": asdict(self.differing),
            "backup": None if self.backup is None else str(self.backup),
            "reclaimed_bytes": self.reclaimed_bytes,
        }


def clean_up_split(
    data_dir: Path,
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> SplitCleanup:
    """Empty the global streams, vods and ingress_auth, and give their space back; backup first.

    Raises `SplitCleanupError` where the split is not finished, or where a row is in no app.db or
    belongs to no app, and another `StreamHubError` where no verified backup can be made; then
    nothing was changed. A killed run is finished by the next one. `progress` is told how many apps
    have been asked for their rows, and of how many.
    """
    place = DataDir.find(data_dir)
    if place.global_url is not None:
        todo = "Nothing was changed, and on the server nothing is left of the split."
        raise NoGlobalFileError(str(place.global_url), "split cleanup", todo)
    result = SplitCleanup(place.root, dry_run)
    if dry_run:
        proof = prove_split(place, place.global_db, progress)
        result.removed, result.differing = proof.rows, proof.differing
        return result
    with run_lock(place.lock_path):
        with reading(place.global_db) as connection:
            rows = count_global_rows(connection).all
        if rows.total:
            _empty(place, result, progress)
        if result.error is not None:
            return result
        if result.removed.total or _was_killed_before_vacuum(place):
            _reclaim(place, result)
    return result


def _empty(place: DataDir, result: SplitCleanup, progress: Callable[[int, int], None]) -> None:
    """Prove it of the rows in the backup, then delete just these; others can write meanwhile."""
    path = place.global_db
    backup = back_up_first(path)
    try:
        proof = prove_split(place, backup.path, progress)
    except StreamHubError:
        backup.drop()  # nothing was changed, so nothing needs it
        raise
    try:
        _empty_legacy_tables(path, backup=backup.path)
    except (SplitCleanupError, LockedDatabaseError):
        backup.drop()
        raise
    except StreamHubError as error:
        # A disk that fails within a commit may have all of it all the same.
        result.backup = backup.path
        stays = f"and the backup {backup.path} stays"
        result.error = f"whether the rows are removed is not known, {stays}: {error}"
        return
    result.removed, result.differing, result.backup = proof.rows, proof.differing, backup.path


def _reclaim(place: DataDir, result: SplitCleanup) -> None:
    path = place.global_db
    before = size_bytes(path)
    try:
        recorded = path.with_name(Path(read_meta(path, CLEANUP_BACKUP) or "").name)
        if result.backup is None and not is_intact(recorded):
            result.backup = back_up_first(path).path
        with (
            translated(path, "giving its unused space back"),
            closing(open_for_migration(path)) as connection,
        ):
            vacuum(connection, path)
        require_intact(path)
    except StreamHubError as error:
        result.error = f"the rows are removed, but their space is not given back yet: {error}"
    result.reclaimed_bytes = before - size_bytes(path)


def _was_killed_before_vacuum(place: DataDir) -> bool:
    """Tell whether a clean-up has been here and unused pages are left."""
    if read_meta(place.global_db, CLEANUP_BACKUP) is None:
        return False
    with reading(place.global_db) as connection:
        return read_pages(connection).unused > 0


def _empty_legacy_tables(path: Path, *, backup: Path) -> None:
    """Delete every row of the global streams, vods and ingress_auth; the tables stay.

    Raises `SplitCleanupError` where these tables are not, row by row, what the `backup` holds;
    then nothing was changed.
    """
    with split_transaction(path) as connection:
        attach_read_only(connection, backup, "backup")
        for table in TABLES:
            if columns_of(connection, "main", table):
                if not connection.execute(_IS_SAME.format(table=table)).fetchone()[0]:
                    finding = f"rows of {table} that came or changed since the backup was made"
                    raise SplitCleanupError(path, [finding])
                connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - a constant
        write_value(connection, CLEANUP_BACKUP, str(backup), once=True)


_IS_SAME: Final = """
    SELECT (SELECT count(*) FROM main.{table}) = (SELECT count(*) FROM backup.{table})
       AND NOT EXISTS (SELECT * FROM main.{table} EXCEPT SELECT * FROM backup.{table})"""

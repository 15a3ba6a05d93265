"""The global database up to head, and the bookkeeping of the split in its `_streamhub_meta`."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import copy_to_scratch, is_intact
from streamhub_orm.engine.connections import open_for_migration, reading, translated, write_lock
from streamhub_orm.errors import DatabaseFileError
from streamhub_orm.legacy.sources import SPLIT_DONE, TABLES, columns_of
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.transaction import run_upgrade
from streamhub_orm.migrations.upgrading import Upgraded, look_for_upgrade, transform, upgrade_file
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

SPLIT_BACKUP: Final = "per_app_split_backup"
OWN_SPLIT_BACKUP: Final = "streamhub_orm_split_backup"
"""Our own record of the backup: the Node core overwrites its key at the boot after a failed run."""

CLEANUP_BACKUP: Final = "streamhub_orm_cleanup_backup"
"""The backup made before the global copies of moved rows were deleted."""


def bring_global_to_head(path: Path, *, backup: Path | None = None) -> Upgraded:
    """Upgrade the global database; idempotent. Raises a `DatabaseFileError`, then as it was."""
    found = look_for_upgrade(path, GLOBAL)
    if found.state is State.CURRENT:
        return Upgraded(found.revision, found.revision, changed=False)
    return upgrade_file(path, GLOBAL, like=path, backup=backup)


def rehearse_global(path: Path) -> Upgraded:
    """Upgrade a scratch copy and tell what it did; nothing of the installation is touched."""
    found = look_for_upgrade(path, GLOBAL, recover=False)
    if found.state is State.CURRENT:
        return Upgraded(found.revision, found.revision, changed=False)
    with TemporaryDirectory(prefix="streamhub-rehearsal-") as folder:
        scratch = Path(folder) / path.name
        try:
            copy_to_scratch(path, scratch)
            transform(scratch, GLOBAL, run=lambda connection: run_upgrade(connection, GLOBAL))
        except DatabaseFileError as error:
            error.path = path
            raise
    return Upgraded(found.revision, GLOBAL.head)


def recorded_backup(path: Path) -> Path | None:
    """Return the pre-split backup under our own key, if it still serves a resumed run.

    It must pass quick_check. Where the file's own revision will
    change, it must stand at the same one: a backup from before an earlier upgrade is too old.
    """
    backup = named_backup(path)
    if backup is None or backup.is_symlink() or not is_intact(backup):
        return None
    present = look_at(path, GLOBAL)
    same = look_at(backup, GLOBAL).revision == present.revision
    return backup if same or present.state is State.CURRENT else None


def named_backup(path: Path) -> Path | None:
    """Return the file beside the database that our own key names; None where it names none.

    Only the name is taken from the stored path: the installation may have been moved since, and a
    path that was tampered with leads nowhere else.
    """
    name = Path(read_meta(path, OWN_SPLIT_BACKUP) or "").name
    return path.with_name(name) if name.startswith(f"{path.name}.bak-") else None


def protected_backups(path: Path) -> frozenset[str]:
    """Return the names of the backups that stay for ever: of before the split and its cleanup."""
    keys = (OWN_SPLIT_BACKUP, SPLIT_BACKUP, CLEANUP_BACKUP)
    recorded = (read_meta(path, key) for key in keys)
    return frozenset(Path(value).name for value in recorded if value)


def record_split_backup(path: Path, backup: Path, *, for_core: bool) -> None:
    """Record the backup once and for all under our own key, and `for_core` under the core's."""
    with _meta_transaction(path) as connection:
        if for_core:
            connection.execute(_SET_META, (SPLIT_BACKUP, str(backup)))
        connection.execute(_SET_META_ONCE, (OWN_SPLIT_BACKUP, str(backup)))


def mark_split_done(path: Path) -> None:
    """Set `per_app_split_done`; only after the commits of all apps are on the disk."""
    with _meta_transaction(path) as connection:
        connection.execute(_SET_META, (SPLIT_DONE, "1"))


def empty_legacy_tables(path: Path, *, backup: Path, verify: Callable[[], None]) -> None:
    """Delete every row of the global streams, vods and ingress_auth; the tables stay.

    `verify` is called once nobody else can write, and raises where a row must not go; then
    nothing was changed.
    """
    with _meta_transaction(path) as connection:
        verify()
        for table in TABLES:
            if columns_of(connection, "main", table):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
        connection.execute(_SET_META_ONCE, (CLEANUP_BACKUP, str(backup)))


def read_meta(path: Path, key: str) -> str | None:
    """Return a value of the global `_streamhub_meta`, None where key or table is missing."""
    with reading(path) as connection:
        if not columns_of(connection, "main", "_streamhub_meta"):
            return None
        row = connection.execute(
            "SELECT value FROM _streamhub_meta WHERE key = ?", (key,)
        ).fetchone()
    return None if row is None else row[0]


def try_write_lock(path: Path) -> None:
    """Raise `LockedDatabaseError` where another process writes for longer than the busy timeout."""
    with translated(path, "asking for its write lock"), write_lock(path):
        pass


_SET_META: Final = """
    INSERT INTO _streamhub_meta (key, value) VALUES (?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = datetime('now')
    WHERE value IS NOT excluded.value"""
_SET_META_ONCE: Final = """
    INSERT INTO _streamhub_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"""


@contextmanager
def _meta_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    with translated(path, "recording the split"), closing(open_for_migration(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not columns_of(connection, "main", "_streamhub_meta"):
            # A monolith-era file has none yet, and the split comes before its upgrade.
            table = reference_structure(GLOBAL, GLOBAL.parity).tables["_streamhub_meta"]
            connection.execute(table.sql)
        yield connection
        connection.execute("COMMIT")

"""The global database up to head, and the bookkeeping of the split in its `_streamhub_meta`."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import copy_to_scratch
from streamhub_orm.engine.connections import (
    attach_read_only,
    open_for_migration,
    reading,
    translated,
    write_lock,
)
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.sql import columns_of, quoted
from streamhub_orm.errors import DatabaseFileError, SplitCleanupError
from streamhub_orm.legacy.sources import SPLIT_DONE, TABLES
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.transaction import run_upgrade
from streamhub_orm.migrations.upgrading import Upgraded, look_for_upgrade, transform, upgrade_file
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

SPLIT_BACKUP: Final = "per_app_split_backup"
OWN_SPLIT_BACKUP: Final = "streamhub_orm_split_backup"
"""Our own record of the backup: the Node core overwrites its key at the boot after a failed run."""
_BOOKKEEPING: Final = {"_streamhub_meta", "alembic_version", "sqlite_sequence"}

CLEANUP_BACKUP: Final = "streamhub_orm_cleanup_backup"
"""The backup made before the global copies of moved rows were deleted."""


def bring_global_to_head(path: Path, *, backup: Path | None = None) -> Upgraded:
    """Upgrade the global database; idempotent. Raises a `DatabaseFileError`, then as it was."""
    with folder_lock(path.parent):
        found = look_for_upgrade(path, GLOBAL)
        if found.state is State.CURRENT:
            return Upgraded(found.revision, found.revision, changed=False)
        return upgrade_file(path, GLOBAL, like=path, found=found, backup=backup)


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

    It must pass quick_check and hold every row of the file, but for what the interrupted run did
    itself: what a server wrote since then is in no backup yet.
    """
    backup = named_backup(path)
    if backup is None or backup.is_symlink() or not is_intact(backup):
        return None
    present = look_at(path, GLOBAL)
    if look_at(backup, GLOBAL).revision == present.revision:
        return backup if _hold_same_rows(backup, path) else None
    if present.state is not State.CURRENT:
        return None
    with TemporaryDirectory(prefix="streamhub-rehearsal-") as folder:
        upgraded = Path(folder) / path.name
        with suppress(DatabaseFileError):  # then nothing is known, and a new backup is made
            copy_to_scratch(backup, upgraded)
            transform(upgraded, GLOBAL, run=lambda connection: run_upgrade(connection, GLOBAL))
            return backup if _hold_same_rows(upgraded, path) else None
    return None


def _hold_same_rows(one: Path, other: Path) -> bool:
    """Tell whether two files hold the same rows, bookkeeping and times of creation left out."""
    with reading(one) as connection:
        attach_read_only(connection, other, "other")
        names = {
            name
            for schema in ("main", "other")
            for (name,) in connection.execute(
                f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' "  # noqa: S608 - one of two constants
                "AND sql NOT LIKE 'CREATE VIRTUAL%'"
            )
        }
        return all(_has_same_rows(connection, name) for name in names.difference(_BOOKKEEPING))


def _has_same_rows(connection: sqlite3.Connection, table: str) -> bool:
    columns = columns_of(connection, "main", table)
    if set(columns) != set(columns_of(connection, "other", table)):
        return False
    # The rows that an upgrade seeds tell when they were made.
    selected = ", ".join(quoted(name) for name in columns if name != "created_at") or "NULL"
    name = quoted(table)
    query = f"""SELECT (SELECT count(*) FROM main.{name}) = (SELECT count(*) FROM other.{name})
                AND NOT EXISTS (SELECT {selected} FROM other.{name}
                                EXCEPT SELECT {selected} FROM main.{name})"""  # noqa: S608 - quoted
    return bool(connection.execute(query).fetchone()[0])


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
    """Record the backup once and for all under our own key, and `for_core` under the core's.

    What is recorded stays: a later backup, made by a resumed run, is not the pre-split one.
    """
    first = named_backup(path)
    if first is not None and is_intact(first):
        backup = first
    with _meta_transaction(path) as connection:
        if for_core:
            connection.execute(_SET_META, (SPLIT_BACKUP, str(backup)))
        connection.execute(_SET_META_ONCE, (OWN_SPLIT_BACKUP, str(backup)))


def mark_split_done(path: Path) -> None:
    """Set `per_app_split_done`; only after the commits of all apps are on the disk."""
    with _meta_transaction(path) as connection:
        connection.execute(_SET_META, (SPLIT_DONE, "1"))


def empty_legacy_tables(path: Path, *, backup: Path) -> None:
    """Delete every row of the global streams, vods and ingress_auth; the tables stay.

    Raises `SplitCleanupError` where these tables are not, row by row, what the `backup` holds;
    then nothing was changed.
    """
    with _meta_transaction(path) as connection:
        attach_read_only(connection, backup, "backup")
        for table in TABLES:
            if columns_of(connection, "main", table):
                if not connection.execute(_IS_SAME.format(table=table)).fetchone()[0]:
                    finding = f"rows of {table} that came or changed since the backup was made"
                    raise SplitCleanupError(path, [finding])
                connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - a constant
        connection.execute(_SET_META_ONCE, (CLEANUP_BACKUP, str(backup)))


_IS_SAME: Final = """
    SELECT (SELECT count(*) FROM main.{table}) = (SELECT count(*) FROM backup.{table})
       AND NOT EXISTS (SELECT * FROM main.{table} EXCEPT SELECT * FROM backup.{table})"""


def read_meta(path: Path, key: str) -> str | None:
    """Return a text of the global `_streamhub_meta`, None where key or table is missing."""
    with reading(path) as connection:
        if not columns_of(connection, "main", "_streamhub_meta"):
            return None
        row = connection.execute(
            "SELECT value FROM _streamhub_meta WHERE key = ?", (key,)
        ).fetchone()
    return row[0] if row is not None and isinstance(row[0], str) else None


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

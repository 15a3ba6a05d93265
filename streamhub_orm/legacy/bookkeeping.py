"""Bookkeeping of the split in the global database: its backup, and that it is done."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import (
    open_for_migration,
    open_for_session,
    reading,
    translated,
)
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.legacy.global_rows import record_global_rows
from streamhub_orm.legacy.meta import read_value, write_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

SPLIT_DONE: Final = "per_app_split_done"
SPLIT_BACKUP: Final = "per_app_split_backup"
OWN_SPLIT_BACKUP: Final = "streamhub_orm_split_backup"
"""Our own record of the backup: the Node core overwrites its key at the boot after a failed run."""
CLEANUP_BACKUP: Final = "streamhub_orm_cleanup_backup"
"""The backup made before the global copies of moved rows were deleted."""
APP_DB_KEY: Final = "streamhub_orm_app_db:"
"""Begin of the keys that record, by its id, that an app has had an app.db."""
_META_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS _streamhub_meta (
        key TEXT PRIMARY KEY, value TEXT, updated_at TEXT NOT NULL DEFAULT (datetime('now')))"""
"""As the Node core creates it: a monolith-era file has none, and the split precedes its upgrade."""


def is_split(connection: sqlite3.Connection) -> bool:
    """Tell whether the global database says that the split is done."""
    return read_value(connection, SPLIT_DONE) == "1"


def recorded_app_ids(connection: sqlite3.Connection) -> frozenset[int]:
    """Return the registry ids of the apps that are known to have had an app.db."""
    if not columns_of(connection, "main", "_streamhub_meta"):
        return frozenset()
    query = "SELECT key FROM main._streamhub_meta WHERE key GLOB ?"
    return recorded_ids(key for (key,) in connection.execute(query, (f"{APP_DB_KEY}*",)))


def recorded_ids(keys: Iterable[str]) -> frozenset[int]:
    """Return the registry ids that these keys hold."""
    numbers = (key.removeprefix(APP_DB_KEY) for key in keys)
    return frozenset(int(it) for it in numbers if it.isascii() and it.isdigit())


def is_app_recorded(connection: sqlite3.Connection, app_id: int) -> bool:
    """Tell whether an app is known to have had an app.db."""
    return read_value(connection, f"{APP_DB_KEY}{app_id}") is not None


def record_apps(path: Path, ids: Mapping[int, str], *, wait: bool = True) -> None:
    """Record that apps have an app.db, by id and name: should it be missing later, it is lost.

    Ids are never given out again, so the record of a deleted app harms nobody. The record is not
    synced: one that a power loss takes is made again. Without `wait`, a `LockedDatabaseError` is
    raised at once: the lock may be this very thread's.
    """
    with translated(path, "recording an app"), closing(open_for_session(path)) as connection:
        if not wait:
            connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("BEGIN IMMEDIATE")
        with foreign_code_set_aside(connection, path):
            for app_id, name in ids.items():
                write_value(connection, f"{APP_DB_KEY}{app_id}", name, once=True)
        connection.execute("COMMIT")


def mark_split_done(path: Path) -> None:
    """Set `per_app_split_done`; only after the commits of all apps are on the disk."""
    with split_transaction(path) as connection:
        write_value(connection, SPLIT_DONE, "1")
        record_global_rows(connection)


def record_split_backup(path: Path, backup: Path, *, for_core: bool) -> None:
    """Record the backup once and for all under our own key, and `for_core` under the core's.

    What is recorded stays: a later backup, made by a resumed run, is not the pre-split one.
    """
    first = named_backup(path)
    if first is not None and is_intact(first):
        backup = first
    with split_transaction(path) as connection:
        if for_core:
            write_value(connection, SPLIT_BACKUP, str(backup))
        write_value(connection, OWN_SPLIT_BACKUP, str(backup), once=True)


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


def read_meta(path: Path, key: str) -> str | None:
    """Return a text of the global `_streamhub_meta`, None where key or table is missing."""
    with reading(path) as connection:
        return read_value(connection, key)


@contextmanager
def split_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the global database in a write transaction, with its `_streamhub_meta`."""
    with translated(path, "recording the split"), closing(open_for_migration(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with foreign_code_set_aside(connection, path):
            connection.execute(_META_TABLE)
            yield connection
        connection.execute("COMMIT")

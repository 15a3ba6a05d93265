"""`streamhub-db rollback`: the global database as it was before the split."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import file_mode, finish, sync, temporary_beside
from streamhub_orm.engine.backups import copy_verified, time_stamp
from streamhub_orm.engine.connections import fold_wal_in, reading, translated
from streamhub_orm.engine.database_files import mark_as_wal, remove_aliases
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.errors import (
    CorruptDatabaseError,
    DatabaseFileError,
    LockedDatabaseError,
    NotADatabaseError,
    RollbackError,
    UnfinishedError,
)
from streamhub_orm.legacy.bookkeeping import OWN_SPLIT_BACKUP, named_backup

if TYPE_CHECKING:
    from typing import NoReturn


@dataclass(frozen=True)
class Rollback:
    """What a rollback did, or in a dry run would do."""

    data_dir: Path
    global_db: Path
    restored: Path
    """The backup that is, or would be, the global database again."""
    set_aside: Path | None
    """Where the present database went; None in a dry run."""
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        """Return the document that `rollback --json` prints."""
        return {
            "ok": True,
            "error": None,
            "data_dir": str(self.data_dir),
            "dry_run": self.dry_run,
            "global_db": str(self.global_db),
            "restored": str(self.restored),
            "set_aside": None if self.set_aside is None else str(self.set_aside),
        }


def roll_back(data_dir: Path, *, to: Path | None = None, dry_run: bool = False) -> Rollback:
    """Put the recorded pre-split backup, or the file `to`, in the place of the global database.

    The present one is set aside under a new name, so that `to=<that file>` undoes the rollback.
    App databases are not touched: their rows and markers stay. Raises `RollbackError` for a backup
    that is missing or does not verify, `LockedDatabaseError` while another process has the
    database open; then nothing was changed.
    """
    place = DataDir.find(data_dir)
    with translated(place.global_db, "rolling it back"):
        if dry_run:
            return Rollback(place.root, place.global_db, _chosen(place, to), None, dry_run=True)
        with run_lock(place.lock_path):
            backup = _chosen(place, to)
            set_aside = _swap(place.global_db, backup)
    return Rollback(place.root, place.global_db, backup, set_aside, dry_run=False)


def _chosen(place: DataDir, to: Path | None) -> Path:
    """Return the backup that is asked for, verified."""
    backup = _recorded(place) if to is None else Path(os.path.abspath(to))  # noqa: PTH100 - resolve() would follow links
    place.require_no_link(backup.parent)
    if backup.is_symlink() or not backup.is_file():
        _refuse(backup, "no such regular file", "the backup of the global database")
    if backup.samefile(place.global_db):
        _refuse(backup, "the global database itself", "a backup of it")
    if not is_intact(backup):
        _refuse(backup, "a file that is no intact backup", "a database that passes quick_check")
    with reading(backup) as connection:
        if not columns_of(connection, "main", "apps"):
            _refuse(backup, "no table apps", "a backup of the global database")
    return backup


def _recorded(place: DataDir) -> Path:
    try:
        backup = named_backup(place.global_db)
    except (CorruptDatabaseError, NotADatabaseError) as error:
        _refuse(place.global_db, error.found, "a readable record of the pre-split backup")
    if backup is None:
        _refuse(place.global_db, "no recorded pre-split backup", f"one under {OWN_SPLIT_BACKUP}")
    return backup


def _refuse(path: Path, found: str, expected: str) -> NoReturn:
    todo = "Nothing was changed. Name an intact backup by --to FILE."
    raise RollbackError(path, found, expected, todo)


def _swap(global_db: Path, backup: Path) -> Path:
    """Put a copy of `backup` in place; at every instant the name leads to a whole database."""
    remove_aliases(global_db)
    with temporary_beside(global_db) as temporary:
        with translated(backup, "copying it"):
            copy_verified(backup, temporary)  # what its own -wal holds is in the copy, too
        mark_as_wal(temporary)
        finish(temporary, file_mode(global_db))
        _fold_wal_in(global_db)
        set_aside = _set_aside(global_db)
        try:
            temporary.replace(global_db)
        except OSError:
            remove_aliases(global_db)
            raise
        _sync_swap(global_db, backup, set_aside)
    return set_aside


def _sync_swap(global_db: Path, backup: Path, set_aside: Path) -> None:
    try:
        with translated(global_db, "bringing the swap to the disk"):
            sync(global_db.parent)
    except DatabaseFileError as error:
        done = f"{backup.name} is in its place, and the database until now is {set_aside}."
        todo = "Check the disk, then look at it with `streamhub-db check`."
        raise UnfinishedError(error.path, error, done, todo) from error


def _set_aside(global_db: Path) -> Path:
    """Give the present database a second name, which stays when the first one is taken."""
    while True:
        name = f"{global_db.name}.rolled-back-{time_stamp()}"
        with suppress(FileExistsError):  # a clock that went back may come to the same name
            os.link(global_db, global_db.with_name(name))
            break
    for suffix in ("-wal", "-journal", "-shm"):
        left = global_db.with_name(global_db.name + suffix)
        # Beside a damaged file alone is anything in it; the new file must not take it for its own.
        if left.exists() and left.stat().st_size and suffix != "-shm":
            left.replace(global_db.with_name(name + suffix))
        left.unlink(missing_ok=True)
    return global_db.with_name(name)


def _fold_wal_in(global_db: Path) -> None:
    """Bring the -wal's rows into the file and remove the -wal: it belongs to this inode.

    The exclusive lock also finds a server that still runs. A file that is so damaged that SQLite
    does not open it is what a rollback is for: it is set aside as it is.
    """
    try:
        fold_wal_in(global_db)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            return
        if error.sqlite_errorname != "SQLITE_BUSY":
            raise
        raise LockedDatabaseError(
            global_db,
            "another process that has it open",
            "to have it alone while it is swapped",
            "Stop the server and whatever else uses the database, then run again.",
        ) from error

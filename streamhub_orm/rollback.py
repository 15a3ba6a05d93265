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
from streamhub_orm.engine.backups import copy_verified, size_bytes, time_stamp
from streamhub_orm.engine.changes import Changes, command
from streamhub_orm.engine.connections import (
    is_busy,
    reading,
    roll_back_dead_write,
    translated,
)
from streamhub_orm.engine.database_files import mark_as_wal, remove_aliases
from streamhub_orm.engine.exchange import exchange, hold_the_same, require_room
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.errors import (
    CorruptDatabaseError,
    DatabaseFileError,
    LockedDatabaseError,
    NoGlobalFileError,
    NotADatabaseError,
    RollbackError,
)
from streamhub_orm.legacy.bookkeeping import OWN_SPLIT_BACKUP, named_backup
from streamhub_orm.migrations.global_database import refuse_promoted

if TYPE_CHECKING:
    from typing import NoReturn


@dataclass(frozen=True)
class Rollback:
    """Outcome of a rollback, or in a dry run its plan."""

    data_dir: Path
    global_db: Path
    restored: Path
    """The backup that is, or would be, the global database again."""
    set_aside: Path | None
    """The place that the present database went to; None in a dry run."""
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
    database open, and `PromotedDatabaseError` where a server holds it by now; then nothing was
    changed.
    """
    place = DataDir.find(data_dir)
    if place.global_url is not None:
        todo = "Nothing was changed. `streamhub-db backup restore` puts an older state on a server."
        raise NoGlobalFileError(str(place.global_url), "rollback", todo)
    refuse_promoted(place)
    if dry_run:
        with translated(place.global_db, "rolling it back"):
            return Rollback(place.root, place.global_db, _chosen(place, to), None, dry_run=True)
    changes = Changes([str(place.global_db)], finish="")
    with (
        changes.told(place.global_db, "rolling it back"),
        run_lock(place.lock_path),
    ):
        _end_dead_write(place.global_db)
        backup = _chosen(place, to)
        set_aside = _swap(place, backup, changes)
    return Rollback(place.root, place.global_db, backup, set_aside, dry_run=False)


def _end_dead_write(global_db: Path) -> None:
    """Let SQLite roll back what a killed rollback left half written; else nothing could read it."""
    if global_db.with_name(f"{global_db.name}-journal").exists():
        with suppress(DatabaseFileError):  # a damaged file is what a rollback is for
            roll_back_dead_write(global_db)


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


def _swap(place: DataDir, backup: Path, changes: Changes) -> Path:
    """Put a copy of `backup` in place; at every instant the name leads to a whole database."""
    global_db = place.global_db
    remove_aliases(global_db)
    _remove_copies(global_db, backup)
    set_aside = _new_name(global_db)
    changes.finish = command(place.root, "rollback", "--to", backup)
    changes.undo, changes.set_aside = command(place.root, "rollback", "--to", set_aside), set_aside
    require_room([(global_db, backup)], besides=size_bytes(backup))
    with temporary_beside(global_db) as temporary:
        with translated(backup, "copying it"):
            copy_verified(backup, temporary)  # what its own -wal holds is in the copy, too
        mark_as_wal(temporary)
        finish(temporary, file_mode(global_db))
        try:
            exchange(global_db, temporary, set_aside, changes.begin)
        except (sqlite3.Error, OSError) as error:
            if _is_damage(error) and not set_aside.exists():
                _rename(temporary, global_db, set_aside, changes)
            elif isinstance(error, sqlite3.Error) and is_busy(error):
                raise _in_use(global_db) from error
            else:
                if changes.begun and hold_the_same(global_db, temporary):
                    changes.new += changes.names
                elif set_aside.exists() and hold_the_same(global_db, set_aside):
                    set_aside.unlink()
                if not set_aside.exists():
                    changes.set_aside = None
                raise
    return set_aside


def _remove_copies(global_db: Path, backup: Path) -> None:
    """Remove what a run set aside that was killed before it changed the database itself."""
    for copy in list(global_db.parent.iterdir()):
        named = copy.name.startswith(f"{global_db.name}.rolled-back-") and copy.name.endswith("Z")
        is_copy = named and not copy.is_symlink() and copy.is_file()
        if is_copy and not copy.samefile(backup) and hold_the_same(global_db, copy):
            copy.unlink()


def _new_name(global_db: Path) -> Path:
    while True:  # a clock that went back may come to the same name
        path = global_db.with_name(f"{global_db.name}.rolled-back-{time_stamp()}")
        if not path.exists():
            return path


def _is_damage(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorname in {
        "SQLITE_NOTADB",
        "SQLITE_CORRUPT",
    }


def _rename(temporary: Path, global_db: Path, set_aside: Path, changes: Changes) -> None:
    """Set a file aside that is so damaged that SQLite does not open it, as it is."""
    os.link(global_db, set_aside)
    try:
        for suffix in ("-wal", "-journal", "-shm"):
            left = global_db.with_name(global_db.name + suffix)
            # Beside a damaged file alone is anything in it; the new one must not take it for its.
            if left.exists() and left.stat().st_size and suffix != "-shm":
                changes.begin()
                left.replace(set_aside.with_name(set_aside.name + suffix))
            left.unlink(missing_ok=True)
        changes.begin()
        temporary.replace(global_db)
    except OSError:
        remove_aliases(global_db)
        raise
    changes.new += changes.names
    sync(global_db.parent)


def _in_use(global_db: Path) -> LockedDatabaseError:
    return LockedDatabaseError(
        global_db,
        "another process that has it open",
        "to have it alone while it is swapped",
        "Stop the server and whatever else uses the database, then run again.",
    )

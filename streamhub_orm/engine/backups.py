"""The verified copy of a database file that must exist before anything changes it."""

from __future__ import annotations

import filecmp
import re
import shutil
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import (
    label_of,
    publish,
    remove_database,
    set_label,
    temporary_beside,
)
from streamhub_orm.engine.connections import (
    enlarge_cache,
    open_read_only,
    open_scratch,
    snapshot,
    translated,
)
from streamhub_orm.engine.database_files import mark_as_rollback
from streamhub_orm.engine.integrity import find_damage, refuse_damage, row_counts
from streamhub_orm.engine.vacuum import live_bytes
from streamhub_orm.errors import BackupError, SpaceError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_MOST_READ_AT_LEISURE_BYTES: Final = 64 * 1024 * 1024
"""Up to here quick_check, VACUUM INTO and count of a file take well under the busy timeout."""
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-\d{3}Z", re.ASCII)
_MARK: Final = ".bak-"
_FOR_NOW: Final = "for-now"


def back_up(path: Path) -> Path:
    """Back `path` up as `<file>.bak-<UTC time>` beside it and return that path.

    The copy has passed quick_check and has the tables and row counts of its source. Where a
    backup that is there already is byte for byte the same (a run that was interrupted made it),
    that one is returned and no second one is kept: equal files have equal copies. A source that
    does not pass quick_check itself is not backed up, since nothing should change it. Raises
    `BackupError`, `CorruptDatabaseError`, `SpaceError` or another `DatabaseFileError`; then
    nothing is left behind.
    """
    with translated(path, "making the backup"), temporary_beside(path) as temporary:
        _require_space(path)
        copy_verified(path, temporary)
        while True:
            for backup in list_backups(path):
                if _is_copy(temporary, backup, path):
                    keep_for_good(backup)  # from now on somebody relies on it
                    return backup
            target = _backup_path(path)
            # Another process may have taken this millisecond's name; perhaps for the same copy.
            with suppress(FileExistsError):
                _publish(temporary, target)
                return target


def mark_for_now(backup: Path) -> None:
    """Mark a backup that goes when its run ends; of a killed one, the next removes it."""
    set_label(backup, _FOR_NOW, "yes")


def keep_for_good(backup: Path) -> None:
    """Take the mark off."""
    set_label(backup, _FOR_NOW, None)


def is_for_now(backup: Path) -> bool:
    """Tell whether a backup is marked."""
    return label_of(backup, _FOR_NOW) is not None


def _publish(temporary: Path, target: Path) -> None:
    """Give the backup its name; where that cannot be brought to the disk, it has none."""
    try:
        publish(temporary, target, mode=0o600)
    except FileExistsError:
        raise
    except OSError:
        target.unlink(missing_ok=True)
        raise


def copy_to_scratch(path: Path, target: Path) -> None:
    """Copy a database for a rehearsal; `target` must be empty or missing."""
    with translated(path, "copying it for the rehearsal"):
        with closing(open_read_only(path)) as source, snapshot(source):
            _copy_snapshot(source, target)
        with closing(open_read_only(target)) as copy:
            refuse_damage(path, copy)


def list_backups(path: Path) -> list[Path]:
    """Return the backups beside `path`, oldest first (their names sort by time).

    A file that an operator named `<file>.bak-…` as he liked is none of them, and a link is none.
    """
    return sorted(
        entry
        for entry in path.parent.iterdir()
        if entry.name.startswith(path.name + _MARK)
        and _STAMP.fullmatch(entry.name.removeprefix(path.name + _MARK))
        and not entry.is_symlink()  # first: the owner may not even look where it leads
        and entry.is_file()
    )


def _is_copy(temporary: Path, backup: Path, path: Path) -> bool:
    """Tell whether a backup is byte for byte the same, and not the database under another name."""
    try:
        return not backup.samefile(path) and filecmp.cmp(temporary, backup, shallow=False)
    except OSError:  # another process has pruned it meanwhile, or it cannot be read any more
        return False


def prune_backups(path: Path, *, keep: int, protected: frozenset[str]) -> None:
    """Remove all but the newest `keep` backups beside `path`; never one that is `protected`."""
    for backup in list_backups(path)[:-keep]:
        if backup.name not in protected:
            with suppress(OSError):  # one that stays costs space, and no run should fail for it
                remove_database(backup)


def size_bytes(path: Path) -> int:
    """Return the size of a database file with its -wal, an upper bound for its backup."""
    return path.stat().st_size + wal_bytes(path)


def wal_bytes(path: Path) -> int:
    """Return the size of the -wal beside a database file; 0 where there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _require_space(path: Path) -> None:
    needed, free = size_bytes(path), shutil.disk_usage(path.parent).free
    if free < needed:
        raise SpaceError(
            path,
            f"{free} bytes free in {path.parent}",
            f"{needed} bytes for the backup",
            "Free space on this file system, then run again; nothing was changed.",
        )


def copy_verified(path: Path, target: Path) -> dict[str, int]:
    """Copy a database into `target` and verify the copy; return its rows by table.

    The copy has passed quick_check, has the tables and row counts of its source at one moment, and
    is a single file in rollback mode. What lies at `target` is overwritten. No writer is locked
    out: a file that nobody writes is copied by VACUUM INTO, which leaves unused pages out, any
    other one by `_copy_snapshot`. Raises `BackupError`, or what SQLite raises.
    """
    with closing(open_read_only(path)) as source:
        expected = _vacuum_if_quiet(path, source, target)
        if expected is None:
            with snapshot(source):
                _copy_snapshot(source, target)
                expected = row_counts(source)
        _verify(path, source, target, expected)
        return expected


def _vacuum_if_quiet(path: Path, source: sqlite3.Connection, target: Path) -> dict[str, int] | None:
    """Copy by VACUUM INTO and return the rows by table; None where somebody writes meanwhile.

    Copy and count are of one moment only if nobody committed from one to the other.
    """
    if _is_large_in_rollback_mode(source):
        return None
    version = _data_version(source)
    # The copy shows no damage of an index: VACUUM INTO builds those anew from the rows.
    refuse_damage(path, source)
    if _data_version(source) != version:
        return None
    target.write_bytes(b"")
    # Without the syncs of VACUUM: the copy counts only once `publish` has synced it.
    source.execute("PRAGMA synchronous = OFF")
    enlarge_cache(source)  # VACUUM gives its target the same
    source.execute("VACUUM INTO ?", (str(target),))
    counts = row_counts(source)
    return counts if _data_version(source) == version else None


def _copy_snapshot(source: sqlite3.Connection, target: Path) -> None:
    """Copy, page by page, what a connection inside a transaction sees, whoever writes meanwhile.

    In WAL mode no writer notices. In rollback mode any reader holds every writer off; there this
    takes the shortest time, about as long as the disk takes to read the file.
    """
    target.write_bytes(b"")
    with closing(open_scratch(target)) as copy:
        source.backup(copy)
    mark_as_rollback(target)  # the header is a copy, too


def _is_large_in_rollback_mode(source: sqlite3.Connection) -> bool:
    """Tell whether quick_check and VACUUM INTO would hold the writers of this file off for long."""
    mode: str = source.execute("PRAGMA journal_mode").fetchone()[0]
    return mode != "wal" and live_bytes(source) > _MOST_READ_AT_LEISURE_BYTES


def _verify(path: Path, source: sqlite3.Connection, target: Path, expected: dict[str, int]) -> None:
    with closing(open_read_only(target)) as copy:
        damage, found = find_damage(copy), row_counts(copy)
    if damage is not None or found != expected:
        refuse_damage(path, source)  # a copy of pages has the damage of its source
        raise BackupError(
            path,
            f"a copy that differs from its source ({damage or f'{found} rows'})",
            f"an intact copy with {expected} rows",
            "Check the disk and restore this file from an older backup; nothing was changed.",
        )


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def time_stamp() -> str:
    """Return the time in UTC as ISO 8601 with `:` and `.` as `-`, as backups are named."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")[:-3] + "Z"


def time_of(stamp: str) -> datetime | None:
    """Return the time, to the second, that `time_stamp` wrote so; None for any other text."""
    found = _STAMP.fullmatch(stamp)
    with suppress(ValueError):  # a 31st of June
        if found is not None:
            return datetime.strptime(found[1], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    return None


def _backup_path(path: Path) -> Path:
    return path.with_name(f"{path.name}{_MARK}{time_stamp()}")

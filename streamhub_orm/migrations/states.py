"""State of a database file, found by opening it read-only, without Alembic and an engine."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import list_backups
from streamhub_orm.engine.connections import reading, roll_back_dead_write
from streamhub_orm.engine.database_files import require_no_stray_wal
from streamhub_orm.engine.sqlite_errors import RESTORE_BACKUP, refuse_other_encoding
from streamhub_orm.errors import (
    AppDatabaseLostError,
    CorruptDatabaseError,
    DatabaseFileError,
    InterruptedWriteError,
    MissingDatabaseError,
    NewerDatabaseError,
    ReadOnlyDatabaseError,
    StreamHubError,
    UnadoptedDatabaseError,
)
from streamhub_orm.legacy.accounts import ACCOUNT_KEY
from streamhub_orm.legacy.sources import MARKERS
from streamhub_orm.migrations.adoption import adoptable_revision, refuse_other_world, require_world
from streamhub_orm.migrations.worlds import APP, CORE_USER_VERSION, GLOBAL

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.worlds import World


class State(StrEnum):
    """State of a file, in the words of `streamhub-db status`."""

    CURRENT = "current"
    BEHIND = "behind"
    UNADOPTED = "unadopted"
    NEWER = "newer"
    MISSING = "missing"
    LOST = "lost"
    UNREADABLE = "unreadable"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class FileState:
    """Findings of a look at one file."""

    state: State
    revision: str | None = None
    markers: frozenset[str] = frozenset()
    """Keys of `_streamhub_meta` whose value is 1."""
    account: str | None = None
    """The record of an app's legacy rows, as it stands in the file."""
    error: StreamHubError | None = None

    def without_account(self) -> FileState:
        """Return the state alone, which a fleet has few different ones of."""
        if self.account is None:
            return self
        return _found(self.state, self.revision, self.markers, None)


def look_at(path: Path, world: World) -> FileState:
    """Find the state of a file; one that cannot be used has the error that says why.

    A zero-byte file and a database without a table, which an interrupted open or creation leaves,
    count as missing.
    """
    try:
        if _size(path) == 0:
            return FileState(State.MISSING, error=missing(path))
        with reading(path) as connection:
            return read_state(connection, world, path)
    except DatabaseFileError as error:
        return unusable(error)


def unusable(error: StreamHubError | None) -> FileState:
    """Return the state of a file that cannot be used for this reason."""
    if isinstance(error, NewerDatabaseError):
        return FileState(State.NEWER, error=error)
    if isinstance(error, ReadOnlyDatabaseError):
        return FileState(State.UNREADABLE, error=error)
    return FileState(State.BROKEN, error=error)


def look_at_app(path: Path, app: str, *, recorded: bool) -> FileState:
    """Find the state of an app.db; one that was there before and is missing now is `lost`.

    It was there where our record in the global database says so (`recorded`), or where a backup of
    it lies beside it.
    """
    return _lost_or(look_at(path, APP), path, app, recorded=recorded)


def find_loss(path: Path, app: str, *, recorded: bool) -> StreamHubError | None:
    """Return the error of an app whose database is lost; None for one that is there or never was.

    For who has found no file, and has to tell what is lost from what nobody has opened yet.
    """
    found = look_at_app(path, app, recorded=recorded)
    return found.error if found.state is State.LOST else None


def _lost_or(found: FileState, path: Path, app: str, *, recorded: bool) -> FileState:
    if found.state is not State.MISSING:
        return found
    try:
        require_no_stray_wal(path)
    except DatabaseFileError as error:
        return FileState(State.BROKEN, error=error)
    backups = list_backups(path) if path.parent.is_dir() else []
    if not recorded and not backups:
        return found
    newest = backups[-1] if backups else None
    return FileState(State.LOST, error=AppDatabaseLostError(path, app, newest))


def look_for_upgrade(path: Path, world: World, *, recover: bool = True) -> FileState:
    """Find the state of a file; raise where it is there and an upgrade must not touch it.

    With `recover`, a journal that a killed writer left is rolled back first.
    """
    found = look_at(path, world)
    if recover and isinstance(found.error, InterruptedWriteError):
        roll_back_dead_write(path)
        found = look_at(path, world)
    if found.error is not None and found.state is not State.MISSING:
        raise found.error
    if found.state is State.UNADOPTED:
        _require_adoptable(path, world)
    return found


def look_for_app_upgrade(
    path: Path, app: str, *, recorded: bool, recover: bool = True
) -> FileState:
    """Do the same for an app.db; raise `AppDatabaseLostError` for one that is lost."""
    found = look_for_upgrade(path, APP, recover=recover)
    found = _lost_or(found, path, app, recorded=recorded)
    if found.error is not None and found.state is not State.MISSING:
        raise found.error
    return found


def imports_pending(found: FileState) -> bool:
    """Tell whether an app.db still lacks a marker of the split."""
    return not found.markers >= MARKERS


def is_done(found: FileState, world: World) -> bool:
    """Tell whether a file is at head and, if it is an app.db, has its legacy rows."""
    return found.state is State.CURRENT and not (world is APP and imports_pending(found))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def read_state(connection: sqlite3.Connection, world: World, path: Path) -> FileState:
    """Find the state through an open connection; raises what makes the file unusable."""
    try:
        rows = connection.execute(_ADOPTED).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        rows = []
    if not rows:
        rows = _read_piecemeal(connection)
    revisions = {revision for revision, _, _ in rows}
    if len(revisions) > 1:
        raise CorruptDatabaseError(
            path,
            f"{len(revisions)} rows in alembic_version",
            "one row",
            RESTORE_BACKUP,
        )
    (revision,) = revisions
    markers = frozenset(key for _, key, value in rows if value == "1")
    account = next((value for _, key, value in rows if key == ACCOUNT_KEY), None)
    _require_known_version(path, connection.execute("PRAGMA user_version").fetchone()[0])
    if revision is not None and not world.knows(revision):
        for other in (GLOBAL, APP):
            if other.knows(revision):
                refuse_other_world(path, other, world, f"revision {revision}")
        require_world(connection, world, path)
        raise newer(path, f"revision {revision}", f"a revision of the {world.name} history")
    if revision is None and not _has_tables(connection):
        return FileState(State.MISSING, error=missing(path))
    return _found(_state_at(revision, world), revision, markers, account)


@lru_cache(maxsize=64)
def _found(
    state: State, revision: str | None, markers: frozenset[str], account: str | None
) -> FileState:
    """Return the same object for files in the same state: a fleet has few different ones."""
    return FileState(state, revision, markers, account)


_KNOWN_KEYS: Final = f"value = '1' OR key = '{ACCOUNT_KEY}'"
# One statement for the common case: a fleet at head is opened, asked this, and closed. Revision
# and markers are of one moment by it.
_ADOPTED: Final = f"""
    SELECT version_num, key, value
    FROM alembic_version LEFT JOIN _streamhub_meta ON {_KNOWN_KEYS}"""  # noqa: S608 - constants


def _read_piecemeal(
    connection: sqlite3.Connection,
) -> list[tuple[str | None, str | None, str | None]]:
    """Read the same where alembic_version or `_streamhub_meta` is missing or empty."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    revisions: list[tuple[str | None]] = [(None,)]
    entries: list[tuple[str | None, str | None]] = [(None, None)]
    if "alembic_version" in tables:
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if "_streamhub_meta" in tables:
        query = f"SELECT key, value FROM _streamhub_meta WHERE {_KNOWN_KEYS}"  # noqa: S608
        entries = connection.execute(query).fetchall()
    return [
        (revision, *entry)
        for (revision,) in revisions or [(None,)]
        for entry in entries or [(None, None)]
    ]


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _state_at(revision: str | None, world: World) -> State:
    if revision is None:
        return State.UNADOPTED
    return State.CURRENT if revision == world.head else State.BEHIND


def _require_known_version(path: Path, version: int) -> None:
    if version > CORE_USER_VERSION:
        raise newer(path, f"user_version {version}", f"at most {CORE_USER_VERSION}")


def _require_adoptable(path: Path, world: World) -> None:
    """Raise where an unadopted file fits no state of the history, or cannot be attached to."""
    with reading(path) as connection:
        refuse_other_encoding(connection, path)
        adoptable_revision(connection, world, path)


def missing(path: Path) -> MissingDatabaseError:
    """Return the error for a file that is not there or has no bytes."""
    found = "an empty file or database" if path.exists() else "no such file"
    return MissingDatabaseError(
        path, found, "a StreamHub database", "Run `streamhub-db upgrade` to create it."
    )


def unadopted(path: Path, command: str) -> UnadoptedDatabaseError:
    """Return the error for a command that only an adopted file allows."""
    return UnadoptedDatabaseError(
        path,
        "no alembic_version",
        f"a file that an upgrade has adopted, since {command} changes no other",
        "Upgrade it first: `streamhub-db upgrade`, or `alembic upgrade head`.",
    )


def newer(path: Path, found: str, expected: str) -> NewerDatabaseError:
    """Return the error for a file that a later release wrote."""
    return NewerDatabaseError(
        path,
        found,
        expected,
        "A newer release has written this file: run that release or a later one.",
    )

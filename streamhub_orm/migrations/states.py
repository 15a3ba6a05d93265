"""The state of a database file, found by opening it read-only, without Alembic and an engine."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import reading
from streamhub_orm.errors import (
    CorruptDatabaseError,
    DatabaseFileError,
    MissingDatabaseError,
    NewerDatabaseError,
    StreamHubError,
    UnadoptedDatabaseError,
)
from streamhub_orm.migrations.adoption import adoptable_revision
from streamhub_orm.migrations.worlds import CORE_USER_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.worlds import World


class State(StrEnum):
    """Where a file stands, in the words of `streamhub-db status`."""

    CURRENT = "current"
    BEHIND = "behind"
    UNADOPTED = "unadopted"
    NEWER = "newer"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class FileState:
    """What a look at one file found."""

    state: State
    revision: str | None = None
    markers: frozenset[str] = frozenset()
    """Keys of `_streamhub_meta` whose value is 1."""
    error: StreamHubError | None = None


def look_at(path: Path, world: World) -> FileState:
    """Find the state of a file; a file that cannot be used is `broken` or `newer`, with the error.

    A zero-byte file and a database without a table, which an interrupted open or creation leaves,
    count as missing.
    """
    try:
        if _size(path) == 0:
            return FileState(State.MISSING, error=missing(path))
        with reading(path) as connection:
            return read_state(connection, world, path)
    except NewerDatabaseError as error:
        return FileState(State.NEWER, error=error)
    except DatabaseFileError as error:
        return FileState(State.BROKEN, error=error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read_state(connection: sqlite3.Connection, world: World, path: Path) -> FileState:
    """Find the state through an open connection; raises what makes the file unusable."""
    try:
        rows = connection.execute(_ADOPTED).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return _read_unadopted(connection, path)
    if len(rows) != 1:
        return _read_without_revision(connection, path, len(rows))
    revision, version, markers = rows[0]
    _require_known_version(path, version)
    state = State.CURRENT if revision == world.head else State.BEHIND
    if not world.knows(revision):
        raise newer(path, f"revision {revision}", f"a revision of the {world.name} history")
    return FileState(state, revision, frozenset((markers or "").split()))


# One statement for the common case: a fleet at head is opened, asked this, and closed.
_ADOPTED: Final = """
    SELECT version_num, user_version,
           (SELECT group_concat(key, ' ') FROM _streamhub_meta WHERE value = '1')
    FROM alembic_version, pragma_user_version"""


def _read_unadopted(connection: sqlite3.Connection, path: Path) -> FileState:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _require_known_version(path, version)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return FileState(State.MISSING, error=missing(path))
    markers = read_markers(connection) if "_streamhub_meta" in tables else frozenset[str]()
    revision = _revision(connection) if "alembic_version" in tables else None
    state = State.UNADOPTED if revision is None else State.BEHIND
    return FileState(state, revision, markers)


def _read_without_revision(connection: sqlite3.Connection, path: Path, versions: int) -> FileState:
    if versions > 1:
        raise CorruptDatabaseError(
            path,
            f"{versions} rows in alembic_version",
            "one row",
            "Restore this file from its newest backup (<file>.bak-…), then run again.",
        )
    return _read_unadopted(connection, path)


def _require_known_version(path: Path, version: int) -> None:
    if version > CORE_USER_VERSION:
        raise newer(path, f"user_version {version}", f"at most {CORE_USER_VERSION}")


def require_adoptable(path: Path, world: World) -> None:
    """Raise `UnknownStructureError` where an unadopted file fits no state of the history."""
    with reading(path) as connection:
        adoptable_revision(connection, world, path)


def read_markers(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the keys of `_streamhub_meta` that are set to 1."""
    rows = connection.execute("SELECT key FROM _streamhub_meta WHERE value = '1'")
    return frozenset(key for (key,) in rows)


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


def _revision(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])

"""Bring one file to head: back it up, then adopt, upgrade and import in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import roll_back_dead_write
from streamhub_orm.errors import InterruptedWriteError
from streamhub_orm.legacy.sources import MARKERS, Account
from streamhub_orm.migrations.adoption import adopt
from streamhub_orm.migrations.states import (
    FileState,
    State,
    look_at,
    read_state,
    require_adoptable,
)
from streamhub_orm.migrations.transaction import (
    migration_transaction,
    raw_connection,
    run_upgrade,
)
from streamhub_orm.migrations.worlds import APP

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.migrations.worlds import World


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did to one file."""

    from_revision: str | None
    """None for a file that was missing or not adopted."""
    to_revision: str | None
    backup: Path | None = None
    account: Account = field(default_factory=Account)
    changed: bool = True


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
        require_adoptable(path, world)
    return found


def nothing_left(found: FileState, world: World) -> bool:
    """Tell whether a file is at head and, if it is an app.db, has its legacy rows."""
    return found.state is State.CURRENT and not (world is APP and imports_pending(found))


def imports_pending(found: FileState) -> bool:
    """Tell whether an app.db still lacks a marker of the split."""
    return not found.markers >= MARKERS


def upgrade_file(  # noqa: PLR0913 - what the caller knows already is not looked up again
    path: Path,
    world: World,
    *,
    like: Path,
    found: FileState | None = None,
    backup: Path | None = None,
    finish: Callable[[sqlite3.Connection], Account] = lambda _: Account(),
) -> Upgraded:
    """Bring an existing file to head; `finish` runs in the same transaction, at head.

    The caller may hand in the state that it just `found`, and a `backup` made for this upgrade;
    otherwise a file that holds data is backed up first. Raises a `DatabaseFileError`, and then the
    file is as it was.
    """
    found = found or look_for_upgrade(path, world)
    if backup is None and found.state is not State.MISSING:
        backup = back_up(path, like=like)
    account = transform(path, world, run=lambda c: run_upgrade(c, world), finish=finish)
    return Upgraded(found.revision, world.head, backup, account)


def transform(
    path: Path,
    world: World,
    *,
    run: Callable[[sa.Connection], None],
    finish: Callable[[sqlite3.Connection], Account] = lambda _: Account(),
) -> Account:
    """Adopt the file if it is not yet, `run` revisions and `finish`, in one transaction.

    Read again inside the transaction: another process may have upgraded the file meanwhile.
    """
    with migration_transaction(path) as connection:
        raw = raw_connection(connection)
        if read_state(raw, world, path).state is State.UNADOPTED:
            adopt(connection, world, path)
        run(connection)
        return finish(raw)

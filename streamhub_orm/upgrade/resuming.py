"""Resuming an interrupted run: whether the backup that it recorded still serves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import attach_read_only, reading
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.sql import columns_of, quoted
from streamhub_orm.errors import DatabaseFileError
from streamhub_orm.legacy.bookkeeping import named_backup
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.upgrading import scratch_copy
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_BOOKKEEPING: Final = {"_streamhub_meta", "alembic_version", "sqlite_sequence"}


def recorded_backup(path: Path) -> Path | None:
    """Return the pre-split backup under our own key, if it still serves a resumed run.

    It must pass quick_check and hold every row of the file, but for what the interrupted run did
    itself: what a server wrote since then is in no backup yet.
    """
    backup = named_backup(path)
    if backup is None or backup.is_symlink() or not is_intact(backup):
        return None
    present = look_at(path, GLOBAL)
    before = look_at(backup, GLOBAL)
    if before.revision == present.revision:
        return backup if _hold_same_rows(backup, path) else None
    if present.state is not State.CURRENT:
        return None
    with suppress(DatabaseFileError), scratch_copy(backup, before) as upgraded:
        upgrade_global_file(upgraded, scratch=True)
        return backup if _hold_same_rows(upgraded, path) else None
    return None  # nothing is known of it, so a new backup is made


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

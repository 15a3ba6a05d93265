"""The SQL by which the Node core made its files, one step at a time.

Written from the facts in the schema reference alone: nothing here knows the package under test.
Steps are numbered as `PRAGMA user_version` counts them. Additions at run time have names of their
own, for they occur in any combination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .app_ddl import APP_STEPS, VODS_DB_LATE_COLUMNS, VODS_DB_STEPS
from .global_ddl import GLOBAL_MONOLITH, GLOBAL_RUNTIME, GLOBAL_STEPS, Addition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

__all__ = [
    "APP_STEPS",
    "GLOBAL_MONOLITH",
    "GLOBAL_RUNTIME",
    "GLOBAL_STEPS",
    "LITESTREAM",
    "VODS_DB_LATE_COLUMNS",
    "VODS_DB_STEPS",
    "Addition",
    "apply_runtime",
    "apply_steps",
    "apply_vods_db",
    "close_over_needs",
]

LITESTREAM: Final = """
CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
CREATE TABLE _litestream_lock (id INTEGER);
INSERT INTO _litestream_seq VALUES (1, 42);
"""
"""Tables of a replication tool, which are not the core's."""


def apply_steps(
    connection: sqlite3.Connection, steps: dict[int, str], upto: int, *, after: int = 0
) -> None:
    """Run the numbered steps as the core does, counting each in `user_version`."""
    for number in range(after + 1, upto + 1):
        connection.executescript(steps[number])
        connection.execute(f"PRAGMA user_version = {number}")


def close_over_needs(names: Iterable[str]) -> tuple[str, ...]:
    """Additions by name with all they build on, in the order in which they can be applied."""
    wanted = set(names)
    for name in tuple(wanted):
        wanted.update(GLOBAL_RUNTIME[name].needs)
    return tuple(name for name in GLOBAL_RUNTIME if name in wanted)


def apply_runtime(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Add at run time what the names say, without counting it in `user_version`."""
    for name in close_over_needs(names):
        connection.executescript(GLOBAL_RUNTIME[name].sql)


def apply_vods_db(connection: sqlite3.Connection, *, lacking: Iterable[str] = ()) -> None:
    """Make a legacy `vods.db`, without the columns that its age does not know."""
    apply_steps(connection, VODS_DB_STEPS, 2)
    for column in lacking:
        connection.execute(f"ALTER TABLE vods DROP COLUMN {column}")

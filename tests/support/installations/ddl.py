"""The SQL by which the Node core made its files, one step at a time.

It stands in `ddl.sql`; nothing here knows the package under test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Addition:
    """What the core adds at run time, the step it builds on, and the additions it builds on."""

    sql: str
    step: int
    needs: tuple[str, ...]


def read_parts(name: str) -> dict[str, str]:
    """Read an SQL file beside this module: its parts by name."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- name: (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


_SQL: Final = read_parts("ddl.sql")

APP_STEPS: Final[dict[int, str]] = {
    1: _SQL["streams"],
    2: _SQL["vods"],
    3: _SQL["ingress_auth"] + _SQL["_streamhub_meta"],
    **{step: _SQL[f"app {step}"] for step in range(4, 9)},
}
VODS_DB_LATE_COLUMNS: Final = ("metatags_json", "snapshot_key")
"""Columns that older `vods.db` files lack, in any combination."""

GLOBAL_STEPS: Final[dict[int, str]] = {
    **{step: _SQL[f"global {step}"] for step in (1, 2, 3)},
    4: _SQL["ingress_auth"],
    **{step: _SQL[f"global {step}"] for step in (5, 6, 8)},
    7: _SQL["global 7"] + _SQL["_streamhub_meta"],
}
GLOBAL_MONOLITH: Final = {table: _SQL[table] for table in ("streams", "vods")}
"""Tables that the oldest global databases held themselves."""
GLOBAL_RUNTIME: Final = {
    words[1]: Addition(sql, int(words[2]), tuple(words[3:]))
    for words, sql in ((part.split(), sql) for part, sql in _SQL.items())
    if words[0] == "addition"
}
"""Additions to the global file, which `user_version` does not count and any of which can occur."""

PASSWORD_RESETS: Final = _SQL["password_resets"]
"""A table that the first release with accounts added at run time, and that no later one reads."""

LITESTREAM: Final = _SQL["litestream"]
"""Tables of a replication tool, which are not the core's."""


def apply_steps(
    connection: sqlite3.Connection, steps: dict[int, str], upto: int, *, after: int = 0
) -> None:
    """Run the numbered steps as the core does, counting each in `user_version`."""
    for number in range(after + 1, upto + 1):
        connection.executescript(steps[number])
        connection.execute(f"PRAGMA user_version = {number}")


def apply_monolith(connection: sqlite3.Connection, step: int = 4) -> None:
    """Make the tables of a monolith's global file, up to a numbered step."""
    apply_steps(connection, GLOBAL_STEPS, step)
    for sql in GLOBAL_MONOLITH.values():
        connection.executescript(sql)


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
    """Make a legacy `vods.db`, without the columns that its age does not know.

    Its two steps are the first two of app.db.
    """
    apply_steps(connection, APP_STEPS, 2)
    for column in lacking:
        connection.execute(f"ALTER TABLE vods DROP COLUMN {column}")

"""Sources of an app's legacy rows: vods.db, global streams and vods, global ingress_auth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from streamhub_orm.durable_files import file_mode
from streamhub_orm.engine.connections import attach_read_only
from streamhub_orm.legacy.bookkeeping import is_split
from streamhub_orm.legacy.global_rows import GlobalRows, read_global_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.legacy.accounts import Fingerprint

# At 400 rows both ways take the same time, at 20,000 indices after the rows take two thirds.
_MANY_ROWS: Final = 1_000
_MANY_BYTES: Final = 512 * 1024
_BYTES_PER_ROW: Final = 400
"""Rough size of a row of vods.db with its indices."""

_PRIVATE: Final = 0o600

VODS_DB, GLOBAL_ROWS, GLOBAL_INGRESS = "vods_db", "global_rows", "global_ingress"


class Source(NamedTuple):
    """One source, its marker in the app's `_streamhub_meta`, and its rows of this app."""

    name: str
    marker: str
    schema: str
    tables: tuple[str, ...]
    row_filter: str
    """The condition for the rows `s` of this app; `{table}` stands for the table's name, `{part}`
    for where ids are restricted to a part of them."""

    def rows_of_app(self, table: str) -> str:
        """Return the condition for one table."""
        return self.row_filter.format(table=table, part="")

    def part_of_rows(self, table: str) -> str:
        """Return the condition for those with an id from `:first` to `:last`."""
        part = "id BETWEEN :first AND :last"
        return f"{self.row_filter.format(table=table, part=f' AND {part}')} AND s.{part}"


VODS_MARKER: Final = "vods_import_done"
# In the order in which they are imported: what came first wins.
SOURCES: Final = (
    Source(VODS_DB, VODS_MARKER, "legacy_db", ("streams", "vods"), "TRUE"),
    Source(
        GLOBAL_ROWS, "global_import_done", "global_db", ("streams", "vods"), "s.app_id = :app_id"
    ),
    Source(GLOBAL_INGRESS, "ingress_import_done", "global_db", ("ingress_auth",), "s.app = :app"),
)
ROWS_BY_INDEX: Final = """
    s.id IN (SELECT id FROM row_index.{table} WHERE app_id = :app_id{part}
             UNION ALL
             SELECT id FROM global_db.{table} WHERE app_id = :app_id{part}
                AND id > (SELECT highest_id FROM row_index.extents WHERE name = '{table}'))"""
"""The filter where a row index is there; rows that came after it was built are found too."""
MARKERS: Final = frozenset(source.marker for source in SOURCES)


@dataclass(frozen=True)
class GlobalState:
    """The global database as a source of legacy rows."""

    split_done: bool
    """True where `per_app_split_done` is 1."""
    rows: GlobalRows


NO_ROWS: Final = GlobalState(
    split_done=True,
    rows=GlobalRows(
        {"streams": 0, "vods": 0, "ingress_auth": 0},
        {"streams": {}, "vods": {}, "ingress_auth": {}},
    ),
)
"""The global database on a server: it is at the head of the split."""


def read_global_state(connection: sqlite3.Connection) -> GlobalState:
    """Read it through an open connection to the global database, whatever its schema step."""
    return GlobalState(is_split(connection), read_global_rows(connection))


@dataclass(frozen=True)
class LegacyFiles:
    """Places where the legacy rows of one app may lie."""

    app: str
    app_id: int
    global_db: Path | None
    """None where the global database is on a server: it holds no legacy rows."""
    vods_db: Path
    find_global: Callable[[], GlobalState]
    """Asked only where something is to be imported or counted: an app at head costs no look."""
    is_recorded: bool = False
    """True where our record in the global database says that the app has had an app.db."""
    create_missing: bool = False
    """True where an app whose database is lost is started anew, on purpose."""
    row_index: Path | None = None
    """File in which a run over many apps has looked up whose the global rows are."""

    @property
    def mode_of_new_file(self) -> int:
        """The permission bits of a new app.db: those of the global database."""
        return _PRIVATE if self.global_db is None else file_mode(self.global_db)

    @property
    def row_parameters(self) -> dict[str, object]:
        """The values that `Source.row_filter` names."""
        return {"app": self.app, "app_id": self.app_id}

    @cached_property
    def global_state(self) -> GlobalState:
        """The global database, looked at once."""
        return self.find_global()

    @property
    def global_rows(self) -> int:
        """Number of legacy rows of the app in the global database."""
        return self.global_state.rows.of(self.app, self.app_id)

    def hold_rows(self) -> bool:
        """Tell whether there is anything to import; a zero-byte vods.db holds nothing."""
        return self.vods_db_bytes() > 0 or self.global_rows > 0

    def are_large(self) -> bool:
        """Tell whether secondary indices are built faster after the rows than with them."""
        return self.global_rows > _MANY_ROWS or self.vods_db_bytes() > _MANY_BYTES

    def rows_about(self) -> int:
        """Estimate how many rows there are to import."""
        return self.global_rows + self.vods_db_bytes() // _BYTES_PER_ROW

    def vods_db_bytes(self) -> int:
        """Return the size of vods.db; 0 where there is none."""
        return _size_and_time(str(self.vods_db))[0]

    def fingerprint(self, source: Source) -> Fingerprint:
        """Return what tells whether a source has changed since it was last looked at.

        For vods.db size and time of the file and of a -wal that holds something; for the global
        tables the largest rowid of each.
        """
        if source.name != VODS_DB:
            return [self.global_state.rows.highest[table] for table in source.tables]
        size, time = _size_and_time(str(self.vods_db))
        wal_size, wal_time = _size_and_time(f"{self.vods_db}-wal")
        return [size, time, wal_size, wal_time if wal_size else 0] if size else None


def _size_and_time(path: str) -> tuple[int, int]:
    """Return size and time of change (ns) of a file; zeros where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - two for each of thousands of apps
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def attach_sources(connection: sqlite3.Connection, files: LegacyFiles) -> list[Source]:
    """Attach the sources that exist, read-only, and return them in order.

    ATTACH works inside a transaction, DETACH does not: the connection's close detaches them.
    """
    if files.global_db is None:
        connection.execute("ATTACH ':memory:' AS global_db")
    else:
        attach_read_only(connection, files.global_db, "global_db")
    sources = list(SOURCES)
    if files.row_index is not None:
        attach_read_only(connection, files.row_index, "row_index")
        sources[1] = sources[1]._replace(row_filter=ROWS_BY_INDEX)
    if files.vods_db_bytes() > 0:
        attach_read_only(connection, files.vods_db, "legacy_db")
        return sources
    return [source for source in sources if source.name != VODS_DB]

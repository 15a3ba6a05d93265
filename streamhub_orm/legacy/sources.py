"""The places where rows of an app may lie: vods.db, global streams/vods, global ingress_auth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from streamhub_orm.engine.connections import attach_read_only

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

# At 400 rows both ways take the same time, at 20,000 indices after the rows take two thirds.
_MANY_ROWS: Final = 1_000
_MANY_BYTES: Final = 512 * 1024
_BYTES_PER_ROW: Final = 400
"""What a row of vods.db takes with its indices, roughly."""

TABLES: Final = ("streams", "vods", "ingress_auth")
SPLIT_DONE: Final = "per_app_split_done"

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
class LegacyFiles:
    """Where the legacy rows of one app may lie."""

    app: str
    app_id: int
    global_db: Path
    vods_db: Path
    split_done: bool
    """Whether `per_app_split_done` was 1 when the run began."""
    global_rows: int
    """How many legacy rows of the app the global database holds."""
    row_index: Path | None = None
    """Where a run over many apps has looked up whose the global rows are."""

    @property
    def row_parameters(self) -> dict[str, object]:
        """The values that `Source.row_filter` names."""
        return {"app": self.app, "app_id": self.app_id}

    def hold_rows(self) -> bool:
        """Tell whether there is anything to import; a zero-byte vods.db holds nothing."""
        return self.global_rows > 0 or self.vods_db_bytes() > 0

    def are_large(self) -> bool:
        """Tell whether secondary indices are built faster after the rows than with them."""
        return self.global_rows > _MANY_ROWS or self.vods_db_bytes() > _MANY_BYTES

    def rows_about(self) -> int:
        """Estimate how many rows there are to import."""
        return self.global_rows + self.vods_db_bytes() // _BYTES_PER_ROW

    def vods_db_bytes(self) -> int:
        """Return the size of vods.db; 0 where there is none."""
        try:
            return self.vods_db.stat().st_size
        except FileNotFoundError:
            return 0


@dataclass(slots=True)
class RowCounts:
    """A number of rows per moved table."""

    streams: int = 0
    vods: int = 0
    ingress_auth: int = 0

    def add(self, table: str, count: int) -> None:
        """Add to the number of one table."""
        setattr(self, table, getattr(self, table) + count)

    def __add__(self, other: RowCounts) -> RowCounts:
        """Add table by table."""
        return RowCounts(*(getattr(self, name) + getattr(other, name) for name in TABLES))

    @property
    def total(self) -> int:
        """The rows of all tables together."""
        return self.streams + self.vods + self.ingress_auth


@dataclass(slots=True)
class Account:
    """What became of the legacy rows of one app."""

    imported: RowCounts = field(default_factory=RowCounts)
    """Rows that were copied into the app.db."""
    superseded: RowCounts = field(default_factory=RowCounts)
    """Rows whose place in the app.db is taken by one of the same key and other content."""
    unmatched: RowCounts = field(default_factory=RowCounts)
    """Rows of a source that was done before which are not found in the app.db."""


def attach_sources(connection: sqlite3.Connection, files: LegacyFiles) -> list[Source]:
    """Attach the sources that exist, read-only, and return them in order.

    ATTACH works inside a transaction, DETACH does not: the connection's close detaches them.
    """
    attach_read_only(connection, files.global_db, "global_db")
    sources = list(SOURCES)
    if files.row_index is not None:
        attach_read_only(connection, files.row_index, "row_index")
        sources[1] = sources[1]._replace(row_filter=ROWS_BY_INDEX)
    if files.vods_db_bytes() > 0:
        attach_read_only(connection, files.vods_db, "legacy_db")
        return sources
    return [source for source in sources if source.name != VODS_DB]

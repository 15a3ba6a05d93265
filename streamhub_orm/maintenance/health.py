"""How each database is: its size, what of it is unused, what its tables hold; read-only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import wal_bytes
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.integrity import broken_references, integrity_faults, row_counts
from streamhub_orm.errors import StreamHubError
from streamhub_orm.maintenance.selection import Selection, iter_databases

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.maintenance.selection import Database
    from streamhub_orm.migrations.states import State

_PAGES: Final = """
    SELECT page_size, page_count, freelist_count
    FROM pragma_page_size, pragma_page_count, pragma_freelist_count"""
DBSTAT_OPTION: Final = "ENABLE_DBSTAT_VTAB"
"""SQLite's word for having been built with dbstat, which knows the pages of each table."""


@dataclass(frozen=True)
class TableHealth:
    """What one table takes."""

    table: str
    rows: int
    bytes: int | None
    """The pages of the table and its indices; None where this SQLite was built without dbstat."""


@dataclass
class Health:
    """What was found in one file. Sizes are in bytes; None where the file could not be read."""

    name: str
    """`global`, or the name of the app."""
    path: Path | None
    state: State
    revision: str | None = None
    size_bytes: int | None = None
    wal_bytes: int | None = None
    page_size: int | None = None
    pages: int | None = None
    freelist_pages: int | None = None
    tables: list[TableHealth] = field(default_factory=list)
    """The largest first."""
    integrity: list[str] | None = None
    """What integrity_check says, unless it says ok; None where it was not asked."""
    foreign_keys: list[str] | None = None
    """Rows that point to no row; None where that was not asked."""
    error: str | None = None

    @property
    def fragmentation_percent(self) -> float | None:
        """The share of unused pages, which VACUUM gives back."""
        if self.pages is None or self.freelist_pages is None:
            return None
        return round(100 * self.freelist_pages / max(self.pages, 1), 1)

    @property
    def ok(self) -> bool:
        """Whether the file could be read, and whatever was asked found nothing wrong."""
        return not (self.error or self.integrity or self.foreign_keys)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `health --json`."""
        return {
            **asdict(self),
            "path": None if self.path is None else str(self.path),
            "state": str(self.state),
            "fragmentation_percent": self.fragmentation_percent,
            "ok": self.ok,
        }


def read_health(
    data_dir: Path, selection: Selection | None = None, *, full: bool = False
) -> Iterator[Health]:
    """Yield the health of each database selected; one that cannot be read stops no other.

    With `full`, integrity_check and foreign_key_check run too. Rows are counted and dbstat reads
    every page, so the whole of each file is read either way. Raises `DataDirError` where there
    is no installation, `UnknownAppError` for an app that is not registered.
    """
    place = DataDir.find(data_dir)
    for database in iter_databases(place, selection or Selection()):
        yield _health_of(database, full=full)


def _health_of(database: Database, *, full: bool) -> Health:
    found = database.look()
    health = Health(database.name, database.path, found.state, found.revision)
    if database.path is None or found.error is not None:
        health.error = str(found.error)
        return health
    try:
        with reading(database.path) as connection:
            connection.execute("BEGIN")  # one snapshot for all that follows
            _measure(connection, database.path, health)
            if full:
                health.integrity = integrity_faults(connection)
                health.foreign_keys = broken_references(connection)
    except StreamHubError as error:
        health.error = str(error)
    return health


def _measure(connection: sqlite3.Connection, path: Path, health: Health) -> None:
    health.size_bytes, health.wal_bytes = path.stat().st_size, wal_bytes(path)
    health.page_size, health.pages, health.freelist_pages = connection.execute(_PAGES).fetchone()
    sizes = _bytes_by_table(connection)
    tables = [
        TableHealth(table, rows, sizes.get(table, 0) if sizes is not None else None)
        for table, rows in row_counts(connection).items()
    ]
    health.tables = sorted(tables, key=lambda it: (-(it.bytes or 0), -it.rows, it.table))


def _bytes_by_table(connection: sqlite3.Connection) -> dict[str, int] | None:
    """Return the bytes of each table with its indices; None where SQLite has no dbstat."""
    options = {option for (option,) in connection.execute("PRAGMA compile_options")}
    if DBSTAT_OPTION not in options:
        return None
    return dict(
        connection.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) "
            "WHERE aggregate = 1 GROUP BY tbl_name"
        )
    )

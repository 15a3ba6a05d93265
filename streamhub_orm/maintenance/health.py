"""Health of each database: size, unused pages, rows and bytes of its tables; read-only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import wal_bytes
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.integrity import broken_references, integrity_faults, row_counts
from streamhub_orm.fleet import read_pages
from streamhub_orm.maintenance.selection import Selection, handle_each
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.maintenance.selection import Database
    from streamhub_orm.migrations.states import State

DBSTAT_OPTION: Final = "ENABLE_DBSTAT_VTAB"
"""SQLite's word for having been built with dbstat, which knows the pages of each table."""


@dataclass(frozen=True)
class TableHealth:
    """Rows and bytes of one table."""

    table: str
    rows: int
    bytes: int | None
    """The pages of the table and its indices; None where this SQLite was built without dbstat."""
    own_bytes: int | None
    """Those of the table alone."""


@dataclass
class Health:
    """Facts about one file. Sizes are in bytes; None where the file could not be read."""

    name: str
    """`global`, or the name of the app."""
    path: Path | None
    state: State
    revision: str | None = None
    server: str | None = None
    """Server of the global database, without its password; it has neither pages nor a -wal."""
    size_bytes: int | None = None
    wal_bytes: int | None = None
    page_size: int | None = None
    pages: int | None = None
    freelist_pages: int | None = None
    tables: list[TableHealth] = field(default_factory=list)
    """The largest first."""
    integrity: list[str] | None = None
    """Findings of integrity_check, none for ok; None where it was not run."""
    foreign_keys: list[str] | None = None
    """Rows that point to no row; None where foreign_key_check was not run."""
    error: str | None = None

    @property
    def fragmentation_percent(self) -> float | None:
        """The share of unused pages, which VACUUM gives back."""
        if self.pages is None or self.freelist_pages is None:
            return None
        return round(100 * self.freelist_pages / max(self.pages, 1), 1)

    @property
    def ok(self) -> bool:
        """True where the file could be read, and whatever was asked found nothing wrong."""
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
    data_dir: Path | DataDir,
    selection: Selection | None = None,
    *,
    full: bool = False,
    raises: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Health]:
    """Yield the health of each database selected; one that cannot be read stops no other.

    With `full`, integrity_check and foreign_key_check run too. Rows are counted and dbstat reads
    every page, so the whole of each file is read either way. With `raises`, the error of a database
    is raised and not recorded. `progress` is told how many databases are done, and of how many.
    Raises `DataDirError` where there is no installation, `UnknownAppError` for an app that is not
    registered.
    """
    place = DataDir.find(data_dir)
    return handle_each(
        place,
        selection or Selection(),
        partial(_begin, place),
        partial(_measure, full=full),
        on_server=partial(_measure_server, full=full),
        raises=raises,
        progress=progress,
    )


def _begin(place: DataDir, database: Database) -> Health:
    state = database.state
    server = place.global_url if database.world is GLOBAL else None
    return Health(
        database.name,
        database.path,
        state.state,
        state.revision,
        None if server is None else str(server),
    )


def _measure_server(connection: sa.Connection, health: Health, *, full: bool) -> None:
    """Measure a control plane; with `full`, references. Damage is the server's own to find."""
    from streamhub_orm.postgresql import measures  # noqa: PLC0415 - an extra

    health.size_bytes = measures.database_bytes(connection)
    health.tables = _sorted(TableHealth(*table) for table in measures.table_sizes(connection))
    if full:
        health.foreign_keys = measures.dangling_references(connection)


def _measure(path: Path, health: Health, *, full: bool) -> None:
    with reading(path) as connection:
        connection.execute("BEGIN")  # one snapshot for all that follows
        health.size_bytes, health.wal_bytes = path.stat().st_size, wal_bytes(path)
        health.page_size, health.pages, health.freelist_pages = read_pages(connection)
        health.tables = _tables(connection)
        if full:
            health.integrity = integrity_faults(connection)
            health.foreign_keys = broken_references(connection)


def _tables(connection: sqlite3.Connection) -> list[TableHealth]:
    sizes = _bytes_by_table(connection)
    tables = [
        TableHealth(table, rows, *(sizes.get(table, (0, 0)) if sizes is not None else (None, None)))
        for table, rows in row_counts(connection).items()
    ]
    return _sorted(tables)


def _sorted(tables: Iterable[TableHealth]) -> list[TableHealth]:
    return sorted(tables, key=lambda it: (-(it.bytes or 0), -it.rows, it.table))


def _bytes_by_table(connection: sqlite3.Connection) -> dict[str, tuple[int, int]] | None:
    """Return the bytes of each table with its indices, and alone; None where there is no dbstat."""
    options = {option for (option,) in connection.execute("PRAGMA compile_options")}
    if DBSTAT_OPTION not in options:
        return None
    found = connection.execute(
        "SELECT tbl_name, sum(pgsize), total(iif(type = 'table', pgsize, 0)) "
        "FROM dbstat JOIN sqlite_master USING (name) WHERE aggregate = 1 GROUP BY tbl_name"
    )
    return {table: (everything, int(alone)) for table, everything, alone in found}

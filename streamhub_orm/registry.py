"""What the global database says about the apps, read without knowing its schema step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.errors import UnknownAppError, UnknownStructureError
from streamhub_orm.legacy.sources import SPLIT_DONE, LegacyFiles, RowCounts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir


@dataclass(frozen=True)
class Registry:
    """The apps by name, whether the split is done, and where legacy rows lie."""

    global_db: Path
    ids: dict[str, int]
    """`apps.id` by name, in the order of the ids; names may lie outside the allow-list."""
    split_done: bool
    rows_by_id: dict[int, int]
    """Number of rows in global streams and vods, for each `app_id` that has any."""
    ingress_by_name: dict[str, int]
    """Number of rows in global ingress_auth, for each `app` that has any."""
    orphans: RowCounts
    """Rows of the global tables that belong to no registered app."""

    def has_global_rows(self, name: str) -> bool:
        """Tell whether the global database holds legacy rows of this app."""
        return self.global_rows(name) > 0

    def global_rows(self, name: str) -> int:
        """Return how many legacy rows of this app the global database holds."""
        return self.rows_by_id.get(self.ids[name], 0) + self.ingress_by_name.get(name, 0)

    def require(self, names: Iterable[str]) -> None:
        """Raise `UnknownAppError` for the first name that is not registered."""
        for name in names:
            if name not in self.ids:
                raise UnknownAppError(name, self.global_db, list(self.ids))

    def legacy_files(self, name: str, vods_db: Path, row_index: Path | None = None) -> LegacyFiles:
        """Return where the legacy rows of one app may lie."""
        self.require([name])
        return LegacyFiles(
            name,
            self.ids[name],
            self.global_db,
            vods_db,
            self.split_done,
            self.global_rows(name),
            row_index,
        )


def read_registry(global_db: Path) -> Registry:
    """Read the registry; raises a `DatabaseFileError` where the file cannot be used."""
    with reading(global_db) as connection:
        if not columns_of(connection, "main", "apps"):
            raise UnknownStructureError(global_db, ["table apps is missing"])
        ids = dict(connection.execute("SELECT name, id FROM apps ORDER BY id"))
        rows = _counted_by(connection, "app_id", ("streams", "vods"))
        ingress = _counted_by(connection, "app", ("ingress_auth",))
        split_done = _is_split(connection)
    known = frozenset(ids.values())
    orphans = RowCounts()
    for table, owner, count in rows:
        orphans.add(table, 0 if owner in known else count)
    for table, owner, count in ingress:
        orphans.add(table, 0 if owner in ids else count)
    return Registry(
        global_db,
        ids,
        split_done,
        _totals(rows),
        _totals(ingress),
        orphans,
    )


def find_legacy_files(place: DataDir, name: str) -> LegacyFiles:
    """Return where the legacy rows of one app may lie.

    Raises `UnknownAppError` for a name that is not registered.
    """
    with reading(place.global_db) as connection:
        return look_up_legacy_files(connection, place, name)


def look_up_legacy_files(connection: sqlite3.Connection, place: DataDir, name: str) -> LegacyFiles:
    """Do the same through an open connection to the global database."""
    vods_db = place.legacy_db(name)
    row = connection.execute("SELECT id FROM apps WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = connection.execute("SELECT name FROM apps ORDER BY id").fetchall()
        raise UnknownAppError(name, place.global_db, [known for (known,) in names])
    rows = sum(
        _count(connection, table, owner, value)
        for table, owner, value in (
            ("streams", "app_id", row[0]),
            ("vods", "app_id", row[0]),
            ("ingress_auth", "app", name),
        )
    )
    return LegacyFiles(name, row[0], place.global_db, vods_db, _is_split(connection), rows)


def count_global_rows(global_db: Path) -> RowCounts:
    """Count all rows of the global tables that the split moves, whoever they belong to."""
    counts = RowCounts()
    with reading(global_db) as connection:
        for table, owner in _OWNERS.items():
            for _, _, count in _counted_by(connection, owner, (table,)):
                counts.add(table, count)
    return counts


def list_orphans(global_db: Path, *, limit: int) -> list[str]:
    """Name, in words, the first `limit` rows that belong to no registered app."""
    found: list[str] = []
    with reading(global_db) as connection:
        for table, owner in _OWNERS.items():
            if owner not in columns_of(connection, "main", table):
                continue
            key, known = _KEYS[table], "name" if table == "ingress_auth" else "id"
            query = f"""SELECT {owner}, {key} FROM {table} WHERE {owner} IS NULL
                        OR {owner} NOT IN (SELECT {known} FROM apps) LIMIT ?"""  # noqa: S608 - constants of this module
            rows = connection.execute(query, (limit - len(found),))
            found += [f"{table}: {owner} {whose!r}, {key} {it!r}" for whose, it in rows]
    return found


_OWNERS: Final = {"streams": "app_id", "vods": "app_id", "ingress_auth": "app"}
_KEYS: Final = {"streams": "stream_id", "vods": "name", "ingress_auth": "ingress_id"}


def _count(connection: sqlite3.Connection, table: str, owner: str, value: object) -> int:
    if owner not in columns_of(connection, "main", table):
        return 0
    query = f"SELECT count(*) FROM {table} WHERE {owner} = ?"  # noqa: S608 - names of this module
    return int(connection.execute(query, (value,)).fetchone()[0])


def _totals(counted: list[tuple[str, Any, int]]) -> dict[Any, int]:
    totals: dict[Any, int] = {}
    for _, owner, count in counted:
        totals[owner] = totals.get(owner, 0) + count
    return totals


def _is_split(connection: sqlite3.Connection) -> bool:
    if not columns_of(connection, "main", "_streamhub_meta"):
        return False
    query = "SELECT 1 FROM _streamhub_meta WHERE key = ? AND value = '1'"
    return connection.execute(query, (SPLIT_DONE,)).fetchone() is not None


def _counted_by(
    connection: sqlite3.Connection, owner: str, tables: tuple[str, ...]
) -> list[tuple[str, Any, int]]:
    """Return table, owner and number of rows, for each owner that has rows in a legacy table."""
    return [
        (table, value, count)
        for table in tables
        if owner in columns_of(connection, "main", table)
        for value, count in connection.execute(
            f"SELECT {owner}, count(*) FROM {table} GROUP BY {owner}"  # noqa: S608 - constants of this module
        )
    ]

"""Legacy rows in the global database: how many are whose, counted once, and which ids these are."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.engine.connections import attach_read_only, open_scratch, reading
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.legacy.accounts import TABLES, RowCounts
from streamhub_orm.legacy.meta import read_value, write_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping
    from pathlib import Path

RECORD_KEY: Final = "streamhub_orm_global_rows"
"""Under which the counts are recorded."""
_OWNERS: Final = {"streams": "app_id", "vods": "app_id", "ingress_auth": "app"}
"""The column of each table that says whose a row is: the app's id, or its name."""
_NAMES: Final = {"streams": "stream_id", "vods": "name", "ingress_auth": "ingress_id"}


@dataclass(frozen=True)
class GlobalRows:
    """The rows of the global streams, vods and ingress_auth, counted by their owners."""

    highest: Mapping[str, int]
    """The largest rowid of each table, 0 where it is empty or missing: its fingerprint."""
    counts: Mapping[str, Mapping[Any, int]]
    """For each table, the number of rows of each owner: an app's id, or its name."""

    def are_current(self, connection: sqlite3.Connection) -> bool:
        """Tell whether no row has come to any of the tables since."""
        return self.highest == _highest(connection)

    def of(self, name: str, app_id: int) -> int:
        """Return how many rows belong to an app."""
        owners = {"streams": app_id, "vods": app_id, "ingress_auth": name}
        return sum(self.counts[table].get(owner, 0) for table, owner in owners.items())

    def orphans(self, ids: Mapping[str, int]) -> RowCounts:
        """Return how many rows belong to none of the apps whose ids are given by name."""
        known: dict[str, Collection[object]] = {
            "streams": frozenset(ids.values()),
            "vods": frozenset(ids.values()),
            "ingress_auth": ids.keys(),
        }
        return RowCounts(
            *(
                sum(n for owner, n in self.counts[table].items() if owner not in known[table])
                for table in TABLES
            )
        )

    @property
    def all(self) -> RowCounts:
        """The rows of each table, whoever they belong to."""
        return RowCounts(*(sum(self.counts[table].values()) for table in TABLES))


def read_global_rows(connection: sqlite3.Connection) -> GlobalRows:
    """Return the counts, by the record where no table has changed since it was written.

    Counting reads both tables from end to end: they have no index on app_id.
    """
    recorded = _read_record(connection)
    if recorded is not None and recorded.are_current(connection):
        return recorded
    return count_global_rows(connection)


def count_global_rows(connection: sqlite3.Connection) -> GlobalRows:
    """Count every row anew, whatever is recorded."""
    return GlobalRows(_highest(connection), {table: _count(connection, table) for table in TABLES})


def record_global_rows(connection: sqlite3.Connection) -> None:
    """Write the counts into `_streamhub_meta`, in the caller's transaction."""
    rows = read_global_rows(connection)
    counts = {table: list(owners.items()) for table, owners in rows.counts.items()}
    try:
        text = json.dumps({"highest": rows.highest, "counts": counts}, separators=(",", ":"))
    except TypeError:  # an owner that is a BLOB: such a table is counted each time
        return
    write_value(connection, RECORD_KEY, text)


def _read_record(connection: sqlite3.Connection) -> GlobalRows | None:
    try:
        found = json.loads(read_value(connection, RECORD_KEY) or "null")
        return found and GlobalRows(
            found["highest"], {table: dict(found["counts"][table]) for table in TABLES}
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _highest(connection: sqlite3.Connection) -> dict[str, int]:
    query = "SELECT coalesce(max(rowid), 0) FROM main."
    return {
        table: int(connection.execute(query + table).fetchone()[0])
        if owner in columns_of(connection, "main", table)
        else 0
        for table, owner in _OWNERS.items()
    }


def _count(connection: sqlite3.Connection, table: str) -> dict[Any, int]:
    owner = _OWNERS[table]
    if owner not in columns_of(connection, "main", table):
        return {}
    query = f"SELECT {owner}, count(*) FROM main.{table} GROUP BY {owner}"  # noqa: S608 - constants
    return dict(connection.execute(query))


def list_orphans(global_db: Path, *, limit: int) -> list[str]:
    """Name, in words, the first `limit` rows that belong to no registered app."""
    found: list[str] = []
    with reading(global_db) as connection:
        for table, owner in _OWNERS.items():
            if owner not in columns_of(connection, "main", table):
                continue
            key, known = _NAMES[table], "name" if table == "ingress_auth" else "id"
            query = f"""SELECT {owner}, {key} FROM {table} WHERE {owner} IS NULL
                        OR {owner} NOT IN (SELECT {known} FROM apps) LIMIT ?"""  # noqa: S608 - constants of this module
            rows = connection.execute(query, (limit - len(found),))
            found += [f"{table}: {owner} {whose!r}, {key} {it!r}" for whose, it in rows]
    return found


def build_row_index(global_db: Path, target: Path) -> Path:
    """Write the ids of the global streams and vods, sorted by app, into `target` and return it.

    Where many apps are imported, each would read both tables from end to end without it: the work
    would grow with the square of the fleet.
    """
    target.touch(mode=0o600)
    with closing(open_scratch(target)) as connection:
        attach_read_only(connection, global_db, "global_db")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE extents (name TEXT PRIMARY KEY, highest_id INTEGER)")
        for table in ("streams", "vods"):
            connection.execute(
                f"CREATE TABLE {table} (app_id INTEGER, id INTEGER, PRIMARY KEY (app_id, id)) "
                "WITHOUT ROWID"
            )
            if columns_of(connection, "global_db", table):
                connection.execute(
                    f"INSERT INTO {table} SELECT app_id, id FROM global_db.{table} "  # noqa: S608 - constants of this module
                    "WHERE app_id IS NOT NULL ORDER BY app_id, id"
                )
            connection.execute(
                f"INSERT INTO extents SELECT '{table}', coalesce(max(id), 0) FROM {table}"  # noqa: S608
            )
        connection.execute("COMMIT")
    return target

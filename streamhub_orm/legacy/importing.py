"""Copying legacy rows into an app.db by SQL alone, inside the caller's transaction.

The rules are those of the split: what the app.db already holds comes first, then the sources in
their order. Columns are matched by name; one that the source lacks takes its default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import quoted
from streamhub_orm.legacy.matching import count_unmatched, same_row
from streamhub_orm.legacy.sources import (
    GLOBAL_ROWS,
    MARKERS,
    Account,
    LegacyFiles,
    Source,
    attach_sources,
    columns_of,
)

if TYPE_CHECKING:
    import sqlite3

_NUMBERED: Final = frozenset({"streams", "vods"})


def import_legacy(connection: sqlite3.Connection, files: LegacyFiles) -> Account:
    """Import every source that is not done yet, count the rows of the others, set the markers.

    The connection is an app.db at head, with a write transaction begun. Running it again changes
    nothing: a marker is final, so that what was deleted since does not come back.
    """
    account = Account()
    sources = attach_sources(connection, files)
    done = _markers(connection)
    forgotten = _was_forgotten(connection, files, sources, done)
    pending = [
        source
        for source in sources
        if source.marker not in done and (source.name != GLOBAL_ROWS or forgotten)
    ]
    for source in pending:
        _import_source(connection, source, files, account)
    # Last, since a row that one source lost may have come from another.
    for source in sources:
        if source not in pending:
            _count_source(connection, source, files, account)
    connection.executemany(
        "INSERT INTO _streamhub_meta (key, value) VALUES (?, '1') "
        "ON CONFLICT (key) DO UPDATE SET value = '1', updated_at = datetime('now')",
        [(marker,) for marker in sorted(MARKERS - done)],
    )
    return account


def account_of(connection: sqlite3.Connection, files: LegacyFiles) -> Account:
    """Count the unmatched rows of an app whose imports are all done; nothing is written."""
    account = Account()
    for source in attach_sources(connection, files):
        _count_source(connection, source, files, account)
    return account


def _count_source(
    connection: sqlite3.Connection, source: Source, files: LegacyFiles, account: Account
) -> None:
    for table in source.tables:
        missing = count_unmatched(connection, source, table, files)
        account.unmatched.add(table, missing)


def _import_source(
    connection: sqlite3.Connection, source: Source, files: LegacyFiles, account: Account
) -> None:
    for table in source.tables:
        if columns_of(connection, source.schema, table):
            _import_table(connection, source, table, files, account)


def _markers(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT key FROM main._streamhub_meta WHERE value = '1'")
    return {key for (key,) in rows} & MARKERS


def _was_forgotten(
    connection: sqlite3.Connection, files: LegacyFiles, sources: list[Source], done: set[str]
) -> bool:
    """Tell whether the global streams and vods are still to be imported.

    Where the Node core has set `per_app_split_done`, it has either copied the app's global rows
    or never looked at them. One row found in the app.db tells that it copied; the missing ones
    were then deleted since. Judged by what app.db holds before anything is imported.
    """
    if not files.split_done:
        return True
    for source in sources:
        if source.name != GLOBAL_ROWS or source.marker in done:
            continue
        for table in source.tables:
            columns = columns_of(connection, source.schema, table)
            if columns and _any_found(connection, source, table, columns, files):
                return False
    return True


def _any_found(
    connection: sqlite3.Connection,
    source: Source,
    table: str,
    columns: list[str],
    files: LegacyFiles,
) -> bool:
    query = f"""SELECT EXISTS (SELECT 1 FROM {source.schema}.{table} s JOIN main.{table} t
                ON {same_row(table, columns, with_id=False)} WHERE {source.row_filter})"""  # noqa: S608 - names are constants, values are bound
    return bool(connection.execute(query, files.row_parameters).fetchone()[0])


def _import_table(
    connection: sqlite3.Connection,
    source: Source,
    table: str,
    files: LegacyFiles,
    account: Account,
) -> None:
    available = columns_of(connection, source.schema, table)
    shared = [name for name in columns_of(connection, "main", table) if name in available]
    match = same_row(table, available, with_id=True)
    content = [name for name in shared if name != "id"]
    equal = " AND ".join(f"s.{quoted(name)} IS t.{quoted(name)}" for name in content)
    rows = f"FROM {source.schema}.{table} s"
    superseded = connection.execute(
        f"SELECT count(*) {rows} JOIN main.{table} t ON {match} "  # noqa: S608
        f"WHERE {source.row_filter} AND NOT ({equal})",
        files.row_parameters,
    ).fetchone()[0]
    account.superseded.add(table, superseded)
    if table in _NUMBERED:
        inserted = _insert_numbered(connection, source, table, content, match, files)
    else:
        inserted = _insert(connection, source, table, content, match, files)
    account.imported.add(table, inserted)


def _insert(
    connection: sqlite3.Connection,
    source: Source,
    table: str,
    columns: list[str],
    match: str,
    files: LegacyFiles,
) -> int:
    names = ", ".join(quoted(name) for name in columns)
    selected = ", ".join(f"s.{quoted(name)}" for name in columns)
    connection.execute(
        f"INSERT INTO main.{table} ({names}) SELECT {selected} FROM {source.schema}.{table} s "  # noqa: S608
        f"WHERE {source.row_filter} AND NOT EXISTS (SELECT 1 FROM main.{table} t WHERE {match})",
        files.row_parameters,
    )
    return _changes(connection)


def _insert_numbered(
    connection: sqlite3.Connection,
    source: Source,
    table: str,
    columns: list[str],
    match: str,
    files: LegacyFiles,
) -> int:
    """Insert the rows that are not there; a row whose integer id is taken gets a new one.

    New ids lie above every id of the target and of all sources, so they never take the place of
    a row that is yet to come.
    """
    names = ", ".join(quoted(name) for name in columns)
    selected = ", ".join(f"p.{quoted(name)}" for name in columns)
    statement = f"""
        WITH pending AS (
            SELECT s.*, EXISTS (SELECT 1 FROM main.{table} t WHERE t.id = s.id) AS taken
            FROM {source.schema}.{table} s
            WHERE {source.row_filter}
              AND NOT EXISTS (SELECT 1 FROM main.{table} t WHERE {match})
        )
        INSERT INTO main.{table} (id, {names})
        SELECT CASE WHEN p.taken
                    THEN :highest_id + row_number() OVER (PARTITION BY p.taken ORDER BY p.id)
                    ELSE p.id END, {selected}
        FROM pending p ORDER BY p.id"""  # noqa: S608
    parameters = {**files.row_parameters, "highest_id": _highest_id(connection, table)}
    connection.execute(statement, parameters)
    return _changes(connection)


def _changes(connection: sqlite3.Connection) -> int:
    """Return the rows of the last INSERT; the driver's rowcount knows none that begins with WITH."""
    return int(connection.execute("SELECT changes()").fetchone()[0])


def _highest_id(connection: sqlite3.Connection, table: str) -> int:
    schemas = [row[1] for row in connection.execute("PRAGMA database_list")]
    with_ids = [schema for schema in schemas if "id" in columns_of(connection, schema, table)]
    numbers = [
        connection.execute(f"SELECT coalesce(max(id), 0) FROM {schema}.{table}").fetchone()[0]  # noqa: S608
        for schema in with_ids
    ]
    sequence = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM main.sqlite_sequence WHERE name = ?", (table,)
    ).fetchone()[0]
    return int(max(sequence, *numbers))


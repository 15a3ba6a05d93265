"""Copying legacy rows into an app.db by SQL alone, inside the caller's transaction.

The rules are those of the split: what the app.db already holds comes first, then the sources in
their order. Columns are matched by name; one that the source lacks takes its default.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streamhub_orm.engine.sql import columns_of
from streamhub_orm.legacy.matching import any_found, count_unmatched
from streamhub_orm.legacy.progress import Progress, RowProgress, silent
from streamhub_orm.legacy.sources import (
    GLOBAL_ROWS,
    MARKERS,
    Account,
    LegacyFiles,
    Source,
    attach_sources,
)
from streamhub_orm.legacy.table_copy import TableCopy

if TYPE_CHECKING:
    import sqlite3

_log = logging.getLogger(__name__)


def import_legacy(
    connection: sqlite3.Connection, files: LegacyFiles, progress: Progress = silent
) -> Account:
    """Import every source that is not done yet, count the rows of the others, set the markers.

    The connection is an app.db at head, with a write transaction begun. Running it again changes
    nothing: a marker is final, so that what was deleted since does not come back.
    """
    account = Account()
    done = _markers(connection)
    if not files.hold_rows():
        set_markers(connection, MARKERS - done)
        return account
    sources = attach_sources(connection, files)
    forgotten = _was_forgotten(connection, files, sources)
    pending = [
        source
        for source in sources
        if source.marker not in done and (source.name != GLOBAL_ROWS or forgotten)
    ]
    rows = RowProgress(files, progress)
    for source in pending:
        _import_source(connection, source, files, account, rows)
    rows.end()
    # Last, since a row that one source lost may have come from another.
    for source in sources:
        if source not in pending:
            _count_source(connection, source, files, account)
    set_markers(connection, MARKERS - done)
    return account


def account_of(connection: sqlite3.Connection, files: LegacyFiles) -> Account:
    """Count the unmatched rows of an app whose imports are all done; nothing is written."""
    account = Account()
    for source in attach_sources(connection, files):
        _count_source(connection, source, files, account)
    return account


def _import_source(
    connection: sqlite3.Connection,
    source: Source,
    files: LegacyFiles,
    account: Account,
    rows: RowProgress,
) -> None:
    for table in source.tables:
        if columns_of(connection, source.schema, table):
            copy = TableCopy(
                connection, source, table, files.row_parameters, rows.parts, rows.copied
            )
            account.superseded.add(table, copy.count_superseded())
            account.imported.add(table, copy.insert_missing())
            if copy.columns_left_behind:
                _log.warning(
                    "app %s: columns of %s that are not ours stay in its old place: %s",
                    files.app,
                    table,
                    ", ".join(copy.columns_left_behind),
                )


def _count_source(
    connection: sqlite3.Connection, source: Source, files: LegacyFiles, account: Account
) -> None:
    for table in source.tables:
        missing = count_unmatched(connection, source, table, files)
        account.unmatched.add(table, missing)


def _was_forgotten(
    connection: sqlite3.Connection, files: LegacyFiles, sources: list[Source]
) -> bool:
    """Tell whether the global streams and vods are still to be imported.

    Where the Node core has set `per_app_split_done`, it has either copied the app's global rows
    or never looked at them. One row found in the app.db tells that it copied; the missing ones
    were then deleted since. Judged by what app.db holds before anything is imported.
    """
    return not files.split_done or not any(
        any_found(connection, source, table, files)
        for source in sources
        if source.name == GLOBAL_ROWS
        for table in source.tables
    )


def _markers(connection: sqlite3.Connection) -> frozenset[str]:
    rows = connection.execute("SELECT key FROM main._streamhub_meta WHERE value = '1'")
    return MARKERS.intersection(key for (key,) in rows)


def set_markers(connection: sqlite3.Connection, markers: frozenset[str]) -> None:
    """Say in the app's `_streamhub_meta` that these sources are done, for good."""
    connection.executemany(
        "INSERT INTO main._streamhub_meta (key, value) VALUES (?, '1') "
        "ON CONFLICT (key) DO UPDATE SET value = '1', updated_at = datetime('now')",
        [(marker,) for marker in sorted(markers)],
    )

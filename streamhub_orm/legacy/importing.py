"""Import of legacy rows into an app.db, by SQL alone, inside the caller's transaction.

The rules are those of the split: what the app.db already holds comes first, then the sources in
their order. Columns are matched by name; one that the source lacks takes its default.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streamhub_orm.engine.sql import columns_of
from streamhub_orm.errors.visible import visible
from streamhub_orm.legacy.accounts import (
    ACCOUNT_KEY,
    Account,
    Fingerprint,
    Record,
    RowCounts,
    SourceRecord,
    parse_record,
    write_record,
)
from streamhub_orm.legacy.matching import any_found, count_unmatched
from streamhub_orm.legacy.meta import read_value
from streamhub_orm.legacy.progress import Progress, RowProgress, silent
from streamhub_orm.legacy.sources import (
    GLOBAL_ROWS,
    MARKERS,
    SOURCES,
    LegacyFiles,
    Source,
    attach_sources,
)
from streamhub_orm.legacy.table_copy import TableCopy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_log = logging.getLogger(__name__)


def import_legacy(
    connection: sqlite3.Connection, files: LegacyFiles, progress: Progress = silent
) -> Account:
    """Import every source that is not done yet, account for the others, set the markers.

    The connection is an app.db at head, with a write transaction begun. Running it again changes
    nothing: a marker is final, so that what was deleted since does not come back.
    """
    done = _markers(connection)
    if not files.hold_rows():
        set_markers(connection, MARKERS - done)
        return Account()
    seen = _fingerprints(files)  # before the rows are read: what comes later is looked at again
    sources = attach_sources(connection, files)
    forgotten = _was_forgotten(connection, files, sources)
    pending = [
        source
        for source in sources
        if source.marker not in done and (source.name != GLOBAL_ROWS or forgotten)
    ]
    record = parse_record(read_value(connection, ACCOUNT_KEY))
    rows = RowProgress(files, progress)
    account = Account()
    for source in pending:
        imported = _import_source(connection, source, files, rows)
        record[source.name] = SourceRecord(seen[source.name], imported)
        account += imported
    rows.end()
    # Last, since a row that one source lost may have come from another.
    for source in sources:
        if source not in pending:
            account += _account_again(connection, source, files, record, seen)
    write_record(connection, record)
    set_markers(connection, MARKERS - done)
    return account


def recorded_account(text: str | None, files: LegacyFiles) -> Account | None:
    """Return the unmatched rows that an app's record holds, without reading its sources.

    None where there is no record, or a source has changed since: then the rows are to be counted.
    """
    if text is None:
        return None
    record = parse_record(text)
    unmatched = RowCounts()
    for name, fingerprint in _fingerprints(files).items():
        if fingerprint is None:
            continue
        entry = record.get(name)
        if entry is None or entry.fingerprint != fingerprint:
            return None
        unmatched += entry.account.unmatched
    return Account(unmatched=unmatched)


def _fingerprints(files: LegacyFiles) -> dict[str, Fingerprint]:
    return {source.name: files.fingerprint(source) for source in SOURCES}


def count_unmatched_rows(
    connection: sqlite3.Connection, files: LegacyFiles, *, use_record: bool = True
) -> Account:
    """Count the legacy rows that an app.db at head does not hold; nothing is written.

    Only sources that changed since their rows were accounted for are read, unless `use_record` is
    off.
    """
    record = parse_record(read_value(connection, ACCOUNT_KEY)) if use_record else {}
    seen = _fingerprints(files)
    account = Account()
    for source in attach_sources(connection, files):
        account += _account_again(connection, source, files, record, seen)
    return account


def _account_again(
    connection: sqlite3.Connection,
    source: Source,
    files: LegacyFiles,
    record: Record,
    seen: Mapping[str, Fingerprint],
) -> Account:
    """Return the unmatched rows of a source that was done before, and bring its record up to date.

    What was imported and superseded at that time stays in the record, and is no news.
    """
    entry = record.setdefault(source.name, SourceRecord(None, Account()))
    if entry.fingerprint != seen[source.name]:
        entry.fingerprint = seen[source.name]
        entry.account.unmatched = _count_unmatched(connection, source, files)
    return Account(unmatched=entry.account.unmatched)


def _count_unmatched(
    connection: sqlite3.Connection, source: Source, files: LegacyFiles
) -> RowCounts:
    counts = RowCounts()
    for table in source.tables:
        counts.add(table, count_unmatched(connection, source, table, files))
    return counts


def _import_source(
    connection: sqlite3.Connection, source: Source, files: LegacyFiles, rows: RowProgress
) -> Account:
    account = Account()
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
                    visible(", ".join(copy.columns_left_behind)),
                )
    return account


def _was_forgotten(
    connection: sqlite3.Connection, files: LegacyFiles, sources: list[Source]
) -> bool:
    """Tell whether the global streams and vods are still to be imported.

    Where the Node core has set `per_app_split_done`, it has either copied the app's global rows
    or never looked at them. One row found in the app.db tells that it copied; the missing ones
    were then deleted since. Judged by what app.db holds before anything is imported.
    """
    return not files.global_state.split_done or not any(
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

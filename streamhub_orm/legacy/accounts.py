"""Account of an app's legacy rows: what became of them, and the record of it in the app.db."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.legacy.meta import write_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

TABLES: Final = ("streams", "vods", "ingress_auth")
"""The tables whose rows the split moves."""
ACCOUNT_KEY: Final = "streamhub_orm_account"
"""The key of the record in an app's `_streamhub_meta`."""


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
        return RowCounts(
            self.streams + other.streams,
            self.vods + other.vods,
            self.ingress_auth + other.ingress_auth,
        )

    @property
    def total(self) -> int:
        """The rows of all tables together."""
        return self.streams + self.vods + self.ingress_auth


@dataclass(slots=True)
class Account:
    """Account of legacy rows: those of one source, or of all sources of an app."""

    imported: RowCounts = field(default_factory=RowCounts)
    """Rows that were copied into the app.db."""
    superseded: RowCounts = field(default_factory=RowCounts)
    """Rows whose place in the app.db is taken by one of the same key and other content."""
    unmatched: RowCounts = field(default_factory=RowCounts)
    """Rows of a source that was done before which are not found in the app.db."""

    def __add__(self, other: Account) -> Account:
        """Add count by count."""
        return Account(
            self.imported + other.imported,
            self.superseded + other.superseded,
            self.unmatched + other.unmatched,
        )


_KINDS: Final = ("imported", "superseded", "unmatched")

Fingerprint = list[int] | None
"""Numbers that change with a source; None where the source is not there."""


@dataclass(slots=True)
class SourceRecord:
    """One source as it was when its rows were accounted for, and their account."""

    fingerprint: Fingerprint
    account: Account


Record = dict[str, SourceRecord]
"""The record of an app, by the names of its sources."""


def parse_record(text: str | None) -> Record:
    """Return the record that an app holds; an empty one where it holds none that can be read.

    Then its sources are counted again, which costs time and nothing else.
    """
    try:
        entries: Mapping[str, Any] = json.loads(text) if text else {}
        return {
            name: SourceRecord(
                entry["fingerprint"],
                Account(*(RowCounts(**entry[kind]) for kind in _KINDS)),
            )
            for name, entry in entries.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_record(connection: sqlite3.Connection, record: Record) -> None:
    """Write the record into the app's `_streamhub_meta`, in the caller's transaction."""
    entries = {
        name: {"fingerprint": entry.fingerprint, **asdict(entry.account)}
        for name, entry in record.items()
    }
    write_value(connection, ACCOUNT_KEY, json.dumps(entries, separators=(",", ":")))

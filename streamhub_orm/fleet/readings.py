"""Ready-made readings for `read_apps`; each works on any app.db that the field has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from streamhub_orm.engine.backups import wal_bytes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_PAGES: Final = """
    SELECT page_size, page_count, freelist_count
    FROM pragma_page_size, pragma_page_count, pragma_freelist_count"""
ACTIVE_STREAMS: Final = "SELECT count(*) FROM streams WHERE status = 'active'"
# Upper and lower halves apart: the sum of a few absurd sizes would overflow SQLite's integers.
VOD_TOTALS: Final = """
    SELECT status, count(*), total(duration_s),
           coalesce(sum(size_bytes >> 32), 0), coalesce(sum(size_bytes & 0xffffffff), 0)
    FROM vods GROUP BY status"""


def count_active_streams(connection: sqlite3.Connection) -> int:
    """Return how many streams are live."""
    return int(connection.execute(ACTIVE_STREAMS).fetchone()[0])


@dataclass(frozen=True)
class VodTotal:
    """Recordings and what they add up to; unknown sizes and durations count as 0."""

    count: int = 0
    size_bytes: int = 0
    duration_seconds: float = 0.0

    def __add__(self, other: VodTotal) -> VodTotal:
        """Return the total of both."""
        return VodTotal(
            self.count + other.count,
            self.size_bytes + other.size_bytes,
            self.duration_seconds + other.duration_seconds,
        )


@dataclass(frozen=True)
class VodTotals:
    """Totals by status (`recording`, `uploading`, `ready`, `failed`); those without any lack."""

    by_status: Mapping[str, VodTotal] = field(default_factory=dict)

    @property
    def all(self) -> VodTotal:
        """The total over every status."""
        return sum(self.by_status.values(), VodTotal())

    def __add__(self, other: VodTotals) -> VodTotals:
        """Return the totals of two apps together: `sum(totals, VodTotals())`."""
        words = {**self.by_status, **other.by_status}
        none = VodTotal()
        return VodTotals(
            {
                word: self.by_status.get(word, none) + other.by_status.get(word, none)
                for word in words
            }
        )


def vod_totals(connection: sqlite3.Connection) -> VodTotals:
    """Return count, bytes and seconds of the recordings, by status."""
    return VodTotals(
        {
            word: VodTotal(count, (upper << 32) + lower, seconds)
            for word, count, seconds, upper, lower in connection.execute(VOD_TOTALS)
        }
    )


class Pages(NamedTuple):
    """Pages of one file, as its header counts them."""

    page_bytes: int
    total: int
    unused: int
    """Pages that hold nothing, which VACUUM gives back."""


def read_pages(connection: sqlite3.Connection) -> Pages:
    """Return the pages of a file."""
    return Pages(*connection.execute(_PAGES).fetchone())


@dataclass(frozen=True)
class FileFacts:
    """Facts that a file gives about itself without a pass over its rows."""

    revision: str | None
    """None where no upgrade has adopted the file yet."""
    user_version: int
    """Schema steps as the Node core counts them."""
    size_bytes: int
    """Of the database as this connection sees it, with what still lies in the -wal."""
    wal_bytes: int
    free_bytes: int
    """Of the size: the unused pages."""
    journal_mode: str


def file_facts(connection: sqlite3.Connection) -> FileFacts:
    """Return revision and sizes; no integrity check, so it takes the same time for any size."""
    page_bytes, pages, unused = read_pages(connection)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (path,) = connection.execute("SELECT file FROM pragma_database_list").fetchone()
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return FileFacts(
        _revision(connection),
        version,
        page_bytes * pages,
        wal_bytes(Path(path)),
        page_bytes * unused,
        mode,
    )


def _revision(connection: sqlite3.Connection) -> str | None:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if connection.execute(query).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])

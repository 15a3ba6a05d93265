"""Facts that the page shows: a few numbers of each database and their sums; read-only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.engine.connections import reading, translated
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.fleet import read_pages
from streamhub_orm.maintenance.selection import Selection, handle_each
from streamhub_orm.maintenance.sizes import Sizes, read_file_sizes, read_server_sizes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from streamhub_orm.maintenance.selection import Database
    from streamhub_orm.migrations.states import State

    Progress = Callable[[str, int, int], None]

_OLD: Final = timedelta(hours=50)
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass
class DatabaseFacts:
    """One database. Sizes are in bytes."""

    name: str
    """`global`, or the name of the app."""
    head: str
    state: State
    revision: str | None
    sizes: Sizes
    pages: int = 0
    unused_pages: int = 0
    page_size: int = 0
    backups: int = 0
    """Number of the backups beside it."""
    backup_bytes: int = 0
    server: str | None = None
    """Server of the global database, without its password."""
    error: str | None = None

    @property
    def unused_bytes(self) -> int:
        """Bytes that VACUUM would give back."""
        return self.unused_pages * self.page_size

    @property
    def unused_percent(self) -> float:
        """The share of its pages that are unused."""
        return 100 * self.unused_pages / max(self.pages, 1)


@dataclass(frozen=True)
class ArchiveFacts:
    """The archives of one place."""

    place: str
    """`local` or `s3`."""
    where: str
    """The folder, or the address of the bucket."""
    count: int = 0
    size_bytes: int = 0
    """Of all of them."""
    newest: str | None = None
    """The newest complete one, by name."""
    newest_bytes: int = 0
    age: timedelta | None = None
    """Of the newest complete one."""
    age_in_words: str | None = None
    verified_at: datetime | None = None
    """Time at which the newest complete one was last found good; None where nobody knows."""
    verification: str = ""
    """The same in words."""
    found: str | None = None
    """What was found in the place of a good one, in short."""
    error: str | None = None
    """Why there is none to rely on, or why nobody knows."""

    @property
    def is_good(self) -> bool:
        """True where the newest is there and at most two nights old."""
        return self.error is None and self.age is not None and self.age <= _OLD

    def to_json(self) -> dict[str, Any]:
        """Return an entry of what `report --json` prints."""
        return {
            "place": self.place,
            "where": self.where,
            "count": self.count,
            "bytes": self.size_bytes,
            "newest": self.newest,
            "age_seconds": None if self.age is None else int(self.age.total_seconds()),
            "verified_at": None if self.verified_at is None else self.verified_at.isoformat(),
            "error": self.error,
        }

    def in_words(self) -> str:
        """Return the newest complete one, its age and its verification in one line."""
        if self.newest is None:
            return f"{self.found} ({self.where})"
        return f"{self.newest} is {self.age_in_words} old, {self.verification}"


@dataclass
class FleetFacts:
    """A whole installation."""

    data_dir: Path
    global_: DatabaseFacts
    apps: list[DatabaseFacts] = field(default_factory=list)
    months: Counter[str] = field(default_factory=Counter)
    """Bytes of recordings by the month that they began in (`2026-01`), variants left out."""
    global_backups: list[tuple[str, int]] = field(default_factory=list)
    """The backups of the global database, oldest first: when made, as its name says, and bytes."""
    archives: list[ArchiveFacts] = field(default_factory=list)
    """The archives of each place; nothing where nobody looked."""

    @property
    def databases(self) -> list[DatabaseFacts]:
        """All of them, the global one first."""
        return [self.global_, *self.apps]

    @property
    def failed(self) -> list[DatabaseFacts]:
        """Databases that cannot be used; each has an `error`."""
        return [database for database in self.databases if database.error is not None]

    @property
    def total(self) -> Sizes:
        """The sizes of all of them together."""
        total = Sizes("total")
        for database in self.databases:
            total.add(database.sizes)
        return total


def read_fleet(data_dir: Path | DataDir, progress: Progress = lambda *_: None) -> FleetFacts:
    """Read the facts of every database; one that cannot be read stops no other."""
    place = DataDir.find(data_dir)
    months: Counter[str] = Counter()
    measure = partial(_measure, months=months)
    global_, *apps = handle_each(
        place,
        Selection(),
        _begin,
        measure,
        on_server=lambda connection, facts: read_server_sizes(connection, facts.sizes),
        may_be_missing=True,
        progress=partial(progress, "reading"),
    )
    fleet = FleetFacts(place.root, global_, apps, months)
    if place.global_url is not None:
        global_.server = str(place.global_url)
        return fleet
    for backup in list_backups(place.global_db):
        made = backup.name.partition(".bak-")[2]
        fleet.global_backups.append((made, backup.stat().st_size))
    return fleet


def _begin(database: Database) -> DatabaseFacts:
    state, sizes = database.state, Sizes(database.name)
    return DatabaseFacts(database.name, database.world.head, state.state, state.revision, sizes)


def _measure(path: Path, facts: DatabaseFacts, *, months: Counter[str]) -> None:
    with reading(path) as connection:
        read_file_sizes(connection, path, facts.sizes)
        facts.page_size, facts.pages, facts.unused_pages = read_pages(connection)
        if facts.name != "global":
            _add_months(connection, months)
    with translated(path, "listing its backups"):
        for backup in list_backups(path):
            facts.backups += 1
            facts.backup_bytes += backup.stat().st_size


def _add_months(connection: sqlite3.Connection, months: Counter[str]) -> None:
    if "started_at" not in columns_of(connection, "main", "vods"):
        return
    query = "SELECT substr(started_at, 1, 7), total(size_bytes) FROM vods GROUP BY 1"
    for month, size in connection.execute(query):
        if _MONTH.fullmatch(str(month)):  # both stored formats begin with it
            months[month] += int(size)

"""Sizes of each app: its database's bytes, and those of its recordings as their rows say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import wal_bytes
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.fleet import VodTotal, vod_totals
from streamhub_orm.maintenance.selection import Selection, handle_each

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.maintenance.selection import Database


@dataclass
class Sizes:
    """Bytes that one app, the global database or the whole server takes."""

    name: str
    db_bytes: int = 0
    wal_bytes: int = 0
    vods: dict[str, VodTotal] = field(default_factory=dict)
    """Recordings by status."""
    variants: VodTotal = field(default_factory=VodTotal)
    """Further files of the recordings, such as renditions."""
    error: str | None = None

    @property
    def vod_bytes(self) -> int:
        """The bytes of the recordings with their variants."""
        return sum(it.size_bytes for it in self.vods.values()) + self.variants.size_bytes

    @property
    def vod_count(self) -> int:
        """The number of recordings."""
        return sum(it.count for it in self.vods.values())

    @property
    def total_bytes(self) -> int:
        """Database, -wal and recordings."""
        return self.db_bytes + self.wal_bytes + self.vod_bytes

    def add(self, other: Sizes) -> None:
        """Add another's numbers to these."""
        self.db_bytes += other.db_bytes
        self.wal_bytes += other.wal_bytes
        self.variants += other.variants
        for status, sizes in other.vods.items():
            self.vods[status] = self.vods.get(status, VodTotal()) + sizes

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `sizes --json`."""
        totals = {
            "vod_count": self.vod_count,
            "vod_bytes": self.vod_bytes,
            "total_bytes": self.total_bytes,
        }
        return {**asdict(self), **totals}


@dataclass
class ServerSizes:
    """The sizes of a whole installation, or of some of its apps."""

    data_dir: Path
    global_: Sizes
    """The file, or what the database takes on its server."""
    apps: list[Sizes]
    """The largest first."""

    @property
    def total(self) -> Sizes:
        """All of them together."""
        total = Sizes("total")
        for sizes in (self.global_, *self.apps):
            total.add(sizes)
        return total

    @property
    def failed(self) -> list[Sizes]:
        """Databases that could not be read; their recordings count for nothing here."""
        return [sizes for sizes in (self.global_, *self.apps) if sizes.error is not None]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `sizes --json`."""
        return {
            "ok": not self.failed,
            "data_dir": str(self.data_dir),
            "global": self.global_.to_json(),
            "apps": [sizes.to_json() for sizes in self.apps],
            "total": self.total.to_json(),
        }


def read_sizes(
    data_dir: Path,
    apps: Iterable[str] = (),
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> ServerSizes:
    """Read the sizes of the global database and of all apps, or of those named; nothing is written.

    An app whose database is still missing takes nothing; one that cannot be read stops no other
    and has an `error`. `progress` is told how many databases are done, and of how
    many. Raises `DataDirError` and `UnknownAppError`.
    """
    place = DataDir.find(data_dir)
    selection = Selection(apps=tuple(apps) or None)
    global_, *others = handle_each(
        place,
        selection,
        _begin,
        _measure,
        on_server=read_server_sizes,
        may_be_missing=True,
        progress=progress,
    )
    others.sort(key=lambda sizes: (-sizes.total_bytes, sizes.name))
    return ServerSizes(place.root, global_, others)


def _begin(database: Database) -> Sizes:
    return Sizes(database.name)


def _measure(path: Path, sizes: Sizes) -> None:
    with reading(path) as connection:
        read_file_sizes(connection, path, sizes)


def read_file_sizes(connection: sqlite3.Connection, path: Path, sizes: Sizes) -> None:
    """Read what `sizes` names, an app's database or the global one, all on one snapshot."""
    connection.execute("BEGIN")
    sizes.db_bytes, sizes.wal_bytes = path.stat().st_size, wal_bytes(path)
    if sizes.name != "global":
        sizes.vods = _read_vod_sizes(connection)
        sizes.variants = _read_variant_sizes(connection)


def read_server_sizes(connection: sa.Connection, sizes: Sizes) -> None:
    """Read what the global database takes on its server."""
    from streamhub_orm.postgresql import measures  # noqa: PLC0415 - an extra

    sizes.db_bytes = measures.database_bytes(connection)


def _read_vod_sizes(connection: sqlite3.Connection) -> dict[str, VodTotal]:
    """Return what an app's recordings add up to, by status."""
    if "size_bytes" not in columns_of(connection, "main", "vods"):
        return {}
    return dict(vod_totals(connection).by_status)


def _read_variant_sizes(connection: sqlite3.Connection) -> VodTotal:
    """Return what the variants of an app's recordings add up to."""
    if not columns_of(connection, "main", "vod_variants"):
        return VodTotal()
    query = "SELECT count(*), total(size_bytes) FROM vod_variants"
    count, size = connection.execute(query).fetchone()
    return VodTotal(count, int(size))

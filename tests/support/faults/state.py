"""What an installation holds, read from copies so that no look changes anything."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

COMPANIONS: Final = ("", "-wal", "-journal")
BOOKKEEPING: Final = "_streamhub_meta"
_STAMP: Final = re.compile(r"\.(bak|rolled-back)-(\d{4}-\d\d-\d\d)T[\d-]+Z")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_TODAY: Final = datetime.now(UTC).strftime("%Y-%m-%d")
_SCRATCH: Final = Path("/dev/shm")  # noqa: S108 - memory, where there is some


@dataclass(frozen=True)
class Contents:
    """What one database file holds, with the times since the tests began left out."""

    damage: tuple[str, ...]
    broken_keys: int
    user_version: int
    tables: dict[str, Counter[tuple[object, ...]]]
    meta: dict[str, object]
    structure: frozenset[str]

    @property
    def rows(self) -> int:
        """The number of its rows, bookkeeping included."""
        return sum(rows.total() for rows in self.tables.values()) + len(self.meta)

    def is_like(self, other: Contents | None, *, with_meta: bool = True) -> bool:
        """Tell whether another file holds the same; without the bookkeeping if asked so."""
        return (
            other is not None
            and self.tables == other.tables
            and self.user_version == other.user_version
            and self.structure == other.structure
            and (not with_meta or self.meta == other.meta)
        )


class Reader:
    """Reads files and remembers what it read: most states share most of their files."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Contents] = {}
        self.rows_read = 0
        """The rows of all files that it was asked for, so often as it was."""

    def read(self, path: Path) -> Contents | None:
        """Read a file with its -wal and -journal; None for a missing or an empty one."""
        if not path.is_file() or not path.stat().st_size:
            return None
        parts = {}
        for suffix in COMPANIONS:
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                parts[suffix] = companion.read_bytes()
        key = tuple(suffix + hashlib.sha256(data).hexdigest() for suffix, data in parts.items())
        if key not in self._known:
            self._known[key] = _read(parts)
        self.rows_read += self._known[key].rows
        return self._known[key]

    def read_all(self, data_dir: Path) -> dict[str, Contents | None]:
        """Read every database of an installation, backups too, by masked name."""
        return {
            mask(path.relative_to(data_dir).as_posix()): self.read(path)
            for path in databases_of(data_dir)
        }


def databases_of(data_dir: Path) -> list[Path]:
    """List the database files of an installation, its backups among them; no temporary ones."""
    return sorted(
        path
        for path in data_dir.rglob("*.db*")
        if path.is_file()
        and not path.name.startswith(".")
        and not path.name.endswith(("-wal", "-shm", "-journal", ".lock"))
    )


def names_of(data_dir: Path) -> Counter[str]:
    """Count the names of all files but those that SQLite comes and goes with, stamps masked."""
    return Counter(
        mask(path.relative_to(data_dir).as_posix())
        for path in data_dir.rglob("*")
        if not path.name.endswith(("-shm", "-wal", ".lock"))
    )


def shared_inodes(data_dir: Path) -> list[str]:
    """List the files that a second name leads to."""
    return [
        str(path.relative_to(data_dir))
        for path in sorted(data_dir.rglob("*"))
        if path.is_file() and path.stat().st_nlink > 1
    ]


def mask(text: str) -> str:
    """Take the time out of the name of a backup that was made since the tests began."""
    return _STAMP.sub(lambda it: f".{it[1]}-*" if it[2] >= _TODAY else it[0], text)


def scratch_folder() -> Path | None:
    """Return a folder in memory, where there is one."""
    return _SCRATCH if _SCRATCH.is_dir() else None


def _read(parts: dict[str, bytes]) -> Contents:
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        copy = Path(folder) / "copy.db"
        for suffix, data in parts.items():
            copy.with_name(copy.name + suffix).write_bytes(data)
        try:
            with closing(sqlite3.connect(copy)) as connection:
                return _contents(connection)
        except sqlite3.DatabaseError as error:
            return Contents((str(error),), 0, 0, {}, {}, frozenset())


def _contents(connection: sqlite3.Connection) -> Contents:
    damage = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    broken = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    objects = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    tables: dict[str, Counter[tuple[object, ...]]] = {}
    meta: dict[str, object] = {}
    for kind, name, _ in objects:
        if kind == "table" and name == BOOKKEEPING:
            rows = connection.execute(f"SELECT key, value FROM {BOOKKEEPING}")
            meta = {key: Path(mask(str(value))).name for key, value in rows}
        elif kind == "table":
            cursor = connection.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in cursor.description]
            tables[name] = Counter(
                tuple(zip(columns, map(_masked, row), strict=True)) for row in cursor
            )
    return Contents(
        tuple(damage),
        broken,
        int(connection.execute("PRAGMA user_version").fetchone()[0]),
        tables,
        meta,
        frozenset(
            f"{kind} {name}: {sql}"
            for kind, name, sql in objects
            if BOOKKEEPING not in (name, name.removeprefix("sqlite_autoindex_").removesuffix("_1"))
        ),
    )


def _masked(value: object) -> object:
    if isinstance(value, str) and value >= _TODAY and _TIME.match(value):
        return "since the tests began"
    return value

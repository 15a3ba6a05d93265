"""Reads an installation without touching it: every look is taken at a copy."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .facts import app_db_path, find_global_path, vods_db_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Row


@dataclass(frozen=True, slots=True)
class Database:
    """What a database file holds."""

    tables: dict[str, list[Row]]
    keys: dict[str, tuple[str, ...]]
    sequences: dict[str, int]
    user_version: int

    def rows(self, table: str) -> list[Row]:
        return self.tables.get(table, [])

    def meta(self) -> dict[str, object]:
        return {str(row["key"]): row["value"] for row in self.rows("_streamhub_meta")}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an installation holds. Apps are those of the registry."""

    registry: Database
    app_ids: dict[str, int]
    app_dbs: dict[str, Database]
    vods_dbs: dict[str, Database]
    unregistered: tuple[str, ...]
    files: dict[str, str]


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database, its left-over -wal included, in autocommit mode."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copyfile(source, Path(folder) / f"copy.db{suffix}")
        with closing(sqlite3.connect(Path(folder) / "copy.db", isolation_level=None)) as connection:
            yield connection


def load_database(path: Path) -> Database | None:
    """Read every row, those in a left-over -wal too; None for a missing or empty file."""
    if not path.is_file() or not path.stat().st_size:
        return None
    with open_copy(path) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _decode
        return _read(connection)


def load_snapshot(data_dir: Path) -> Snapshot:
    """Read a whole installation."""
    registry = load_database(find_global_path(data_dir))
    if registry is None:
        raise FileNotFoundError(data_dir)
    app_ids = {str(row["name"]): int(str(row["id"])) for row in registry.rows("apps")}
    app_dbs = {app: load_database(app_db_path(data_dir, app)) for app in app_ids}
    vods_dbs = {app: load_database(vods_db_path(data_dir, app)) for app in app_ids}
    folders = {path.parent.name for path in (data_dir / "apps").glob("*/app.db")}
    return Snapshot(
        registry=registry,
        app_ids=app_ids,
        app_dbs={app: it for app, it in app_dbs.items() if it is not None},
        vods_dbs={app: it for app, it in vods_dbs.items() if it is not None},
        unregistered=tuple(sorted(folders - app_ids.keys())),
        files=fingerprint_files(data_dir),
    )


def fingerprint_files(data_dir: Path) -> dict[str, str]:
    """Digest every file that counts: not a -shm, an empty -wal or the lock file."""
    prints = {}
    for path in sorted(data_dir.rglob("*")):
        name = path.relative_to(data_dir).as_posix()
        if path.is_symlink():
            prints[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            prints[name] = "folder"
        elif not _is_incidental(path):
            prints[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return prints


def list_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Name every file that came, went or changed between two fingerprints."""
    return sorted(name for name, _ in before.items() ^ after.items())


def fingerprint_databases(data_dir: Path) -> dict[str, str]:
    """Digest every database file, backups left out."""
    return {
        name: digest
        for name, digest in fingerprint_files(data_dir).items()
        if name.endswith((".db", ".db-wal", ".db-journal"))
    }


def _decode(text: bytes) -> str:
    """Keep text apart that is no UTF-8, which SQLite stores as readily."""
    return text.decode("utf-8", "surrogateescape")


def _is_incidental(path: Path) -> bool:
    if path.name.endswith("-wal"):
        return path.stat().st_size == 0
    return path.name.endswith(("-shm", ".lock"))


def _read(connection: sqlite3.Connection) -> Database:
    names = [
        str(name)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not str(name).startswith("sqlite_")
    ]
    tables: dict[str, list[Row]] = {}
    keys: dict[str, tuple[str, ...]] = {}
    for name in names:
        tables[name] = [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]
        columns = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
        keys[name] = tuple(row["name"] for row in columns if row["pk"])
    has_sequences = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    ).fetchone()
    sequences = connection.execute("SELECT name, seq FROM sqlite_sequence") if has_sequences else ()
    return Database(
        tables=tables,
        keys=keys,
        sequences={str(row[0]): int(row[1]) for row in sequences},
        user_version=int(connection.execute("PRAGMA user_version").fetchone()[0]),
    )

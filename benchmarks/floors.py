"""The floor: plain sqlite3 doing the work that SQLite has to do, in one process, nothing checked.

A new app.db ends as ours does: durable, with its revision, its markers and user_version, in WAL
mode, as the Node core wants it. WAL is set last, after the one transaction in SQLite's rollback
journal: that takes fewer fsyncs than setting it first, and writes the rows once instead of twice.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

_MARKERS: Final = ("global_import_done", "ingress_import_done", "vods_import_done")
_COPIED: Final = ("streams", "vods")


def create(
    path: Path, schema: dict[str, list[str]], *, wal_first: bool = False
) -> sqlite3.Connection:
    """Create an app.db at head with its tables and indices in one durable transaction."""
    connection = _connect(path)
    if wal_first:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN")
    for statement in schema["table"] + schema["index"]:
        connection.execute(statement)
    _commit_at_head(connection)
    return connection


def open_cold(path: Path) -> sqlite3.Connection:
    """Open a database with the pragmas of a service and look at its revision."""
    connection = _connect(path)
    for pragma in ("foreign_keys = ON", "synchronous = NORMAL", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return connection


def look_at_fleet(root: Path, names: list[str]) -> None:
    """Read revision and markers of the global database and of every app.db."""
    for path in (root / "data/streamhub.db", *(_app_db(root, name) for name in names)):
        with closing(sqlite3.connect(_read_only(path), uri=True)) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
            connection.execute("SELECT key FROM _streamhub_meta WHERE value = '1'").fetchall()


def upgrade_fleet(root: Path, names: list[str], statements: list[str], revision: str) -> None:
    """Back every app.db up and bring it one revision on, in one transaction each."""
    for name in names:
        path = _app_db(root, name)
        _back_up(path)
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            connection.execute("PRAGMA user_version = 8")
            connection.execute("COMMIT")


def split(
    root: Path,
    names: list[str],
    schema: dict[str, list[str]],
    *,
    indices_after: bool = False,
    wal_first: bool = False,
) -> None:
    """Move the rows of every app out of the global database into an app.db of its own.

    Where there are many apps it first sorts the ids by app, once, as anyone would who has seen a
    full scan per app.
    """
    source = _read_only(root / "data/streamhub.db")
    rows = "app_id = :app_id"
    index = None
    if len(names) > 1:
        index = root / "data/rows"
        _sort_rows(source, index)
        rows = "id IN (SELECT id FROM row_index.{table} WHERE app_id = :app_id)"
    for app_id, name in enumerate(names, 1):
        path = _app_db(root, name)
        path.parent.mkdir()
        with closing(_connect(path)) as connection:
            if wal_first:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("ATTACH ? AS source", (source,))
            if index is not None:
                connection.execute("ATTACH ? AS row_index", (_read_only(index),))
            _copy(connection, schema, rows, app_id, indices_after=indices_after)
        _sync(path.parent)
    if index is not None:
        index.unlink()


def _copy(
    connection: sqlite3.Connection,
    schema: dict[str, list[str]],
    rows: str,
    app_id: int,
    *,
    indices_after: bool,
) -> None:
    before, after = schema["table"] + schema["index"], list[str]()
    if indices_after:
        before, after = schema["table"], schema["index"]
    connection.execute("BEGIN")
    for statement in before:
        connection.execute(statement)
    for table in _COPIED:
        info = connection.execute("SELECT name FROM pragma_table_info(?, 'source')", (table,))
        columns = ", ".join(column for (column,) in info)
        connection.execute(
            f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM source.{table} "  # noqa: S608 - names of the schema
            f"WHERE {rows.format(table=table)} ORDER BY id",
            {"app_id": app_id},
        )
    for statement in after:
        connection.execute(statement)
    _commit_at_head(connection)


def _commit_at_head(connection: sqlite3.Connection) -> None:
    """Write what tells that the file is at head and has its rows, and end in WAL mode."""
    connection.execute("INSERT INTO main.alembic_version VALUES ('head')")
    connection.executemany(
        "INSERT INTO main._streamhub_meta (key, value) VALUES (?, '1')",
        [(marker,) for marker in _MARKERS],
    )
    connection.execute("PRAGMA main.user_version = 8")
    connection.execute("COMMIT")
    connection.execute("PRAGMA main.journal_mode = WAL")


def _sort_rows(source: str, target: Path) -> None:
    with closing(_connect(target)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("ATTACH ? AS source", (source,))
        connection.execute("BEGIN")
        for table in _COPIED:
            connection.execute(
                f"CREATE TABLE main.{table} (app_id, id, PRIMARY KEY (app_id, id)) WITHOUT ROWID"
            )
            connection.execute(
                f"INSERT INTO main.{table} SELECT app_id, id FROM source.{table} ORDER BY 1, 2"  # noqa: S608
            )
        connection.execute("COMMIT")


def _back_up(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with closing(_connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(temporary),))
    with closing(_connect(temporary)) as connection:
        connection.execute("PRAGMA quick_check").fetchall()
    temporary.chmod(0o600)
    _sync(temporary)
    temporary.rename(path.with_name(f"{path.name}.bak-floor"))
    _sync(path.parent)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path.as_uri(), uri=True, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _read_only(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def _app_db(root: Path, name: str) -> Path:
    return root / "apps" / name / "app.db"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

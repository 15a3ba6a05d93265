"""SQLAlchemy engines over our connections: who begins a transaction, and how."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from streamhub_orm.engine.connections import open_for_session

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

READ_ONLY: Final = "read_only"
"""The key in a connection's `info` that makes its transactions read-only snapshots."""
_QUERY_ONLY: Final = "query_only"


class ImmediateBegin:
    """The part of a SQLite dialect that begins a transaction: BEGIN IMMEDIATE, or read-only BEGIN.

    The driver's own transaction control is off (isolation_level=None), so DDL, alembic_version
    and user_version roll back together, and a transaction that reads first and writes later
    holds the write lock from its start: it can neither lose an update nor meet
    SQLITE_BUSY_SNAPSHOT, which no busy timeout cures. A listener for the engine's begin event
    would do the same, but any listener makes each statement of the engine slower.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Begin; SQLAlchemy wraps what it raises."""
        info = dbapi_connection.info
        read_only = info.get(READ_ONLY, False)
        cursor = dbapi_connection.cursor()
        if info.get(_QUERY_ONLY, False) is not read_only:
            cursor.execute(f"PRAGMA query_only = {read_only:d}")
            info[_QUERY_ONLY] = read_only
        cursor.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
        cursor.close()


class ImmediateDialect(ImmediateBegin, SQLiteDialect_pysqlite):
    """Python's sqlite3 with our way to begin."""

    supports_statement_cache = True


registry.register("sqlite.immediate", __name__, "ImmediateDialect")


def immediate_engine(
    creator: Callable[[], sqlite3.Connection], pool: type[sa.Pool], **options: object
) -> sa.Engine:
    """Return an engine whose transactions begin with BEGIN IMMEDIATE.

    Values never stand in an error or a log: among them are stream keys, hashes and passwords.
    """
    return sa.create_engine(
        "sqlite+immediate://", creator=creator, poolclass=pool, hide_parameters=True, **options
    )


class FileEngine:
    """One engine for any number of files: one dialect and one cache of compiled statements.

    The pool keeps nothing: whoever takes a connection holds it.
    """

    def __init__(self) -> None:
        """Make the engine; nothing is opened."""
        self._opening = threading.local()
        self.engine = immediate_engine(self._open, sa.pool.NullPool, pool_reset_on_return=None)

    def connect(self, path: Path) -> sa.Connection:
        """Open a connection to one file; its close closes the file."""
        self._opening.path = path
        try:
            return self.engine.connect()
        finally:
            del self._opening.path

    def _open(self) -> sqlite3.Connection:
        path: Path | None = getattr(self._opening, "path", None)
        if path is None:
            # A lost connection must not come back as one to some other file.
            message = "this engine serves many files: connect through its sessions"
            raise sa.exc.InvalidRequestError(message)
        return open_for_session(path)

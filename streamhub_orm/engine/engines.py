"""SQLAlchemy engines over our connections: how a transaction begins, one engine for all files."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from streamhub_orm.engine.connections import is_busy, open_for_session
from streamhub_orm.engine.fence import met_fence
from streamhub_orm.engine.sqlite_errors import locked
from streamhub_orm.errors import HiddenValueError, SessionSharedError, StreamHubError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from streamhub_orm.engine.forks import TrackedConnection

READ_ONLY: Final = "read_only"
"""The key in a connection's `info` that makes its transactions read-only snapshots."""
_QUERY_ONLY: Final = "query_only"


def execute(cursor: sqlite3.Cursor, statement: str, values: Sequence[Any]) -> None:
    """Run a statement with its values bound; raises `HiddenValueError` for one SQLite cannot hold.

    That is a text with a NUL, which SQLite's functions cut there, or with half a surrogate pair,
    and a number beyond 64 bits. It is not shown: it may be a key or a password.
    """
    for value in values:  # in place, since each call of Python costs as much as a small statement
        if value.__class__ is str and "\0" in value:
            raise nul_error()
    try:
        cursor.execute(statement, values)
    except (UnicodeEncodeError, OverflowError) as error:
        refused = _binding_error(error)
    else:
        return
    raise refused  # outside of the block: Python's error holds the text


def nul_error() -> HiddenValueError:
    """Return the error for a text with a NUL."""
    return HiddenValueError(_TEXT, "text with a NUL character in it")


def half_pair_error() -> HiddenValueError:
    """Return the error for a text with half a surrogate pair."""
    return HiddenValueError(_TEXT, "text with half a surrogate pair in it")


def number_error() -> HiddenValueError:
    """Return the error for a number beyond 64 bits."""
    return HiddenValueError("a number of 64 bits", "a greater one")


def _binding_error(error: ValueError | OverflowError) -> HiddenValueError:
    return number_error() if isinstance(error, OverflowError) else half_pair_error()


_TEXT: Final = "text that UTF-8 can write, without NUL"


def _execute_many(cursor: sqlite3.Cursor, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement once for each row of values; raises `HiddenValueError`."""
    if any(it.__class__ is str and "\0" in it for values in rows for it in values):
        raise nul_error()
    try:
        cursor.executemany(statement, rows)
    except (UnicodeEncodeError, OverflowError) as error:
        refused = _binding_error(error)
    else:
        return
    raise refused


def _begin(connection: sa.pool.PoolProxiedConnection) -> None:
    info = connection.info
    read_only = info.get(READ_ONLY, False)
    cursor = connection.cursor()
    if info.get(_QUERY_ONLY, False) is not read_only:
        cursor.execute(f"PRAGMA query_only = {read_only:d}")
        info[_QUERY_ONLY] = read_only
    cursor.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
    cursor.close()


class ImmediateDialect(SQLiteDialect_pysqlite):
    """Python's sqlite3 with our way to begin, and our errors for what a session may meet.

    A transaction begins with BEGIN IMMEDIATE, or BEGIN where it only reads. The driver's own
    transaction control is off (isolation_level=None), so DDL, alembic_version and user_version roll
    back together, and a transaction that reads first and writes later holds the write lock from
    its start: it can neither lose an update nor meet SQLITE_BUSY_SNAPSHOT, which no busy timeout
    cures. A listener for the engine's begin event would do the same, but any listener makes each
    statement of the engine slower.

    Its methods take and raise what SQLAlchemy's protocol says, and what `run` and `execute` say.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Begin."""
        run(dbapi_connection.dbapi_connection, _begin, dbapi_connection)

    def do_execute(
        self,
        cursor: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        statement: str,
        parameters: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        context: Any = None,  # noqa: ANN401 - SQLAlchemy's protocol
    ) -> None:
        """Execute a statement."""
        del context
        run(cursor.connection, execute, cursor, statement, parameters)

    def do_executemany(
        self,
        cursor: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        statement: str,
        parameters: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        context: Any = None,  # noqa: ANN401 - SQLAlchemy's protocol
    ) -> None:
        """Execute a statement with each of many parameters."""
        del context
        run(cursor.connection, _execute_many, cursor, statement, parameters)

    def do_commit(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Commit."""
        run(dbapi_connection.dbapi_connection, dbapi_connection.commit)

    def do_rollback(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Roll back, after a statement that another thread is running."""
        with dbapi_connection.dbapi_connection.turn:
            dbapi_connection.rollback()


def run(connection: TrackedConnection, step: Callable[..., object], *arguments: object) -> None:
    """Run one step of the driver on a connection.

    Raises `LockedDatabaseError` where another held a lock for longer than the busy timeout,
    `PromotedDatabaseError` where the file takes no writes any more, and `SessionSharedError` where
    another thread is at work on this connection.
    """
    if not connection.turn.acquire(False):  # noqa: FBT003 - by name it takes longer
        raise SessionSharedError(connection.path)
    started = monotonic()
    try:
        step(*arguments)
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        waited = monotonic() - started
        raise locked(error, connection.path, waited_seconds=waited) from error
    except sqlite3.IntegrityError as error:
        fenced = met_fence(error, connection.path)
        if fenced is None:
            raise
        raise fenced from error
    finally:
        connection.turn.release()


registry.register("sqlite.immediate", __name__, "ImmediateDialect")


_Opened = TypeVar("_Opened")


class ConnectionSource(Generic[_Opened]):
    """The connection that an engine takes next: how one engine serves any number of files.

    One engine for all files means one dialect and one cache of compiled statements. An engine asks
    its `creator` for a connection and cannot say to which file; so whoever connects lays it ready
    here first, for this thread or task alone.
    """

    def __init__(self) -> None:
        """Have nothing ready."""
        self._ready: ContextVar[_Opened] = ContextVar("ready")

    @contextmanager
    def offering(self, connection: _Opened) -> Iterator[None]:
        """Have this connection ready within the block."""
        token = self._ready.set(connection)
        try:
            yield
        finally:
            self._ready.reset(token)

    def take(self) -> _Opened:
        """Return what is ready; raises where an engine reconnects by itself.

        A lost connection must not come back as one to some other file.
        """
        try:
            return self._ready.get()
        except LookupError:
            message = "this engine serves many files: connect through its sessions"
            raise sa.exc.InvalidRequestError(message) from None


def unreadable_text(error: BaseException | None) -> HiddenValueError | None:
    """Return our error where sqlite3 met a text that is no UTF-8; None for any other fault.

    sqlite3 has no code of its own for it, and its message shows the text.
    """
    is_it = isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error)
    return HiddenValueError("text in UTF-8", "one that is none") if is_it else None


class _Connection(sa.Connection):
    """A connection that raises our own errors, such as one of a column's type, as they are.

    SQLAlchemy wraps what comes up before a statement is sent. A listener for its handle_error would
    say so without a private name, but costs each statement 5% (0.7 us): any listener does.
    """

    def _handle_dbapi_exception(
        self,
        e: BaseException,
        *details: Any,  # noqa: ANN401 - SQLAlchemy's
        **options: Any,  # noqa: ANN401 - SQLAlchemy's
    ) -> NoReturn:
        if isinstance(e, StreamHubError) and not any(details[2:]):  # neither cursor nor context
            raise e
        try:
            super()._handle_dbapi_exception(e, *details, **options)
        except sa.exc.OperationalError as error:
            refused = unreadable_text(error.orig)
            if refused is None:
                raise
        raise refused from None


class FileEngine:
    """One SQLAlchemy engine for any number of files, and for databases in memory.

    Its transactions begin with BEGIN IMMEDIATE. The pool keeps nothing: whoever takes a connection
    holds it, and its close closes the file. Values never stand in an error or a log: among them
    are stream keys, hashes and passwords.
    """

    def __init__(self) -> None:
        """Make the engine; nothing is opened."""
        self._source: ConnectionSource[sqlite3.Connection] = ConnectionSource()
        self._engine = sa.create_engine(
            "sqlite+immediate://",
            creator=self._source.take,
            poolclass=sa.pool.NullPool,
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        self._engine._connection_cls = _Connection  # noqa: SLF001 - see there

    def connect(self, path: Path, *, check: Callable[[], None] = lambda: None) -> sa.Connection:
        """Open a file for sessions; see `open_for_session`."""
        return self.connect_over(open_for_session(path, check=check))

    def connect_over(self, opened: sqlite3.Connection) -> sa.Connection:
        """Return an SQLAlchemy connection over one of sqlite3, which it closes with itself."""
        try:
            with self._source.offering(opened):
                return self._engine.connect()
        except BaseException:
            opened.close()
            raise


def raw_connection(connection: sa.Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection below an SQLAlchemy one."""
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None  # noqa: S101 - only a detached connection has none
    return driver_connection  # type: ignore[no-any-return]


def dbapi_connection(connection: sa.Connection) -> sqlite3.Connection:
    """Return the same for any driver: of an async one, the adapter that has sqlite3's methods."""
    found = connection.connection.dbapi_connection
    assert found is not None  # noqa: S101 - only a detached connection has none
    return found  # type: ignore[return-value]

"""SQLAlchemy engine on a control plane: how a transaction begins, and what a fault is called."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from streamhub_orm.engine.engines import READ_ONLY
from streamhub_orm.errors import (
    CommitInDoubtError,
    ControlPlaneBusyError,
    ControlPlaneReadOnlyError,
    HiddenValueError,
    StreamHubError,
)
from streamhub_orm.postgresql.faults import fault_of, hide_values, refusal_of, standby_fault
from streamhub_orm.schema.json_text import json_from_text, json_to_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamhub_orm.server_url import ServerUrl

READY_CONNECTIONS: Final = 8
"""Connections of one process that stay open while nobody uses them; as many more may be open."""
_WAIT_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5
_LOOK_AFTER_SECONDS: Final = 1.0
"""Idle for longer, a connection is tried before it is used: its server may be without power."""
_SERVER: Final = "server"
_USED_AT: Final = "used_at"
_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE"
_LOCKED: Final = "locked"
_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
"""`streamhub_orm.services.core.take_turn` takes the same lock within a transaction."""
_UNLOCK: Final = "SELECT pg_advisory_unlock_all()"
_LOCK_TIMEOUT: Final = "-c lock_timeout=5s"
"""A session waits for another one as long as it would for the write lock of a file."""
APPLICATION: Final = "streamhub-orm"
"""Name of our connections in pg_stat_activity."""


class ServerConnection(psycopg.Connection[Any]):
    """A connection whose work another thread can end, and of which a forked child knows nothing."""

    def __init__(self, pgconn: Any) -> None:  # noqa: ANN401 - psycopg's
        """Note whose it is."""
        super().__init__(pgconn)
        self._process = os.getpid()

    def __del__(self, *_: Any) -> None:  # noqa: ANN401 - psycopg's
        """Warn, as psycopg does, where it was not closed; in a child it is the parent's."""
        if getattr(self, "_process", None) == os.getpid():
            super().__del__()

    statements_left: int | None = None
    """Statements that may still run without a transaction; None in a transaction."""

    def is_lost(self) -> bool:
        """Tell whether the server has ended it, as far as that has come here; asks nobody.

        Takes 2 µs. A connection at rest has nothing to be read, unless the server takes its leave.
        """
        pgconn, poll = self.pgconn, select.poll()
        try:
            poll.register(pgconn.socket, select.POLLIN)
            while poll.poll(0):
                pgconn.consume_input()
        except psycopg.Error:
            return True
        return False

    def stop(self) -> None:
        """Let it roll back and close, and do nothing else."""
        self.__class__ = StoppedServerConnection

    def end_statement(self) -> None:
        """Ask the server to end the statement that is at work; waits 5 s at most."""
        with suppress(psycopg.Error):  # it has ended by itself, or the server has gone
            self.cancel_safe(timeout=_CONNECT_SECONDS)


class StoppedServerConnection(ServerConnection):
    """A connection of stopped work."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - stands for any method
        message = "stopped"
        raise psycopg.errors.QueryCanceled(message)

    commit = cursor = execute = transaction = pipeline = _refuse


class ServerDialect(PGDialect_psycopg):
    """psycopg with our way to begin, and our errors for what a session may meet.

    A session that only reads sees one snapshot. One that writes is serializable: what it read is
    still true when it commits, or it ends in `TransactionConflictError`, as if it had never begun.
    On SQLite the write lock gives the same promise.
    """

    supports_statement_cache = True

    def connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's protocol
        """Connect."""
        return ServerConnection.connect(*arguments, **options)

    def do_begin(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Begin; the driver's own transaction control is off.

        Raises `ControlPlaneReadOnlyError` for a session that writes, on a standby.
        """
        info = dbapi_connection.info
        if dbapi_connection.driver_connection.statements_left is not None:
            return
        try:
            dbapi_connection.driver_connection.execute(
                _READING if info.get(READ_ONLY, False) else _WRITING
            )
        except psycopg.errors.FeatureNotSupported as error:  # "serializable", says a standby
            raise standby_fault(error, info[_SERVER]) from error

    def do_rollback(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Roll back; a connection that is lost has nothing left to be rolled back."""
        if dbapi_connection.driver_connection.statements_left is not None:
            return
        try:
            dbapi_connection.rollback()
        except psycopg.Error:
            if not dbapi_connection.driver_connection.closed:
                raise
            dbapi_connection.invalidate()

    def do_commit(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's protocol
        """Commit; raises `CommitInDoubtError` where the connection ends before the answer.

        One that has ended before is asked nothing, and left nothing in doubt.
        """
        if dbapi_connection.driver_connection.statements_left is not None:
            return
        if dbapi_connection.driver_connection.is_lost():
            message = "the server to have ended the connection before the commit"
            raise psycopg.OperationalError(message)
        try:
            dbapi_connection.commit()
        except psycopg.Error as error:
            server = dbapi_connection.info[_SERVER]
            found = fault_of(error, server, during_commit=True)
            if isinstance(found, CommitInDoubtError):
                dbapi_connection.invalidate()
                raise found from error
            raise

    def do_execute(
        self,
        cursor: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        statement: str,
        parameters: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        context: Any = None,  # noqa: ANN401 - SQLAlchemy's protocol
    ) -> None:
        """Execute a statement; raises `HiddenValueError` for a value that no server holds."""
        del context
        _require_holdable(parameters)
        if cursor.connection.statements_left is not None:
            _require_one_look(cursor.connection, statement)
        cursor.execute(statement, parameters)

    def first_row(
        self, connection: sa.Connection, statement: str, values: dict[str, Any]
    ) -> tuple[Any, ...] | None:
        """Return the first row of a statement in the driver's own words, or None.

        `Connection.execute` would cost three times what the driver does.
        """
        cursor = connection.connection.cursor()
        try:
            self.do_execute(cursor, statement, values)
            row: tuple[Any, ...] | None = cursor.fetchone()
        except psycopg.Error as error:
            connection._handle_dbapi_exception(error, statement, values, cursor, None)  # noqa: SLF001
        finally:
            cursor.close()
        return row

    def do_executemany(
        self,
        cursor: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        statement: str,
        parameters: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        context: Any = None,  # noqa: ANN401 - SQLAlchemy's protocol
    ) -> None:
        """Execute a statement with each of many parameters, as `do_execute`."""
        del context
        if cursor.connection.statements_left is not None:
            _require_one_look(cursor.connection, statement)
        for each in parameters:
            _require_holdable(each)
        cursor.executemany(statement, parameters)


def _require_one_look(connection: ServerConnection, statement: str) -> None:
    if connection.statements_left == 0 or not statement.lstrip().startswith("SELECT"):
        message = "this session is for one SELECT: open another one"
        raise sa.exc.InvalidRequestError(message)
    connection.statements_left = 0


def _require_holdable(parameters: Mapping[str, Any] | Sequence[Any] | None) -> None:
    values = parameters.values() if isinstance(parameters, dict) else parameters or ()
    for value in values:
        if value.__class__ is str:
            if "\0" in value:
                raise HiddenValueError(_TEXT, "text with a NUL character in it")
            if not value.isascii() and not _is_utf8(value):
                raise HiddenValueError(_TEXT, "text with half a surrogate pair in it")
        elif value.__class__ is int and not -(2**63) <= value < 2**63:
            raise HiddenValueError(_NUMBER, "a greater one")


_NUMBER: Final = "a number of 64 bits"
_TEXT: Final = "text that UTF-8 can write, without NUL"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


registry.register("postgresql.streamhub", __name__, "ServerDialect")


class _Connection(sa.Connection):
    """A connection that raises our own errors; see the one of `streamhub_orm.engine.engines`."""

    def _handle_dbapi_exception(
        self,
        e: BaseException,
        *details: Any,  # noqa: ANN401 - SQLAlchemy's
        **options: Any,  # noqa: ANN401 - SQLAlchemy's
    ) -> NoReturn:
        if isinstance(e, StreamHubError):
            raise e
        hide_values(e)
        try:
            super()._handle_dbapi_exception(e, *details, **options)
        except sa.exc.DBAPIError as error:
            found = fault_of(error.orig, self.engine.info_server)  # type: ignore[attr-defined,arg-type]
            if found is None or self._refuses_writes(found):
                raise
            raise found from None

    def _refuses_writes(self, found: StreamHubError) -> bool:
        """Tell whether it is the session that is read-only, and not the server."""
        reads = not self.invalidated and self.info.get(READ_ONLY, False)
        return reads and isinstance(found, ControlPlaneReadOnlyError)


def connect(url: ServerUrl) -> ServerConnection:
    """Return a connection past any pool, in autocommit; raises psycopg's errors."""
    dialect: Any = ServerDialect
    _, options = dialect().create_connect_args(url.url)
    wanted: dict[str, Any] = options | _connect_arguments(url)
    return ServerConnection.connect(**wanted)


class ServerEngine:
    """One engine on a control plane, with a pool that heals by itself.

    Values never stand in an error or a log: among them are hashes and keys.
    """

    def __init__(self, url: ServerUrl, *, ready: int = READY_CONNECTIONS) -> None:
        """Make the engine; nothing is opened."""
        self.url = url
        self.server = str(url)
        self._most = 2 * ready
        self.engine = sa.create_engine(
            url.url.set(drivername="postgresql+streamhub"),
            pool_size=ready,
            max_overflow=ready,
            pool_timeout=_WAIT_SECONDS,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            hide_parameters=True,
            json_serializer=json_to_server,
            json_deserializer=json_from_text,
            connect_args=_connect_arguments(url),
        )
        self.engine._connection_cls = _Connection  # noqa: SLF001 - as there
        self.engine.info_server = self.server  # type: ignore[attr-defined]
        sa.event.listen(self.engine, "connect", self._note)
        sa.event.listen(self.engine, "checkout", _look)
        sa.event.listen(self.engine, "checkin", _note_use)

    def connect(self, *, read_only: bool = False, one_look: bool = False) -> sa.Connection:
        """Return a connection outside of any transaction; raises a `ControlPlaneError`.

        With `one_look` it may run one SELECT, which is a snapshot by itself: that takes one round
        trip to the server, where BEGIN and ROLLBACK make it three.
        """
        try:
            connection = self.engine.connect()
        except sa.exc.TimeoutError as error:
            raise ControlPlaneBusyError(
                self.server,
                f"all {self._most} connections that may be open in use for {_WAIT_SECONDS:g} s",
                "one to be given back",
                "End sessions sooner, and do not open one inside another.",
            ) from error
        except sa.exc.DBAPIError as error:
            raise refusal_of(error.orig, self.server) from None
        connection.info[READ_ONLY] = read_only
        driver_connection = connection.connection.driver_connection
        driver_connection.statements_left = 1 if one_look else None  # type: ignore[union-attr]
        return connection

    def lock(self, connection: sa.Connection, turn: str) -> None:
        """Take the lock of a text, outside of any transaction; raises `ControlPlaneBusyError`."""
        raw = connection.connection.driver_connection
        connection.info[_LOCKED] = True
        try:
            raw.execute(_LOCK, (turn,))  # type: ignore[union-attr]
        except psycopg.Error as error:
            connection.invalidate()
            raise (fault_of(error, self.server) or refusal_of(error, self.server)) from None

    def unlock(self, connection: sa.Connection) -> None:
        """Give back the locks of `lock`."""
        if connection.info.pop(_LOCKED, False):
            try:
                connection.connection.driver_connection.execute(_UNLOCK)  # type: ignore[union-attr]
            except psycopg.Error:
                connection.invalidate()  # which ends them too

    def close(self) -> None:
        """Close every connection that nobody has in hand."""
        self.engine.dispose()

    def leave_to_parent(self) -> None:
        """In a child after fork, forget the connections without closing them."""
        self.engine.dispose(close=False)

    def _note(self, _: object, record: sa.pool.ConnectionPoolEntry) -> None:
        record.info[_SERVER] = self.server


_DEFAULTS: Final = {
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": APPLICATION,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What a URL does not say otherwise. By the last four a network that swallows packets ends a
statement after 10 s, and a wait for its answer after 25; TCP's own defaults take hours."""


def _connect_arguments(url: ServerUrl) -> dict[str, Any]:
    """Return what psycopg needs beside what the URL says, which comes first."""
    given = url.url.query
    own = (os.environ.get("PGOPTIONS", ""), given.get("options", ""))
    options = [_LOCK_TIMEOUT, *own, "-c timezone=UTC"]
    chosen = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return chosen | {"autocommit": True, "options": " ".join(map(str, filter(None, options)))}


def _note_use(_: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _look(connection: ServerConnection, record: sa.pool.ConnectionPoolEntry, _: object) -> None:
    used_at = record.info.get(_USED_AT)
    if used_at is None:
        return
    if connection.is_lost():
        raise sa.exc.DisconnectionError
    if time.monotonic() - used_at < _LOOK_AFTER_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise sa.exc.DisconnectionError from error

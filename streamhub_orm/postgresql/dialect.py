"""Dialect of a control plane: its connections, and how a transaction begins and ends there."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from streamhub_orm.engine.engines import (
    READ_ONLY,
    half_pair_error,
    nul_error,
    number_error,
)
from streamhub_orm.errors import CommitInDoubtError
from streamhub_orm.postgresql.faults import fault_of, standby_fault
from streamhub_orm.schema import is_storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVER: Final = "server"
"""The key in a connection's `info` of its server's name, which errors show."""
CONNECT_SECONDS: Final = 5
_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE"


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
            self.cancel_safe(timeout=CONNECT_SECONDS)


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
            raise standby_fault(error, info[SERVER]) from error

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
            server = dbapi_connection.info[SERVER]
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
                raise nul_error()
            if not value.isascii() and not is_storable(value):
                raise half_pair_error()
        elif value.__class__ is int and not -(2**63) <= value < 2**63:
            raise number_error()


def server_connection(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection below an SQLAlchemy one."""
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, psycopg.Connection)  # noqa: S101 - a server's
    return driver_connection


registry.register("postgresql.streamhub", __name__, "ServerDialect")

"""Rows by their key, and statements of SQLAlchemy Core in a session, for calls that are hot."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from streamhub_orm.databases.sessions import begun
from streamhub_orm.engine.connections import lossy_text
from streamhub_orm.engine.engines import READ_ONLY, raw_connection, unreadable_text
from streamhub_orm.errors import HiddenValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.orm import DeclarativeBase, Session
    from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

    _OneRow = (
        sa.Select[*tuple[Any, ...]]
        | ReturningInsert[*tuple[Any, ...]]
        | ReturningUpdate[*tuple[Any, ...]]
    )

    from streamhub_orm.errors import UnknownRowError

__all__ = [
    "PageQuery",
    "PointQuery",
    "connection_of",
    "database_of",
    "get_row",
    "rows_of",
    "table_of",
    "take_turn",
]

_SQLITE: Final = "sqlite"
_TURN: Final = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("turn"), 0))
)
_FILE: Final = sa.text("SELECT file FROM pragma_database_list")

T = TypeVar("T", bound="DeclarativeBase")
RowsT = TypeVar("RowsT", bound="Sequence[Any]")


def get_row(
    session: Session, model: type[T], key: object, unknown: Callable[[Any], UnknownRowError]
) -> T:
    """Return the row of a primary key; raises `unknown`, made of the key, where there is none."""
    row = session.get(model, key)
    if row is None:
        raise unknown(key)
    return row


def table_of(model: type[DeclarativeBase]) -> sa.Table:
    """Return the table of a model, for statements of Core."""
    return cast("sa.Table", model.__table__)


def database_of(session: Session) -> Path | str:
    """Return the session's database: its file, or its server without the password."""
    connection = session.connection()
    if connection.dialect.name == _SQLITE:
        return Path(connection.execute(_FILE).scalars().first() or "")
    return str(connection.engine.info_server)  # type: ignore[attr-defined]


def connection_of(session: Session) -> sa.Connection:
    """Return the session's connection, with what the session still held back written to it.

    A statement that was built once costs about a third here of what a query of the session costs.
    What it changes does not show in objects that the session has loaded before.
    """
    session.flush()
    return session.connection()


def take_turn(session: Session, turn: str) -> None:
    """Wait until no other session that writes holds the same turn, and hold it until the end.

    On a file the write lock does the same for all. On a server the session goes on seeing what was
    there when it began: `Databases.global_session(turn=…)` waits before that.
    """
    connection = session.connection()
    if connection.dialect.name != _SQLITE and not connection.info.get(READ_ONLY):
        connection.execute(_TURN, {"turn": turn})


def rows_of(
    session: Session, read: Callable[[], RowsT], decode: Callable[[bytes], object]
) -> tuple[RowsT, bool]:
    """Return the rows that `read` reads; True where a text is no UTF-8: `decode` made its texts.

    By itself Python's sqlite3 refuses the whole page then. It is read again, so that no other page
    pays for it.
    """
    try:
        return read(), False
    except HiddenValueError:
        # Or a value that cannot be bound, which is refused once more.
        if begun(session).dialect.name != _SQLITE:  # which alone holds texts that are no UTF-8
            raise
    with lossy_text(raw_connection(begun(session)), decode):
        return read(), True


class PointQuery:
    """A statement that reads one row, for calls that every request makes.

    `Connection.execute` costs about 18 µs on top of SQLite's 4. Here a statement is compiled to SQL
    once, and the driver's own cursor runs it in the session's transaction. Values are bound by the
    type of their parameter; rows are returned as they are stored. Of SQLAlchemy's events only
    `before_cursor_execute` is sent. On a server the same is done with what its dialect compiles;
    select times, JSON and flags by `as_stored`, so that a row is the same.
    """

    def __init__(self, statement: _OneRow, *parameters: str) -> None:
        """Compile the statement; `parameters` are the names of all it has, in their order.

        Raises ValueError where they are not.
        """
        dialect = sqlite.dialect()
        compiled = statement.compile(dialect=dialect)
        if tuple(compiled.positiontup or ()) != parameters:
            message = f"found the parameters {compiled.positiontup}; expected {parameters}"
            raise ValueError(message)
        self.statement = statement
        self._parameters = parameters
        self._sql = str(compiled)
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in parameters]
        writers = [type_.bind_processor(dialect) for type_ in types]
        self._writers = writers if any(writers) else None
        self._on_server: _OnServer | None = None

    def first(self, session: Session, *values: object) -> tuple[Any, ...] | None:
        """Return the first row, or None; the session is flushed before.

        Raises what a statement of the session raises, and `HiddenValueError` where a text of the
        row is no UTF-8.
        """
        session.flush()
        return self.first_on(begun(session), *values)

    def first_on(self, connection: sa.Connection, *values: object) -> tuple[Any, ...] | None:
        """Return the same on a connection in a transaction, for a call that needs no session."""
        if connection.dialect.name != _SQLITE:
            if self._on_server is None:
                self._on_server = _OnServer(self.statement, self._parameters, connection.dialect)
            return self._on_server.first(connection, values)
        row: tuple[Any, ...] | None = self._run(connection, values, sqlite3.Cursor.fetchone)
        return row

    def _run(
        self, connection: sa.Connection, values: Sequence[object], fetch: Callable[[Any], Any]
    ) -> Any:  # noqa: ANN401 - what it fetches
        if self._writers is not None:
            pairs = zip(self._writers, values, strict=True)
            values = tuple(write(value) if write else value for write, value in pairs)
        cursor = None
        try:
            cursor = connection.connection.cursor()
            for listener in connection.dispatch.before_cursor_execute:
                listener(connection, cursor, self._sql, values, None, False)  # noqa: FBT003 - as SQLAlchemy calls it
            connection.dialect.do_execute(cursor, self._sql, values)
            return fetch(cursor)
        except sqlite3.Error as error:
            refused = unreadable_text(error)
            if refused is not None:
                raise refused from None
            raise sa.exc.DBAPIError.instance(
                self._sql, values, error, sqlite3.Error, hide_parameters=True
            ) from error
        finally:
            if cursor is not None:
                cursor.close()


class PageQuery(PointQuery):
    """The same for a statement that reads many rows."""

    def __init__(self, statement: sa.Select[*tuple[Any, ...]]) -> None:
        """Compile the statement."""
        self._names = statement.compile(dialect=sqlite.dialect()).positiontup or ()
        super().__init__(statement, *self._names)

    def all(self, session: Session, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return all rows, for values by the names of the parameters; raises what `first` does."""
        session.flush()
        bound = tuple(values[name] for name in self._names)
        rows: list[tuple[Any, ...]] = self._run(begun(session), bound, sqlite3.Cursor.fetchall)
        return rows


class _OnServer:
    """A point query as a server's dialect compiles it."""

    def __init__(
        self, statement: _OneRow, parameters: tuple[str, ...], dialect: sa.Dialect
    ) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in parameters]
        writers = [it.bind_processor(dialect) for it in types]
        self._writers = list(zip(parameters, writers, strict=True))
        selected = [column.type.dialect_impl(dialect) for column in statement.exported_columns]
        self._readers = [it.result_processor(dialect, None) for it in selected]

    def first(
        self, connection: sa.Connection, values: tuple[object, ...]
    ) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        pairs = zip(self._writers, values, strict=True)
        given = {name: write(value) if write else value for (name, write), value in pairs}
        row = connection.dialect.first_row(connection, self._sql, given)  # type: ignore[attr-defined]
        if row is None:
            return None
        return tuple(read(it) if read else it for read, it in zip(self._readers, row, strict=True))

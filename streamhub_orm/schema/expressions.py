"""Expressions that SQLite and PostgreSQL spell differently: each has its two forms here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from streamhub_orm.schema.types import (
    POSTGRESQL,
    SERVER_TIME,
    TEXT,
    FieldType,
    naive_utc,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.operators import OperatorType
    from sqlalchemy.types import TypeEngine

    Bound: TypeAlias = sa.BindParameter[Any]
    Column: TypeAlias = sa.ColumnElement[Any] | InstrumentedAttribute[Any]

_BLANK: Final = sa.literal_column("' '", sa.Text)
_T: Final = sa.literal_column("'T'", sa.Text)
_Z: Final = sa.literal_column("'Z'", sa.Text)


class SqlNow(FunctionElement[Any]):
    """The present time in whole seconds."""

    inherit_cache = True
    name = "sql_now"
    type = TEXT


@compiles(SqlNow)
def _(_: SqlNow, __: SQLCompiler, **___: object) -> str:
    return "datetime('now')"


@compiles(SqlNow, POSTGRESQL)
def _(_: SqlNow, __: SQLCompiler, **___: object) -> str:
    return "date_trunc('second', now())"


class AsStored(TypeDecorator[Any]):
    """A column as SQLite stores it: a time as its text, JSON as its text, a flag as its number.

    For what must read whatever is stored. PostgreSQL holds no other form: there its values are put
    into these texts and numbers, and one that is bound is put into its own form.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, column_type: TypeEngine[Any]) -> None:
        """Keep the column's own type."""
        super().__init__()
        self.column_type = column_type if isinstance(column_type, FieldType) else FieldType()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of this dialect."""
        return self.column_type.server_type if dialect.name == POSTGRESQL else sa.Text()

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - as stored
        """Write what SQLite would store."""
        is_here = value is None or dialect.name != POSTGRESQL
        return value if is_here else self.column_type.from_stored(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - as stored
        """Read what SQLite would store."""
        is_here = value is None or dialect.name != POSTGRESQL
        return value if is_here else self.column_type.to_stored(value)


def as_stored(column: Column) -> sa.TypeCoerce[Any]:
    """Return a column as `AsStored`."""
    return sa.type_coerce(column, AsStored(column.type))


class ComparableTime(TypeDecorator[datetime]):
    """A time on the other side of `comparable`: aware, bound as what that side is."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of this dialect."""
        return SERVER_TIME if dialect.name == POSTGRESQL else sa.Text()

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - the driver's
        """Write the time; its text has no zeros at its end, so none of the same time is less."""
        if value is None:
            return None
        utc = naive_utc(value)
        if dialect.name == POSTGRESQL:
            return utc.replace(tzinfo=UTC)
        whole = utc.isoformat("T", "seconds")
        fraction = f"{utc.microsecond:06}".rstrip("0")
        return f"{whole}.{fraction}" if fraction else whole


class _Comparable(FunctionElement[Any]):
    inherit_cache = True
    name = "comparable"
    type = ComparableTime()


def comparable(column: Column) -> FunctionElement[Any]:
    """Return a stored time in a form that compares in order of time: `2026-01-31T23:59:59.123`.

    On SQLite no index holds it: search by `TimeRange`. Equal times may differ there by zeros at
    their end.
    """
    return _Comparable(column)


@compiles(_Comparable)
def _(element: _Comparable, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    text = sa.type_coerce(column, sa.Text)
    replaced = sa.func.rtrim(sa.func.replace(text, _BLANK, _T), _Z, type_=sa.Text)
    return compiler.process(replaced, **options)


@compiles(_Comparable, POSTGRESQL)
def _(element: _Comparable, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return compiler.process(column, **options)


class _Condition(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Return itself: by its type SQLAlchemy would compare it with 1, which meets no index."""
        del against
        return self


class _Searched(_Condition):
    inherit_cache = True
    name = "searched"


def searched(condition: sa.ColumnElement[bool]) -> FunctionElement[bool]:
    """Return a condition on a time's text that leads SQLite to an index; PostgreSQL needs none."""
    return _Searched(condition)


@compiles(_Searched)
def _(element: _Searched, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return compiler.process(element.clause_expr.element, **options)


@compiles(_Searched, POSTGRESQL)
def _(_: _Searched, __: SQLCompiler, **___: object) -> str:
    return "TRUE"


class _Either(_Condition):
    inherit_cache = True
    name = "either"


def by_day_or(
    by_day: sa.ColumnElement[bool], exact: sa.ColumnElement[bool]
) -> FunctionElement[bool]:
    """Return an exact condition on a time, and before it one on its text that often answers.

    On SQLite comparing the day as text is five times as fast.
    """
    return _Either(by_day, exact)


@compiles(_Either)
def _(element: _Either, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return compiler.process(sa.or_(*element.clauses).self_group(), **options)


@compiles(_Either, POSTGRESQL)
def _(element: _Either, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    _, exact = element.clauses
    return compiler.process(exact, **options)


class _WithoutCase(FunctionElement[str]):
    inherit_cache = True
    name = "without_case"
    type = TEXT


def without_case(column: Column | Bound) -> FunctionElement[str]:
    """Return a text that compares with A to Z as a to z; both sides of a comparison need it."""
    return _WithoutCase(column)


@compiles(_WithoutCase)
def _(element: _WithoutCase, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f"{compiler.process(column, **options)} COLLATE NOCASE"


@compiles(_WithoutCase, POSTGRESQL)
def _(element: _WithoutCase, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f'lower({compiler.process(column, **options)} COLLATE "C")'


class _BeyondAscii(_Condition):
    inherit_cache = True
    name = "beyond_ascii"


def beyond_ascii(column: Column) -> FunctionElement[bool]:
    """Return the condition that a text holds a blank, or a character beyond ASCII."""
    return _BeyondAscii(column)


@compiles(_BeyondAscii)
def _(element: _BeyondAscii, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f"{compiler.process(column, **options)} GLOB '*[^!-~]*'"


@compiles(_BeyondAscii, POSTGRESQL)
def _(element: _BeyondAscii, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f"""{compiler.process(column, **options)} COLLATE "C" ~ '[^!-~]'"""


class _Utf8(FunctionElement[bytes]):
    inherit_cache = True
    name = "utf8"
    type = sa.LargeBinary()


def utf8(column: Column) -> FunctionElement[bytes]:
    """Return a text as its bytes: on SQLite it may be no UTF-8."""
    return _Utf8(column)


@compiles(_Utf8)
def _(element: _Utf8, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f"CAST({compiler.process(column, **options)} AS BLOB)"


@compiles(_Utf8, POSTGRESQL)
def _(element: _Utf8, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    (column,) = element.clauses
    return f"convert_to({compiler.process(column, **options)}, 'UTF8')"


class _JsonMember(FunctionElement[str]):
    inherit_cache = True
    name = "json_member"
    type = TEXT


def json_member(column: Column, key: str) -> FunctionElement[str]:
    """Return the text at a key of a JSON object, a plain word; NULL where the JSON is malformed.

    On SQLite the text of the column is looked at for the word before it is parsed.
    """
    return _JsonMember(column, sa.literal_column(f"'{key}'", TEXT))


@compiles(_JsonMember)
def _(element: _JsonMember, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, key = (compiler.process(it, **options) for it in element.clauses)
    word = key.strip("'")
    return (
        f"CASE WHEN instr({column}, '\"{word}\"') AND json_valid({column}) "
        f"THEN json_extract({column}, '$.{word}') END"
    )


@compiles(_JsonMember, POSTGRESQL)
def _(element: _JsonMember, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, key = (compiler.process(it, **options) for it in element.clauses)
    return f"({column} ->> {key})"


class _ColumnNames(FunctionElement[str]):
    inherit_cache = True
    name = "column_names"
    type = TEXT


def column_names(table: str) -> sa.Select[str]:
    """Return the statement that lists the columns of a table; none where there is none."""
    names = _ColumnNames(sa.literal_column(f"'{table}'", TEXT)).table_valued("name")
    return sa.select(sa.column("name", TEXT)).select_from(names)


@compiles(_ColumnNames)
def _(element: _ColumnNames, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return f"pragma_table_info({compiler.process(element.clause_expr.element, **options)})"


@compiles(_ColumnNames, POSTGRESQL)
def _(element: _ColumnNames, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    table = compiler.process(element.clause_expr.element, **options)
    # By the catalogue: the view of information_schema takes a millisecond.
    place = f"to_regclass(quote_ident(current_schema()) || '.' || {table})"
    return f"""(SELECT attname::text AS name FROM pg_attribute
                WHERE attrelid = {place} AND attnum > 0 AND NOT attisdropped)"""  # noqa: S608

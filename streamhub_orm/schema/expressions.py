"""Expressions that SQLite and PostgreSQL spell differently: each has its two forms here."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

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
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.operators import OperatorType
    from sqlalchemy.types import TypeEngine

    Bound: TypeAlias = sa.BindParameter[Any]
    Column: TypeAlias = sa.ColumnElement[Any] | InstrumentedAttribute[Any]


class _Spelled(FunctionElement[Any]):
    """An expression by its two spellings, in which `{0}` stands for its first argument.

    SQLAlchemy keeps the statement of a class only where the class itself says `inherit_cache`.
    """

    inherit_cache = True
    on_sqlite: ClassVar[str]
    on_postgresql: ClassVar[str]


class _Part:
    """An argument, compiled where a spelling has it: another one would bind values for nothing."""

    def __init__(self, compile_: Callable[[], str]) -> None:
        self._compile = compile_

    def __format__(self, _: str) -> str:
        return self._compile()


def _spell(template: str, element: _Spelled, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    parts = (_Part(partial(compiler.process, it, **options)) for it in element.clauses)
    return template.format(*parts)


@compiles(_Spelled)
def _(element: _Spelled, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return _spell(element.on_sqlite, element, compiler, options)


@compiles(_Spelled, POSTGRESQL)
def _(element: _Spelled, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return _spell(element.on_postgresql, element, compiler, options)


class SqlNow(_Spelled):
    """The present time in whole seconds."""

    inherit_cache = True
    name = "sql_now"
    type = TEXT
    on_sqlite = "datetime('now')"
    on_postgresql = "date_trunc('second', now())"


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


class _Comparable(_Spelled):
    inherit_cache = True
    name = "comparable"
    type = ComparableTime()
    on_sqlite = "rtrim(replace({0}, ' ', 'T'), 'Z')"
    on_postgresql = "{0}"


def comparable(column: Column) -> FunctionElement[Any]:
    """Return a stored time in a form that compares in order of time: `2026-01-31T23:59:59.123`.

    On SQLite no index holds it: search by `TimeRange`. Equal times may differ there by zeros at
    their end.
    """
    return _Comparable(column)


class _Condition(_Spelled):
    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Return itself: by its type SQLAlchemy would compare it with 1, which meets no index."""
        del against
        return self


class _Searched(_Condition):
    inherit_cache = True
    name = "searched"
    on_sqlite = "{0}"
    on_postgresql = "TRUE"


def searched(condition: sa.ColumnElement[bool]) -> FunctionElement[bool]:
    """Return a condition on a time's text that leads SQLite to an index; PostgreSQL needs none."""
    return _Searched(condition)


class _Either(_Condition):
    inherit_cache = True
    name = "either"
    on_sqlite = "({0} OR {1})"
    on_postgresql = "{1}"


def by_day_or(
    by_day: sa.ColumnElement[bool], exact: sa.ColumnElement[bool]
) -> FunctionElement[bool]:
    """Return an exact condition on a time, and before it one on its text that often answers.

    On SQLite comparing the day as text is five times as fast.
    """
    return _Either(by_day, exact)


class _WithoutCase(_Spelled):
    inherit_cache = True
    name = "without_case"
    type = TEXT
    on_sqlite = "{0} COLLATE NOCASE"
    on_postgresql = 'lower({0} COLLATE "C")'


def without_case(column: Column | Bound) -> FunctionElement[str]:
    """Return a text that compares with A to Z as a to z; both sides of a comparison need it."""
    return _WithoutCase(column)


class _BeyondAscii(_Condition):
    inherit_cache = True
    name = "beyond_ascii"
    on_sqlite = "{0} GLOB '*[^!-~]*'"
    on_postgresql = """{0} COLLATE "C" ~ '[^!-~]'"""


def beyond_ascii(column: Column) -> FunctionElement[bool]:
    """Return the condition that a text holds a blank, or a character beyond ASCII."""
    return _BeyondAscii(column)


class _Utf8(_Spelled):
    inherit_cache = True
    name = "utf8"
    type = sa.LargeBinary()
    on_sqlite = "CAST({0} AS BLOB)"
    on_postgresql = "convert_to({0}, 'UTF8')"


def utf8(column: Column) -> FunctionElement[bytes]:
    """Return a text as its bytes: on SQLite it may be no UTF-8."""
    return _Utf8(column)


class _JsonMember(_Spelled):
    inherit_cache = True
    name = "json_member"
    type = TEXT
    on_sqlite = (
        """CASE WHEN instr({0}, '"{1}"') AND json_valid({0}) """
        "THEN json_extract({0}, '$.{1}') END"
    )
    on_postgresql = "({0} ->> '{1}')"


def json_member(column: Column, key: str) -> FunctionElement[str]:
    """Return the text at a key of a JSON object, a plain word; NULL where the JSON is malformed.

    On SQLite the text of the column is looked at for the word before it is parsed.
    """
    return _JsonMember(column, sa.literal_column(key, TEXT))


class _ColumnNames(_Spelled):
    inherit_cache = True
    name = "column_names"
    type = TEXT
    on_sqlite = "pragma_table_info('{0}')"
    # By the catalogue: the view of information_schema takes a millisecond.
    on_postgresql = """(SELECT attname::text AS name FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(current_schema()) || '.' || '{0}')
          AND attnum > 0 AND NOT attisdropped)"""


def column_names(table: str) -> sa.Select[str]:
    """Return the statement that lists the columns of a table; none where there is none."""
    names = _ColumnNames(sa.literal_column(table, TEXT)).table_valued("name")
    return sa.select(sa.column("name", TEXT)).select_from(names)

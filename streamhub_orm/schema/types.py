"""Column types for what the Node core stores: two timestamp formats, flags and words.

On SQLite all are TEXT or INTEGER. A stored value of another form raises `StoredValueError`; a NULL
is None. On PostgreSQL they are its own types, which hold no other form; the values in Python are
the same.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from streamhub_orm.errors import StoredValueError

_Word = TypeVar("_Word", bound=StrEnum)

_TIMESTAMP: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d(?:\.\d+)?)"
    r"\s*(?P<offset>Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_LENGTH: Final = len("2026-01-31T23:59:59.123Z")
_SQL_LENGTH: Final = len("2026-01-31 23:59:59")
_NOT_TEXT: Final = re.compile("[\ud800-\udfff\0]")

POSTGRESQL: Final = "postgresql"
"""SQLAlchemy's name of the dialect in which the global database may be kept on a server."""
SERVER_TIME: Final = postgresql.TIMESTAMP(timezone=True)
SERVER_TEXT: Final = postgresql.TEXT(collation="C")
"""Text in the order of its bytes, as on SQLite, whatever the database's own collation is."""
TEXT: Final = sa.TEXT().with_variant(SERVER_TEXT, POSTGRESQL)
INTEGER: Final = sa.INTEGER().with_variant(postgresql.BIGINT(), POSTGRESQL)
"""A whole number of 64 bits."""


present: Callable[[], datetime] = partial(datetime.now, UTC)
"""The clock of `utc_now`; `streamhub_orm.testing.Clock` puts itself in its place."""


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return present()


def one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    """Return the CHECK that a column holds one of the words; an unquoted name, a table argument."""
    listed = ", ".join(f"'{word.value}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def member_of(words: type[_Word], value: str) -> _Word:
    """Return the word that `value` is or spells; raises `StoredValueError`."""
    try:
        return words(value)
    except ValueError as error:
        expected = f"one of {', '.join(words)}"
        raise StoredValueError(expected, value) from error


def naive_utc(given: object) -> datetime:
    """Return an aware datetime as a naive one in UTC; raises `StoredValueError` for another."""
    if not isinstance(given, datetime) or given.utcoffset() is None:
        expected = "a datetime with a time zone"
        raise StoredValueError(expected, given)
    return given.astimezone(UTC).replace(tzinfo=None)


class FieldType(TypeDecorator[Any]):
    """Base of the types whose form on SQLite is the Node core's, and on PostgreSQL its own."""

    impl: Any = sa.Text
    cache_ok = True
    server_type: TypeEngine[Any] = SERVER_TEXT
    """The type on PostgreSQL."""

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of this dialect."""
        return self.server_type if dialect.name == POSTGRESQL else self.impl_instance

    def to_stored(self, value: Any) -> Any:  # noqa: ANN401 - a value of PostgreSQL's driver
        """Return what SQLite would store for a value of PostgreSQL's."""
        return value

    def from_stored(self, stored: Any) -> Any:  # noqa: ANN401 - a value of SQLite's
        """Return what PostgreSQL holds for what SQLite would store."""
        return stored


class UtcTime(FieldType):
    """A point in time in UTC: TEXT, of which it reads every format in the field and writes one.

    On PostgreSQL a `timestamptz`, of which it writes as much as the text would hold.
    """

    cache_ok = True
    server_type = SERVER_TIME

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - the driver's
        """Write an aware datetime in this column's format."""
        if value is None:
            return None
        text = self.formatted(naive_utc(value))
        return utc_from_text(text) if dialect.name == POSTGRESQL else text

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - the driver's
        """Read either format into an aware datetime."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == POSTGRESQL else utc_from_text(value)

    def to_stored(self, value: datetime) -> str:
        """Return the time in this column's format."""
        return self.formatted(naive_utc(value))

    def from_stored(self, stored: str) -> datetime:
        """Return the time of a text."""
        return utc_from_text(stored)

    def formatted(self, utc: datetime) -> str:
        """Return the text for a naive datetime in UTC."""
        raise NotImplementedError


class UtcIso(UtcTime):
    """`2026-01-31T23:59:59.123Z`: the columns that JavaScript writes."""

    cache_ok = True

    def formatted(self, utc: datetime) -> str:
        """Return the text that JavaScript's toISOString() gives."""
        return utc.isoformat(timespec="milliseconds") + "Z"


class UtcSql(UtcTime):
    """`2026-01-31 23:59:59`: the columns that `datetime('now')` writes."""

    cache_ok = True

    def formatted(self, utc: datetime) -> str:
        """Return the text that SQLite's datetime() gives."""
        return utc.isoformat(sep=" ", timespec="seconds")


def utc_from_text(stored: object) -> datetime:
    """Read a stored timestamp of either format, aware, in UTC; raises `StoredValueError`."""
    if isinstance(stored, str) and stored[5:6] != "W":  # fromisoformat reads week dates too
        size = len(stored)
        try:
            if (
                size == _ISO_LENGTH
                and stored[10] == "T"
                and stored[19] == "."
                and stored[23] == "Z"
            ):
                return datetime.fromisoformat(stored)
            if size == _SQL_LENGTH and stored[10] == " " and stored[13] == ":":
                return datetime.fromisoformat(stored + "Z")
        except ValueError:
            pass  # not what its length promised
    return _parsed(stored)


def _parsed(stored: object) -> datetime:
    """Read the other forms that are in the field here and there."""
    expected = "a timestamp such as 2026-01-31 23:59:59 or 2026-01-31T23:59:59.123Z"
    match = _TIMESTAMP.fullmatch(stored.strip()) if isinstance(stored, str) else None
    if match is None:
        raise StoredValueError(expected, stored)
    try:
        found = datetime.fromisoformat(
            f"{match['day']}T{match['time']}{(match['offset'] or 'Z').upper()}"
        )
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise StoredValueError(expected, stored) from error


def is_storable(text: str) -> bool:
    """Tell whether a database holds such a text: it has no NUL and no half of a surrogate pair.

    Half a pair has no UTF-8 form, and SQLite's functions end a text at a NUL.
    """
    return _NOT_TEXT.search(text) is None


class IntBool(FieldType):
    """A flag as INTEGER, 0 or 1. Any other number counts as set, as it does for the Node core."""

    impl: Any = sa.Integer
    cache_ok = True
    server_type = sa.BOOLEAN()

    def to_stored(self, value: bool) -> int:  # noqa: FBT001 - one value
        """Return 0 or 1."""
        return int(value)

    def from_stored(self, stored: int) -> bool:
        """Return a number as a flag."""
        return stored != 0

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:  # noqa: FBT001 - SQLAlchemy's protocol
        """Write 0 or 1."""
        if value is None:
            return None
        if value not in (0, 1):
            expected = "True or False"
            raise StoredValueError(expected, value)
        return bool(value) if dialect.name == POSTGRESQL else int(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bool | None:  # noqa: ANN401 - the driver's
        """Read a number as a flag."""
        del dialect
        if value is None:
            return None
        if not isinstance(value, int):
            expected = "0 or 1"
            raise StoredValueError(expected, value)
        return value != 0


class EnumText(TypeDecorator[_Word]):
    """A word of a StrEnum as TEXT. The CHECK is the table's, by `one_of`."""

    impl = TEXT
    cache_ok = True

    def __init__(self, words: type[_Word]) -> None:
        """Keep the words that the column may hold."""
        super().__init__()
        self.words = words
        self._members: dict[Any, _Word] = {word.value: word for word in words}

    def process_bind_param(self, value: _Word | None, dialect: Dialect) -> str | None:
        """Write a member's value; its plain text is accepted too."""
        del dialect
        return None if value is None else self._member(value).value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> _Word | None:  # noqa: ANN401 - the driver's
        """Read a member."""
        del dialect
        return None if value is None else self._member(value)

    def _member(self, value: Any) -> _Word:  # noqa: ANN401 - what is stored or given
        try:
            return self._members[value]
        except (KeyError, TypeError):
            return member_of(self.words, value)

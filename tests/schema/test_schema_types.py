"""The column types: what they write, what they read and what they refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError, StatementError

from streamhub_orm.errors import HiddenValueError, StoredValueError
from streamhub_orm.schema import (
    EnumText,
    IntBool,
    JsonText,
    UtcIso,
    UtcSql,
    one_of,
    utc_from_text,
    utc_now,
)
from streamhub_orm.schema.types import _parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.types import TypeEngine

MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123987, tzinfo=UTC)
SECOND = MOMENT.replace(microsecond=0)


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


TABLE = sa.Table(
    "things",
    sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"}),
    sa.Column("id", sa.INTEGER, primary_key=True),
    sa.Column("iso", UtcIso),
    sa.Column("sql", UtcSql),
    sa.Column("json", JsonText),
    sa.Column("flag", IntBool),
    sa.Column("colour", EnumText(Colour)),
    one_of("colour", Colour),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'types.db'}")
    with engine.begin() as opened:
        TABLE.create(opened)
        yield opened
    engine.dispose()


@pytest.fixture
def stored(connection: sa.Connection) -> Callable[..., Any]:
    """Write one value through a column's type and return what the file holds."""

    def write(column: str, value: object) -> Any:  # noqa: ANN401 - whatever is in the file
        connection.execute(TABLE.insert().values({column: value}))
        found = connection.exec_driver_sql(f"SELECT {column} FROM things ORDER BY id DESC LIMIT 1")
        return found.scalar_one()

    return write


@pytest.fixture
def loaded(connection: sa.Connection) -> Callable[..., Any]:
    """Put a raw value into the file and return what the column's type reads."""

    def read(column: str, raw: object) -> Any:  # noqa: ANN401 - whatever the type reads
        connection.exec_driver_sql(f"INSERT INTO things ({column}) VALUES (?)", (raw,))
        latest = sa.select(TABLE.c[column]).order_by(TABLE.c.id.desc()).limit(1)
        return connection.execute(latest).scalar_one()

    return read


def test_ddl_types_are_text_and_integer(connection: sa.Connection) -> None:
    """The DDL names no type that the Node core's files do not have."""
    found = connection.exec_driver_sql("PRAGMA table_info(things)")
    assert {row[1]: row[2] for row in found} == {
        "id": "INTEGER",
        "iso": "TEXT",
        "sql": "TEXT",
        "json": "TEXT",
        "flag": "INTEGER",
        "colour": "TEXT",
    }


@pytest.mark.parametrize("column", ["iso", "sql", "json", "flag", "colour"])
def test_null_is_none(stored: Callable[..., Any], loaded: Callable[..., Any], column: str) -> None:
    """None is stored as NULL, JSON included, and NULL is read as None."""
    assert stored(column, None) is None
    assert loaded(column, None) is None


@pytest.mark.parametrize("type_", [UtcIso(), UtcSql(), JsonText(), IntBool(), EnumText(Colour)])
def test_types_can_be_cached(type_: TypeEngine[Any]) -> None:
    """A statement that uses the types goes into SQLAlchemy's cache of compiled statements."""
    assert sa.select(sa.column("x", type_))._generate_cache_key() is not None


def test_enum_types_of_other_words_have_other_cache_keys() -> None:
    """Two enums never share a compiled statement, which would read the words of the other."""

    class Size(StrEnum):
        BIG = "big"

    def key(words: type[StrEnum]) -> object:
        return sa.select(sa.column("x", EnumText(words)))._generate_cache_key()

    assert key(Colour) != key(Size)
    assert key(Colour) == key(Colour)


# --- timestamps -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text"),
    [("iso", "2026-01-31T23:59:59.123Z"), ("sql", "2026-01-31 23:59:59")],
)
def test_timestamp_is_written_in_the_columns_format(
    stored: Callable[..., Any], column: str, text: str
) -> None:
    """Each type writes its own format, to the digit; what is finer is cut off, not rounded."""
    assert stored(column, MOMENT) == text


@pytest.mark.parametrize(
    ("column", "text"),
    [("iso", "2026-01-31T23:59:59.000Z"), ("sql", "2026-01-31 23:59:59")],
)
def test_timestamp_of_another_zone_is_written_in_utc(
    stored: Callable[..., Any], column: str, text: str
) -> None:
    """An aware datetime of any zone is turned into UTC, across midnight too."""
    zone = timezone(timedelta(hours=5, minutes=30))
    assert stored(column, SECOND.astimezone(zone)) == text


@pytest.mark.parametrize("column", ["iso", "sql"])
@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-01-31 23:59:59", 0),
        ("2026-01-31 23:59:59.5", 500_000),
        ("2026-01-31 23:59:59Z", 0),
        ("2026-01-31T23:59:59", 0),
        ("2026-01-31T23:59:59.123Z", 123_000),
        ("2026-01-31T23:59:59.123456789Z", 123_456),
        ("2026-01-31t23:59:59z", 0),
        ("2026-01-31T23:59:59.123+00:00", 123_000),
        ("2026-02-01T05:29:59+05:30", 0),
        ("2026-01-31 18:59:59 -0500", 0),
        (" 2026-01-31 23:59:59\n", 0),
    ],
)
def test_timestamp_is_read_from_every_format_in_the_field(
    loaded: Callable[..., Any], column: str, text: str, microsecond: int
) -> None:
    """Both types read both formats, with or without fraction, Z or offset, as aware UTC."""
    found = loaded(column, text)
    assert found == SECOND.replace(microsecond=microsecond)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("column", ["iso", "sql"])
@pytest.mark.parametrize(
    "raw",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-02-30 00:00:00",
        "2026-01-31 25:00:00",
        "2026-01-31 23:59:59 and more",
        "20260131T235959Z",
        "2026-W05-6 23:59:59",
        "2026-W05-6T23:59:59.123Z",
        "2026-01-31T23:59:59,123Z",
        "2026-01-31 235959.12",
        "2026-01-31T235959.1234.Z",
        "1769903999",
        "0001-01-01T00:00:00+14:00",
        "٢٠٢٦-01-31 23:59:59",
        b"2026-01-31 23:59:59",
    ],
)
def test_malformed_timestamp_raises_an_error_that_shows_it(
    loaded: Callable[..., Any], column: str, raw: object
) -> None:
    """What is no timestamp is refused when it is read, and the error shows it."""
    with pytest.raises(StoredValueError) as raised:
        loaded(column, raw)
    assert raised.value.value == raw
    assert repr(raw) in str(raised.value)


@pytest.mark.parametrize("column", ["iso", "sql"])
@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 31), date(2026, 1, 31), "2026-01-31 23:59:59", 0],  # noqa: DTZ001 - naive
)
def test_timestamp_refuses_what_is_not_an_aware_datetime(
    stored: Callable[..., Any], column: str, value: object
) -> None:
    """A naive datetime is refused before it reaches the file, and so is any other type."""
    with pytest.raises(StatementError, match="expected a datetime with a time zone") as raised:
        stored(column, value)
    assert isinstance(raised.value.orig, StoredValueError)


@pytest.mark.parametrize("column", ["iso", "sql"])
def test_comparison_binds_in_the_columns_format(connection: sa.Connection, column: str) -> None:
    """A datetime in a condition takes the column's format; in the other they would not compare."""
    connection.execute(TABLE.insert().values({column: SECOND}))
    later = sa.func.count().select().where(TABLE.c[column] > SECOND - timedelta(seconds=1))
    equal = sa.func.count().select().where(TABLE.c[column] == SECOND)
    between = sa.func.count().select().where(TABLE.c[column].between(SECOND, SECOND))
    for statement in (later, equal, between):
        assert connection.execute(statement).scalar_one() == 1


near_timestamps = st.one_of(
    st.from_regex(
        r"2026-?(W05-6|01-?31)[T ]23:?59:?59([.,]\d{1,7})?(z|Z|[+-]05:?30)?", fullmatch=True
    ),
    st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}Z)?", fullmatch=True),
    st.builds(
        lambda text, place, char: text[:place] + char + text[place + 1 :],
        st.sampled_from(["2026-01-31 23:59:59", "2026-01-31T23:59:59.123Z"]),
        st.integers(0, 23),
        st.characters(),
    ),
)


@settings(deadline=None, max_examples=500)
@given(near_timestamps)
def test_quick_reading_of_a_timestamp_reads_what_the_strict_one_reads(text: str) -> None:
    """Python's fromisoformat knows more forms than are let in here."""

    def outcome(read: Callable[[str], datetime]) -> datetime | None:
        try:
            return read(text)
        except StoredValueError:
            return None

    assert outcome(utc_from_text) == outcome(_parsed)


def test_utc_now_is_aware() -> None:
    """The clock that fills defaults gives what the types take."""
    assert utc_now().utcoffset() == timedelta(0)


# --- JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [True, None, 1.5]}, '{"a":1,"b":[true,null,1.5]}'),
        ([], "[]"),
        ("é €😀", '"é €😀"'),
        ("\ud83d", '"\\ud83d"'),
        (False, "false"),
    ],
)
def test_json_is_written_as_json_stringify_writes_it(
    stored: Callable[..., Any], loaded: Callable[..., Any], value: object, text: str
) -> None:
    """No blanks, letters as they are, half a surrogate pair escaped; and it reads back."""
    assert stored("json", value) == text
    assert loaded("json", text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_json_refuses_what_json_cannot_hold(stored: Callable[..., Any], value: object) -> None:
    """NaN is no JSON, and the Node core could not read it back."""
    with pytest.raises(StatementError, match="expected a value that JSON can hold"):
        stored("json", value)


@pytest.mark.parametrize("raw", ["", "{", "{'a': 1}", b"\xff\x00\xff"])
def test_malformed_json_raises_an_error_that_does_not_show_it(
    loaded: Callable[..., Any], raw: object
) -> None:
    """What is no JSON is refused when it is read; a plugin's settings may hold a password."""
    with pytest.raises(HiddenValueError, match="expected JSON text") as raised:
        loaded("json", raw)
    assert raised.value.value != raw


# --- flags and words ------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "number"), [(True, 1), (False, 0), (1, 1), (0, 0)])
def test_flag_is_written_as_a_number(
    stored: Callable[..., Any], value: object, number: int
) -> None:
    """A flag is 0 or 1 in the file."""
    assert stored("flag", value) == number


@pytest.mark.parametrize(("raw", "value"), [(1, True), (0, False), (2, True), (-1, True)])
def test_flag_is_read_as_a_bool(loaded: Callable[..., Any], raw: int, *, value: bool) -> None:
    """Any number but 0 is a flag that is set: a token with revoked = 2 is revoked."""
    assert loaded("flag", raw) is value


@pytest.mark.parametrize("value", [2, "yes", ""])
def test_flag_refuses_what_is_no_flag(stored: Callable[..., Any], value: object) -> None:
    """Nothing but True and False is written."""
    with pytest.raises(StatementError, match="expected True or False"):
        stored("flag", value)


def test_malformed_flag_raises_an_error_that_shows_it(loaded: Callable[..., Any]) -> None:
    """A word in a flag's column is refused when it is read."""
    with pytest.raises(StoredValueError, match="found 'no'"):
        loaded("flag", "no")


@pytest.mark.parametrize("value", [Colour.DARK_BLUE, "dark-blue"])
def test_word_is_written_by_value_and_read_as_a_member(
    stored: Callable[..., Any], loaded: Callable[..., Any], value: object
) -> None:
    """The file holds the word, the program the member."""
    assert stored("colour", value) == "dark-blue"
    assert loaded("colour", "dark-blue") is Colour.DARK_BLUE


def test_word_that_is_none_of_the_enum_is_refused(
    connection: sa.Connection, stored: Callable[..., Any], loaded: Callable[..., Any]
) -> None:
    """An unknown word is refused on the way in and on the way out."""
    with pytest.raises(StatementError, match="expected one of red, dark-blue"):
        stored("colour", "green")
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    with pytest.raises(StoredValueError, match="found 'green'"):
        loaded("colour", "green")


def test_one_of_holds_the_column_to_the_words(connection: sa.Connection) -> None:
    """The CHECK refuses in the file what the type refuses in the program."""
    with pytest.raises(IntegrityError, match="ck_things_colour"):
        connection.exec_driver_sql("INSERT INTO things (colour) VALUES ('green')")

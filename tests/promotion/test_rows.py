"""One spelling of a row on both sides, for whatever the file may hold."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamhub_orm.global_db import ServerLog, User, metadata
from streamhub_orm.promotion.copying import (
    copy_to_file,
    copy_to_server,
    hash_of_file,
    hash_of_server,
)
from streamhub_orm.promotion.rows import ORDERED, UnheldError, rows_of_tables
from streamhub_orm.schema import utc_from_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from streamhub_orm.testing.postgresql import PostgresServer

_TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_NUMBERS: Final = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=30).map(float),
)
_JSON: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(_TEXTS, inner)),
    max_leaves=8,
)
_TIMES: Final = st.one_of(
    st.datetimes().map(lambda it: it.isoformat(timespec="milliseconds") + "Z"),
    st.datetimes().map(lambda it: it.isoformat(" ", timespec="seconds")),
    st.datetimes().map(lambda it: it.isoformat(" ") + "Z"),
    st.datetimes().map(lambda it: it.isoformat() + "+05:30"),
)
LOGS: Final = next(it for it in rows_of_tables() if it.name == ServerLog.__tablename__)
CREATE: Final = """
    CREATE TABLE server_logs (id INTEGER PRIMARY KEY, ts TEXT, level TEXT, source TEXT,
                              app_id INTEGER, message TEXT, meta_json TEXT)"""


@pytest.fixture(scope="module")
def server(
    postgres: PostgresServer, streamhub_server_template: str
) -> Iterator[psycopg.Connection[Any]]:
    name = f"of_rows_{os.getpid()}"
    postgres.create(name, template=streamhub_server_template)
    with postgres.connect(name) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection
    postgres.drop(name)


def decimals(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Read JSON with its numbers as they are written: a whole one may lose its exponent."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def none(*_: object) -> None:
    """Show no progress."""


@given(st.tuples(_TEXTS, _TEXTS, _TIMES), st.builds(json.dumps, _JSON, ensure_ascii=st.booleans()))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_row_is_the_same_there_and_back(
    server: psycopg.Connection[Any], texts: tuple[str, str, str], stored: str
) -> None:
    level, message, ts = texts
    server.execute("DELETE FROM server_logs")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as file:
        file.execute(CREATE)
        insert = "INSERT INTO server_logs (ts, level, message, meta_json) VALUES (?, ?, ?, ?)"
        file.execute(insert, (ts, level[:600], message, stored))
        try:
            copied = copy_to_server(server, file, LOGS, none)
        except UnheldError as error:
            assert "time" in str(error)  # noqa: PT017 - of year 0 or 10000 in UTC
            with pytest.raises(ValueError, match="timestamp"):
                utc_from_text(ts)
            return
        assert hash_of_server(server, LOGS, 1, none) == copied
        row = server.execute("SELECT ts, level, message, meta_json FROM server_logs").fetchone()
        assert row is not None
        assert (row[1], row[2]) == (level[:600], message)
        if 1 < row[0].year < 9999:
            assert row[0] == utc_from_text(ts)
        file.execute("DELETE FROM server_logs")
        copy_to_file(server, file, LOGS, none)
        assert hash_of_file(file, LOGS, none) == copied
        back_ts, back = file.execute("SELECT ts, meta_json FROM server_logs").fetchone()
        assert utc_from_text(back_ts) == utc_from_text(ts)
        assert decimals(back) == decimals(stored)


def test_every_column_of_the_models_is_copied() -> None:
    found = {rows.name: set(rows.columns) - {"rowid"} for rows in rows_of_tables()}
    assert found == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}


def test_tables_with_an_order_of_their_own_are_those_of_the_server(
    server: psycopg.Connection[Any],
) -> None:
    query = """SELECT table_name FROM information_schema.columns
               WHERE table_schema = current_schema() AND column_name = 'rowid'"""
    assert {name for (name,) in server.execute(query)} == ORDERED


def test_identity_of_each_table_is_the_one_of_the_server(server: psycopg.Connection[Any]) -> None:
    query = """SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = current_schema() AND is_identity = 'YES'"""
    expected = {(it.name, it.identity) for it in rows_of_tables() if it.identity is not None}
    assert set(server.execute(query)) == expected


def test_parents_come_first() -> None:
    names = [rows.name for rows in rows_of_tables()]
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            assert names.index(key.column.table.name) < names.index(table.name)


def test_order_of_text_keys_is_that_of_their_bytes_on_both_sides(
    server: psycopg.Connection[Any],
) -> None:
    keys = ["a", "B", "é", "z", "Z", "ä", "", "🎥", "\uffff", "a b", "a_b", "aB"]
    with closing(sqlite3.connect(":memory:")) as file:
        file.execute("CREATE TABLE tenants (id TEXT PRIMARY KEY, name TEXT)")
        file.executemany("INSERT INTO tenants VALUES (?, '')", [(key,) for key in keys])
        ours = [row[0] for row in file.execute("SELECT id FROM tenants ORDER BY id")]
    server.execute("CREATE TEMP TABLE t AS SELECT id FROM tenants WITH NO DATA")
    with server.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s)", [(key,) for key in keys])
    assert [row[0] for row in server.execute("SELECT id FROM t ORDER BY id")] == ours
    assert isinstance(User.__table__.c.id.type, sa.Text)

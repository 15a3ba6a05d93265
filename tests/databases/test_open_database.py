"""The connections of one file: kept ready, handed on clean, closed when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

from streamhub_orm import Databases
from streamhub_orm.app_db import RestreamTarget, Vod
from streamhub_orm.databases.open_database import READY_CONNECTIONS, OpenDatabase
from streamhub_orm.databases.opener import ReadyFile
from streamhub_orm.engine.engines import FileEngine, ImmediateDialect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases.conftest import MakeFresh


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OpenDatabase]:
    path = tmp_path / "one.db"
    path.touch()
    opened = OpenDatabase(FileEngine(), ReadyFile(path, {}, migrated=False))
    yield opened
    opened.close()


def take(database: OpenDatabase, *, read_only: bool = False) -> sa.Connection:
    connection = database.take(read_only=read_only)
    assert connection is not None
    return connection


def test_connection_given_back_is_the_next_one_taken(database: OpenDatabase) -> None:
    first = take(database)
    database.give_back(first)
    assert database.take(read_only=True) is first
    database.give_back(first)


def test_more_connections_than_stay_ready_are_closed_when_given_back(
    database: OpenDatabase,
) -> None:
    taken = [take(database, read_only=True) for _ in range(READY_CONNECTIONS + 2)]
    for connection in taken:
        database.give_back(connection)
    assert [it.closed for it in taken] == [False] * READY_CONNECTIONS + [True] * 2


@pytest.mark.parametrize("change", ["options", "transaction", "raw transaction"])
def test_connection_that_is_not_as_it_was_is_not_handed_on(
    database: OpenDatabase, change: str
) -> None:
    """Options of one user, or a transaction left open, would be the next user's."""
    connection = take(database)
    if change == "options":
        connection.execution_options(yield_per=10)
    elif change == "transaction":
        connection.begin()
    else:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("BEGIN")
    database.give_back(connection)
    assert connection.closed
    following = take(database)
    with following.begin():
        following.exec_driver_sql("CREATE TABLE t (x)")
    database.give_back(following)


def test_connection_that_lost_its_file_never_comes_back_as_another(database: OpenDatabase) -> None:
    """The engine serves many files, so it must not reconnect by itself."""
    connection = take(database)
    connection.invalidate()
    with pytest.raises(sa.exc.StatementError, match="serves many files"):
        connection.exec_driver_sql("SELECT 1")
    database.give_back(connection)


def test_second_app_compiles_nothing_that_the_first_one_compiled(
    make_fresh: MakeFresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cache of compiled statements serves every app, open at once or after another."""
    compiled: list[str] = []

    class Counting(SQLiteCompiler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            compiled.append(str(self))

    monkeypatch.setattr(ImmediateDialect, "statement_compiler", Counting)
    apps = [f"app-{number}" for number in range(4)]
    with Databases(make_fresh(apps), max_open_apps=2) as databases:

        def use(app: str) -> list[str]:
            before = len(compiled)
            with databases.app_session(app) as session:
                session.add(Vod(name="x"))
                session.flush()
                session.scalars(sa.select(Vod).where(Vod.name == "x")).one()
            return compiled[before:]

        assert len(use(apps[0])) == 2
        assert [use(app) for app in apps[1:]] == [[]] * 3


def test_error_of_a_statement_does_not_show_its_values(make_fresh: MakeFresh) -> None:
    """The URL of a restream target holds the stream key."""
    with (
        Databases(make_fresh()) as databases,
        pytest.raises(sa.exc.IntegrityError) as refused,
        databases.app_session("live") as session,
    ):
        session.add(RestreamTarget(room="r", url="rtmp://host/secret-key", platform="custom"))
    assert "secret-key" not in str(refused.value)

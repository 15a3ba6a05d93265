"""A look: one SELECT without BEGIN and ROLLBACK, and what it is guarded from."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.errors import UnknownAppError
from streamhub_orm.global_db import App, Tenant
from streamhub_orm.registry import open_registry
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer


@pytest.fixture
def opened(streamhub_place: DataDir, streamhub_global_url: str) -> Iterator[Databases]:
    with Databases(streamhub_place.root, global_url=streamhub_global_url) as databases:
        with databases.global_session() as session:
            session.add(App(name="live"))
        yield databases


def look(databases: Databases, *statements: sa.Executable) -> list[object]:
    with databases.global_look() as connection:
        return [connection.execute(statement).scalar() for statement in statements]


def test_look_is_for_one_select(opened: Databases) -> None:
    one = sa.select(App.id).where(App.name == "live")
    assert look(opened, one) == [1]
    with pytest.raises(sa.exc.InvalidRequestError, match="for one SELECT"):
        look(opened, one, one)
    assert look(opened, one) == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tenants (id, name) VALUES ('a', 'a') RETURNING id",
        "WITH x AS (DELETE FROM apps RETURNING id) SELECT id FROM x",
        "UPDATE tenants SET name = 'x' RETURNING id",
    ],
)
def test_look_writes_nothing(opened: Databases, statement: str) -> None:
    with pytest.raises(sa.exc.InvalidRequestError, match="for one SELECT"):
        look(opened, sa.text(statement))
    with opened.global_session(read_only=True) as session:
        assert session.scalars(sa.select(Tenant.name)).all() == ["Platform"]
        assert session.scalars(sa.select(App.name)).all() == ["live"]


def test_session_after_a_look_is_a_transaction_again(
    opened: Databases, postgres: PostgresServer
) -> None:
    """On the same connection: it sees one snapshot, and what fails in it is rolled back."""
    database = str(sa.make_url(str(opened.place.global_url)).database)
    count = sa.select(sa.func.count()).select_from(Tenant)
    look(opened, count)
    with opened.global_session(read_only=True) as session:
        assert session.scalar(count) == 1
        with postgres.connect(database) as other:
            other.execute("INSERT INTO tenants (id, name) VALUES ('b', 'b')")
        assert session.scalar(count) == 1

    def fail(session: Session) -> None:
        session.add(Tenant(id="c", name="c"))
        session.flush()
        raise KeyError

    look(opened, count)
    with pytest.raises(KeyError), opened.global_session() as session:
        fail(session)
    assert look(opened, count) == [2]


def test_check_of_a_request_takes_one_round_trip(opened: Databases, tmp_path: Path) -> None:
    with opened.global_session() as session:
        token = tokens.issue(session, "t", app="live").plaintext
    check = partial(tokens.check_request, opened, token, address="192.0.2.7", app="live")
    assert check().touch_due
    assert round_trips(opened, check, tmp_path) == 1
    assert round_trips(opened, partial(read, opened), tmp_path) == 3


def test_look_up_in_the_registry_takes_one_round_trip(opened: Databases, tmp_path: Path) -> None:
    registry = open_registry(opened.place, opened._server)
    assert round_trips(opened, partial(registry.find_id, "live"), tmp_path) == 1
    assert round_trips(opened, partial(registry.find_name, 1), tmp_path) == 1
    assert registry.find_id("none") is None
    assert registry.find_id("live") == 1
    with pytest.raises(UnknownAppError):
        registry.find_legacy_files("none")


def test_child_of_a_fork_has_connections_of_its_own(opened: Databases) -> None:
    """The registry's too; those of the parent go on serving it."""
    one = sa.select(App.id).where(App.name == "live")
    look(opened, one)
    with opened.app_session("live", read_only=True) as session:
        session.connection()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with opened.app_session("live", read_only=True) as session:
                session.connection()
            status = 0 if look(opened, one) == [1] else 2
            opened.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for _ in range(3):
        assert look(opened, one) == [1]
        assert open_registry(opened.place, opened._server).find_id("live") == 1
    opened.close_app("live")
    with opened.app_session("live", read_only=True) as session:
        session.connection()


def read(databases: Databases) -> None:
    with databases.global_session(read_only=True) as session:
        session.scalars(sa.select(App.id)).all()


def round_trips(databases: Databases, work: Callable[[], object], folder: Path) -> int:
    """Return how often the server said that it is ready, by libpq's own trace."""
    assert databases._server is not None
    with databases._server.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
    with (folder / "trace").open("w+") as file:
        raw.pgconn.trace(file.fileno())
        work()
        raw.pgconn.untrace()
        file.seek(0)
        return file.read().count("ReadyForQuery")

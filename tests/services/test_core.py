"""A point query runs in the session's transaction, and fails as SQLAlchemy does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import ControlPlaneMissingError
from streamhub_orm.global_db import App
from streamhub_orm.schema.expressions import as_stored
from streamhub_orm.services.core import PointQuery
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

BY_NAME = PointQuery(
    sa.select(App.id, as_stored(App.created_at)).where(App.name == sa.bindparam("n")), "n"
)


def test_row_is_returned_as_it_is_stored_and_none_where_there_is_none(
    global_session: Session,
) -> None:
    stored.store(global_session, App, {}, created_at="2026-01-31 12:00:00")
    assert BY_NAME.first(global_session, "live") == (1, "2026-01-31 12:00:00")
    assert BY_NAME.first(global_session, "nope") is None


def test_query_sees_what_its_session_wrote_and_others_do_not(databases: Databases) -> None:
    with databases.global_session() as session:
        session.add(App(name="tv-2"))
        assert BY_NAME.first(session, "tv-2") is not None
        with databases.global_session(read_only=True) as other:
            assert BY_NAME.first(other, "tv-2") is None


@pytest.mark.files
def test_query_takes_the_write_lock_as_the_first_statement_of_a_session(
    databases: Databases,
) -> None:
    with databases.global_session() as session:
        BY_NAME.first(session, "live")
        assert session.connection().connection.driver_connection.in_transaction  # type: ignore[union-attr]
        with databases.global_session(read_only=True) as reader:
            assert BY_NAME.first(reader, "live") is not None


def test_fault_comes_as_sqlalchemys_own_error_without_the_values(databases: Databases) -> None:
    expected = r"no such table: apps|\"apps\" does not exist"

    def look(session: Session) -> None:
        session.execute(sa.text("ALTER TABLE apps RENAME TO elsewhere"))
        BY_NAME.first(session, "secret")

    with pytest.raises((sa.exc.DBAPIError, ControlPlaneMissingError), match=expected) as caught:
        databases.global_session().run(look)
    assert "secret" not in str(caught.value)


def test_parameters_that_are_not_those_of_the_statement_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        PointQuery(sa.select(App.id).where(App.name == sa.bindparam("n")), "other")
    with pytest.raises(ValueError, match="expected"):
        PointQuery(sa.select(App.id).where(App.name == "live"))

"""`session.get`: the same answers as SQLAlchemy's own, by a select that is built once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, load_only

from streamhub_orm import Databases
from streamhub_orm.app_db import IngressAuth, Meta, Vod
from streamhub_orm.global_db import Membership, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh(["tv-2"])) as opened:
        with opened.app_session("live") as session:
            session.add_all(
                [Vod(id=7, name="seven"), Vod(id=-1, name="below"), Meta(key="7", value="text")]
            )
        yield opened


@contextmanager
def statements_of(session: Session) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    connection = session.connection()
    sa.event.listen(connection, "before_cursor_execute", note)
    yield seen
    sa.event.remove(connection, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("model", "ident"),
    [
        (Vod, 7),
        (Vod, -1),
        (Vod, "7"),
        (Vod, (7,)),
        (Vod, {"id": 7}),
        (Vod, True),
        (Vod, 8),
        (Vod, "seven"),
        (Vod, 2**63 - 1),
        (Meta, "7"),
        (Meta, 7),
        (Meta, "none"),
        (IngressAuth, ""),
    ],
)
def test_get_finds_what_a_plain_session_finds(
    databases: Databases, model: type[Any], ident: object
) -> None:
    """Whatever form the key has, and whatever is not there."""
    with databases.app_session("live", read_only=True) as session:
        found = session.get(model, ident)
        with Session(session.connection(), join_transaction_mode="rollback_only") as plain:
            expected = plain.get(model, ident)
        assert (found is None) is (expected is None)
        if found is not None and expected is not None:
            assert sa.inspect(found).dict.keys() == sa.inspect(expected).dict.keys()
            assert sa.inspect(found).identity == sa.inspect(expected).identity


def test_get_of_what_is_in_memory_asks_nobody(databases: Databases) -> None:
    """The object that the session holds comes back as it is."""
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 7)
        vod.name = "renamed"
        with statements_of(session) as statements:
            assert session.get(Vod, 7) is vod
            assert statements == []


def test_get_flushes_what_waits_before_it_asks(databases: Databases) -> None:
    """A row that was only added is found."""
    with databases.app_session("live") as session:
        vod = Vod(id=9, name="new")
        session.add(vod)
        assert session.get(Vod, 9) is vod


def test_get_of_a_deleted_row_finds_none(databases: Databases) -> None:
    """Before the commit, too."""
    with databases.app_session("live") as session:
        session.delete(session.get_one(Vod, 7))
        session.flush()
        assert session.get(Vod, 7) is None


def test_get_of_an_expired_object_loads_it_again(databases: Databases) -> None:
    """What another statement wrote shows."""
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 7)
        session.execute(sa.text("UPDATE vods SET name = 'by hand' WHERE id = 7"))
        session.expire(vod)
        assert session.get(Vod, 7) is vod
        assert vod.name == "by hand"


def test_get_keeps_the_options_of_sqlalchemy(databases: Databases) -> None:
    """populate_existing and loader options do what they do elsewhere."""
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 7)
        session.execute(sa.text("UPDATE vods SET name = 'by hand' WHERE id = 7"))
        assert session.get(Vod, 7, populate_existing=True) is vod
        assert vod.name == "by hand"
        session.expunge_all()
        slim = session.get_one(Vod, 7, options=[load_only(Vod.name)])
        assert "room" in sa.inspect(slim).unloaded


def test_get_one_of_what_is_not_there_raises(databases: Databases) -> None:
    """As SQLAlchemy says it."""
    with (
        databases.app_session("live", read_only=True) as session,
        pytest.raises(sa.exc.NoResultFound),
    ):
        session.get_one(Vod, 8)


def test_get_by_a_key_of_two_columns(databases: Databases) -> None:
    """Both are needed; one alone is SQLAlchemy's error."""
    with databases.global_session() as session:
        session.add(User(id="u", email="u@example.org", password_hash="x"))  # noqa: S106
        session.add(Tenant(id="t", name="T"))
        session.flush()
        session.add(Membership(user_id="u", tenant_id="t"))
        session.flush()
        assert session.get_one(Membership, ("u", "t")).tenant_id == "t"
        with pytest.raises(sa.exc.InvalidRequestError, match="Incorrect number of values"):
            session.get(Membership, "u")


def test_get_builds_its_select_once(databases: Databases) -> None:
    """Every get of a model runs one and the same statement."""
    with databases.app_session("live") as session, statements_of(session) as statements:
        for ident in (7, -1, 8):
            session.get(Vod, ident)
    assert len(statements) == 3
    assert len(set(statements)) == 1

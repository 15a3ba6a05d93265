"""What begins by a statement of the driver goes on, and ends, as the session's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Stream, StreamType, Vod
from streamhub_orm.databases.sessions import begun
from streamhub_orm.errors import DatabaseReplacedError, SessionEndedError
from streamhub_orm.services import streams, vods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from tests.databases.conftest import MakeFresh

NAMES = sa.select(Vod.name).order_by(Vod.id)
IDS = sa.select(Stream.stream_id).order_by(Stream.id)


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh()) as opened:
        yield opened


def add(databases: Databases, name: str) -> None:
    with databases.app_session("live") as session:
        session.add(Vod(name=name))


def upsert(session: Session, participant: str) -> None:
    streams.upsert(session, room="stage", participant=participant, type=StreamType.WHIP)


def read(databases: Databases, statement: sa.Select[Any]) -> list[str]:
    with databases.app_session("live", read_only=True) as session:
        return list(session.scalars(statement))


def test_point_query_and_session_see_one_snapshot(databases: Databases) -> None:
    with databases.app_session("live", read_only=True) as reader:
        assert not reader.in_transaction()
        assert vods.list_(reader) == []
        assert reader.in_transaction()
        add(databases, "later")
        assert reader.scalars(NAMES).all() == []
        assert vods.list_(reader) == []
    assert read(databases, NAMES) == ["later"]


@pytest.mark.parametrize("how", ["rollback", "commit"])
def test_reader_leaves_its_snapshot_when_it_says_so(databases: Databases, how: str) -> None:
    with databases.app_session("live", read_only=True) as reader:
        assert vods.list_(reader) == []
        add(databases, "later")
        getattr(reader, how)()
        assert [row.name for row in vods.list_(reader)] == ["later"]


def test_point_query_within_a_transaction_that_the_reader_began_is_part_of_it(
    databases: Databases,
) -> None:
    with databases.app_session("live", read_only=True) as reader:
        with reader.begin():
            assert vods.list_(reader) == []
            add(databases, "later")
            assert reader.scalars(NAMES).all() == []
        assert [row.name for row in vods.list_(reader)] == ["later"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_driver_and_the_session_wrote_is_kept_or_gone_together(
    databases: Databases, *, fails: bool
) -> None:
    def write() -> None:
        with databases.app_session("live") as session:
            upsert(session, "PA_1")
            session.add(Vod(name="first"))
            session.flush()
            upsert(session, "PA_2")
            if fails:
                raise KeyError

    if fails:
        with pytest.raises(KeyError):
            write()
    else:
        write()
    assert read(databases, IDS) == ([] if fails else ["stage/PA_1", "stage/PA_2"])
    assert read(databases, NAMES) == ([] if fails else ["first"])


@pytest.mark.parametrize("fails", [False, True])
def test_what_only_the_driver_wrote_is_kept_or_gone(databases: Databases, *, fails: bool) -> None:
    def write() -> None:
        with databases.app_session("live") as session:
            upsert(session, "PA_1")
            if fails:
                raise KeyError

    if fails:
        with pytest.raises(KeyError):
            write()
    else:
        write()
    assert read(databases, IDS) == ([] if fails else ["stage/PA_1"])


def test_savepoint_after_a_point_query_rolls_back_alone(databases: Databases) -> None:
    with databases.app_session("live") as session:
        upsert(session, "PA_1")
        savepoint = session.begin_nested()
        upsert(session, "PA_2")
        session.add(Vod(name="gone"))
        session.flush()
        savepoint.rollback()
        upsert(session, "PA_3")
    assert read(databases, IDS) == ["stage/PA_1", "stage/PA_3"]
    assert read(databases, NAMES) == []


def test_nobody_begins_another_transaction_inside_a_writing_block(databases: Databases) -> None:
    with databases.app_session("live") as session:
        for _ in range(2):
            assert session.in_transaction()
            with pytest.raises(sa.exc.InvalidRequestError, match="already begun"):
                session.begin()
            upsert(session, "PA_1")
    assert read(databases, IDS) == ["stage/PA_1"]


@pytest.mark.parametrize("how", ["commit", "rollback"])
def test_block_ends_with_the_commit_of_what_the_driver_wrote(
    databases: Databases, how: str
) -> None:
    with databases.app_session("live") as session:
        upsert(session, "PA_1")
        getattr(session, how)()
        with pytest.raises(SessionEndedError):
            upsert(session, "PA_2")
    assert read(databases, IDS) == (["stage/PA_1"] if how == "commit" else [])


def test_session_that_has_ended_ends_nothing_of_the_next_one(databases: Databases) -> None:
    """Both are on one connection."""
    with databases.app_session("live") as ended:
        upsert(ended, "PA_1")
    with databases.app_session("live") as session:
        assert begun(session) is ended.bind
        upsert(session, "PA_2")
        ended.close()
        ended.rollback()
        with pytest.raises(SessionEndedError):
            ended.commit()
        assert not ended.in_transaction()
        assert begun(session).in_transaction()
    assert read(databases, IDS) == ["stage/PA_1", "stage/PA_2"]


def test_commit_of_what_the_driver_wrote_is_refused_where_the_file_was_replaced(
    databases: Databases,
) -> None:
    path = databases.place.app_db("live")
    with (  # noqa: PT012 - the end of the block is what raises
        pytest.raises(DatabaseReplacedError),
        databases.app_session("live") as session,
    ):
        upsert(session, "PA_1")
        path.rename(path.with_suffix(".away"))
    path.with_suffix(".away").rename(path)
    assert read(databases, IDS) == []

"""Values that a column refuses: our own error by every way into a session, and nothing written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Stream, Vod, VodStatus
from streamhub_orm.errors import StoredValueError, StreamHubError
from streamhub_orm.services import logs, vods
from streamhub_orm.services.core import PointQuery
from streamhub_orm.services.logs import LogFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from tests.databases.conftest import MakeFresh

NAIVE = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - that is what is refused
ROWS = [{"app_id": 1, "name": "v", "started_at": it} for it in (datetime.now(UTC), NAIVE)]
QUERY = PointQuery(
    sa.select(Vod.id).where(
        Vod.started_at == sa.bindparam("time"), Vod.status == sa.bindparam("status")
    ),
    "time",
    "status",
)


def flushed_by_a_query(session: Session) -> None:
    session.add(Vod(name="v", started_at=NAIVE))
    session.scalar(sa.select(Vod.id))


WAYS: dict[str, Callable[[Session], object]] = {
    "flush of a time": lambda session: session.add(Vod(name="v", started_at=NAIVE)),
    "flush of a word": lambda session: session.add(Vod(name="v", status="none of these")),
    "flush of a flag": lambda session: session.add(Stream(stream_id="s", type="smoke signals")),
    "flush of JSON": lambda session: session.add(Vod(name="v", metatags_json={"a": object()})),
    "autoflush": flushed_by_a_query,
    "insert": lambda session: session.execute(sa.insert(Vod).values(**ROWS[1])),
    "insert of many": lambda session: session.execute(sa.insert(Vod), ROWS),
    "bulk insert": lambda session: session.bulk_insert_mappings(sa.inspect(Vod), ROWS),
    "update": lambda session: session.execute(sa.update(Vod).values(ended_at=NAIVE)),
    "query": lambda session: session.scalars(sa.select(Vod).where(Vod.started_at < NAIVE)),
    "query of a word": lambda session: session.scalars(sa.select(Vod).where(Vod.status == "no")),
    "connection": lambda session: session.connection().execute(sa.insert(Vod), ROWS),
    "point query": lambda session: QUERY.first(session, NAIVE, VodStatus.READY),
    "point query of a word": lambda session: QUERY.first(session, datetime.now(UTC), "no"),
    "service": lambda session: vods.create(session, name="v", started_at=NAIVE),
    "service that lists": lambda session: vods.list_(session, vods.VodFilter(since=NAIVE)),
}


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh()) as opened:
        yield opened


@pytest.mark.parametrize("way", WAYS)
def test_value_that_a_column_refuses_raises_our_error(databases: Databases, way: str) -> None:
    with (
        pytest.raises(StreamHubError) as refused,
        databases.app_session("live") as session,
    ):
        WAYS[way](session)
    assert isinstance(refused.value, StoredValueError)
    assert refused.value.todo
    with databases.app_session("live", read_only=True) as session:
        assert vods.count(session) == 0


def test_filter_of_the_log_with_a_time_without_a_zone_raises_our_error(
    databases: Databases,
) -> None:
    with (
        databases.global_session(read_only=True) as session,
        pytest.raises(StoredValueError, match="a datetime with a time zone"),
    ):
        logs.list_(session, LogFilter(since=NAIVE))


def test_what_sql_refuses_stays_the_error_of_sqlalchemy(databases: Databases) -> None:
    """The database's own rules are the caller's to know: no name of ours would say more."""
    with (
        pytest.raises(sa.exc.IntegrityError, match="NOT NULL"),
        databases.app_session("live") as session,
    ):
        session.add(Vod(name=None))
    with (
        pytest.raises(sa.exc.OperationalError, match="no such table"),
        databases.app_session("live") as session,
    ):
        session.execute(sa.text("SELECT * FROM none"))

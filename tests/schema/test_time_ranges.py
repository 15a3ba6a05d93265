"""Time ranges: which rows they hold, in whatever format a time is stored, and by which index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamhub_orm.app_db import AppBase, Stream, Vod
from streamhub_orm.errors import StoredValueError
from streamhub_orm.global_db import GlobalBase, ServerLog
from streamhub_orm.schema import TimeRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.orm import InstrumentedAttribute

MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
KIEV = timezone(timedelta(hours=2))
TIMES = sa.Table("times", sa.MetaData(), sa.Column("at", sa.TEXT), sa.Index("idx_times_at", "at"))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'times.db'}")
    with engine.connect() as opened:
        for metadata in (TIMES.metadata, AppBase.metadata, GlobalBase.metadata):
            metadata.create_all(opened)
        yield opened
    engine.dispose()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def sql(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


# Few days and odd fractions, so that bounds and rows meet within a day, a second, a millisecond.
seconds = st.integers(-2 * 86400, 2 * 86400) | st.integers(-2, 2)
moments = st.builds(
    lambda whole, micros: MIDNIGHT + timedelta(seconds=whole, microseconds=micros),
    seconds,
    st.sampled_from([0, 1, 500, 999, 1000, 1500, 123_000, 123_456, 500_000, 999_000, 999_999]),
)
bounds = st.none() | moments | moments.map(lambda moment: moment.astimezone(KIEV))
stored = st.lists(
    st.none() | st.builds(lambda write, m: write(m), st.sampled_from([iso, sql]), moments)
)


def instant(text: str) -> datetime:
    """The oracle's own reading of both formats."""
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "T" in text else "%Y-%m-%d %H:%M:%S"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def expected(texts: list[str | None], time_range: TimeRange) -> list[str | None]:
    since, until = time_range.since, time_range.until
    return [
        text
        for text in texts
        if (since is None and until is None)
        or (
            text is not None
            and (since is None or instant(text) >= since)
            and (until is None or instant(text) < until)
        )
    ]


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)
@given(texts=stored, since=bounds, until=bounds)
@example(texts=[sql(MIDNIGHT), iso(MIDNIGHT)], since=MIDNIGHT, until=None)
@example(texts=[sql(MIDNIGHT), iso(MIDNIGHT)], since=None, until=MIDNIGHT)
@example(
    texts=["2026-01-31T09:00:00.000Z", "2026-01-31 22:00:00"],
    since=MIDNIGHT - timedelta(hours=12),
    until=MIDNIGHT - timedelta(hours=3),
)
def test_range_holds_what_lies_in_it(
    connection: sa.Connection,
    texts: list[str | None],
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Both formats, NULLs, bounds within a day, a second and a millisecond, and of other zones."""
    time_range = TimeRange(since, until)
    connection.execute(TIMES.delete())
    if texts:
        connection.execute(TIMES.insert(), [{"at": text} for text in texts])
    found = connection.scalars(sa.select(TIMES.c.at).where(time_range.within(TIMES.c.at))).all()
    assert sorted(found, key=str) == sorted(expected(texts, time_range), key=str)


@pytest.mark.parametrize(
    ("column", "index"),
    [
        (Vod.started_at, "idx_vods_started_at"),
        (Stream.started_at, "idx_streams_started_at"),
        (ServerLog.ts, "idx_server_logs_ts"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("since", "until", "constraint"),
    [
        (MIDNIGHT, MIDNIGHT, "{0}>? AND {0}<?"),
        (MIDNIGHT, None, "{0}>?"),
        (None, MIDNIGHT, "{0}<?"),
    ],
)
def test_range_searches_the_index(  # noqa: PLR0913, PLR0917 - two tables of cases
    connection: sa.Connection,
    column: InstrumentedAttribute[datetime],
    index: str,
    since: datetime | None,
    until: datetime | None,
    constraint: str,
) -> None:
    """SQLite seeks to the start of the range and stops at its end."""
    statement = sa.select(column).where(TimeRange(since, until).within(column))
    compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
    (step,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
    assert f"USING COVERING INDEX {index} ({constraint.format(column.key)})" in step.detail


def test_statement_that_is_kept_serves_other_ranges(connection: sa.Connection) -> None:
    """Its parameters are named; a range with the same ends fills them in."""
    connection.execute(TIMES.insert(), [{"at": sql(MIDNIGHT)}, {"at": iso(MIDNIGHT)}])
    hour = timedelta(hours=1)
    kept = sa.select(sa.func.count()).where(TimeRange(since=MIDNIGHT + hour).within(TIMES.c.at))
    for since, count in ((MIDNIGHT, 2), (MIDNIGHT + hour, 0)):
        values = TimeRange(since).parameters(TIMES.c.at)
        assert connection.scalar(kept, values) == count


@pytest.mark.parametrize("end", [datetime(2026, 1, 31), "2026-01-31 00:00:00"])  # noqa: DTZ001 - naive
def test_range_refuses_an_end_that_is_not_aware(end: object) -> None:
    """A naive datetime says not which time it is."""
    with pytest.raises(StoredValueError):
        TimeRange(since=end)  # type: ignore[arg-type]
    with pytest.raises(StoredValueError):
        TimeRange(until=end)  # type: ignore[arg-type]

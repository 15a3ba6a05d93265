"""The log in pages, with filters that use an index, and its retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import LogSettingError, StoredValueError, UnknownAppError
from streamhub_orm.global_db import App, ServerLog
from streamhub_orm.services import logs
from streamhub_orm.services.paging import PageKey
from streamhub_orm.testing.checks import assert_uses_index, plans_of
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def write(session: Session, ts: str, message: str = "hello", **columns: object) -> None:
    values = {"level": "info"} | columns
    stored.insert(session, ServerLog, ts=ts, message=message, **values)


def messages(session: Session, **filters: Any) -> list[str]:  # noqa: ANN401 - the fields of LogFilter
    return [entry.message for entry in logs.list_(session, logs.LogFilter(**filters))]


@pytest.fixture
def session(global_session: Session) -> Session:
    """Six lines of one day, one of another, in both formats."""
    global_session.execute(sa.text("INSERT INTO apps (id, name) VALUES (7, 'tv-2')"))
    iso = "2026-01-31T{}.000Z"
    write(global_session, iso.format("09:00:00"), "one", level="error", app_id=1, source="egress")
    write(global_session, iso.format("10:00:00"), "two", app_id=1, meta_json='{"room":"stage"}')
    write(global_session, iso.format("10:00:00"), "three", level="warn", app_id=7)
    write(global_session, iso.format("11:00:00"), "50%_done", source="api")
    write(global_session, "2026-01-31 10:30:00", "plain", level="error", meta_json='"no JSON"')
    write(global_session, "2026-01-30T23:59:59.999Z", "yesterday", level="fatal", app_id=7)
    return global_session


def test_page_is_newest_first_and_shows_every_column(session: Session) -> None:
    found = logs.list_(session)
    shown = {entry.message: entry for entry in found}
    # As text, the SQL format comes after every ISO time of its day; a server knows times alone.
    assert list(shown)[-1] == "yesterday"
    assert [it for it in shown if it != "plain"] == ["50%_done", "three", "two", "one", "yesterday"]
    two, plain = shown["two"], shown["plain"]
    assert two.ts == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert (two.level, two.source, two.app, two.meta) == ("info", None, "live", {"room": "stage"})
    assert (found[0].source, found[0].app, found[0].meta) == ("api", None, None)
    assert plain.meta == "no JSON"
    assert plain.ts == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"levels": ["error", "fatal"]}, ["one", "plain", "yesterday"]),
        ({"app": "live"}, ["two", "one"]),
        ({"app": "tv-2", "levels": ("warn",)}, ["three"]),
        ({"source": "api"}, ["50%_done"]),
        ({"text": "ON"}, ["50%_done", "one"]),
        ({"text": "%"}, ["50%_done"]),
        ({"text": "0%_d"}, ["50%_done"]),
        ({"text": "0__d"}, []),
        ({"text": "/"}, []),
        ({"since": NOW - timedelta(hours=2)}, ["50%_done", "three", "two", "plain"]),
        ({"since": NOW - timedelta(minutes=90)}, ["50%_done", "plain"]),
        ({"since": NOW - timedelta(minutes=89)}, ["50%_done"]),
        ({"until": NOW - timedelta(minutes=90)}, ["three", "two", "one", "yesterday"]),
        ({"until": NOW.replace(hour=0)}, ["yesterday"]),
        ({"app": "live", "since": NOW - timedelta(hours=2), "text": "t"}, ["two"]),
    ],
)
def test_filter_leaves_just_the_lines_that_hold(
    session: Session, filters: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(messages(session, **filters)) == sorted(expected)


NAMELESS = (
    ("recording", '{"appName":"live","egressId":"EG_1"}'),
    ("restream", '{"appName":"tv-2"}'),
    ("hls", '"appName: live"'),
    ("broadcast", '{"appName":{"a":"live"}}'),
    ("system", '{"other":"appName","app":"live"}'),
    ("hls", '["appName", "live"]'),
    ("broadcast", '{"appName":"live"}'),
)


@pytest.fixture
def nameless(session: Session) -> Session:
    """Besides, lines without `app_id`, one an hour from 09:30 on."""
    for hour, (source, meta) in enumerate(NAMELESS, 9):
        ts = f"2026-01-31T{hour:02}:30:00.000Z"
        write(session, ts, f"{source} {hour}", source=source, meta_json=meta)
    return session


def test_line_without_an_app_id_is_found_by_the_name_in_its_meta(nameless: Session) -> None:
    """Schema reference, logs: recording, restream, hls and broadcast write `appName`."""
    found = logs.list_(nameless, logs.LogFilter(app="live"))
    assert [line.message for line in found] == ["broadcast 15", "two", "recording 9", "one"]
    assert {line.app for line in found} == {"live"}
    assert messages(nameless, app="tv-2") == ["restream 10", "three", "yesterday"]
    assert messages(nameless, app="live", source="recording") == ["recording 9"]
    assert messages(nameless, app="live", since=NOW) == ["broadcast 15"]
    assert len(logs.list_(nameless)) == 6 + len(NAMELESS)


@pytest.mark.files
def test_malformed_meta_is_shown_as_its_text_and_names_no_app(nameless: Session) -> None:
    before = messages(nameless, app="live")
    write(nameless, "2026-02-01T00:00:00.000Z", "odd", source="hls", meta_json='{"appName":"live"')
    assert messages(nameless, app="live") == before
    assert logs.list_(nameless)[0].meta == '{"appName":"live"'


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_an_app_together_are_the_whole_list(nameless: Session, limit: int) -> None:
    which = logs.LogFilter(app="live", until=NOW + timedelta(days=1))
    found, after = [], None
    while page := logs.list_(nameless, which, limit=limit, after=after):
        found += page
        after = page[-1].key
    assert found == logs.list_(nameless, which)


@pytest.mark.parametrize("filters", [{}, {"until": NOW + timedelta(days=1)}, {"levels": ["info"]}])
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_together_are_the_whole_list(
    session: Session, filters: dict[str, Any], limit: int
) -> None:
    """Lines that come meanwhile neither repeat nor hide others."""
    which = logs.LogFilter(**filters)
    whole = logs.list_(session, which)
    found, after = [], None
    while page := logs.list_(session, which, limit=limit, after=after):
        found += page
        after = PageKey.from_text(str(page[-1].key))
        write(session, "2026-01-31T12:30:00.000Z", "new")
    assert found == whole


def test_unknown_app_and_wrong_key_are_refused_in_words(session: Session) -> None:
    with pytest.raises(UnknownAppError, match="'nobody'"):
        logs.list_(session, logs.LogFilter(app="nobody"))
    with pytest.raises(StoredValueError, match="the key of a page"):
        PageKey.from_text("2026-01-31")
    with pytest.raises(StoredValueError, match="expected a limit that is a whole number from 1"):
        logs.list_(session, limit=0)
    with pytest.raises(StoredValueError, match="time zone"):
        logs.list_(session, logs.LogFilter(since=NOW.replace(tzinfo=None)))


KEY = PageKey("2026-01-31T10:00:00.000Z", 3)
HOUR = timedelta(hours=1)


PAGES = pytest.mark.parametrize(
    ("filters", "after", "search"),
    [
        ({}, None, "SCAN server_logs USING INDEX idx_server_logs_ts"),
        ({}, KEY, "idx_server_logs_ts (ts<?)"),
        ({"text": "x"}, KEY, "idx_server_logs_ts (ts<?)"),
        ({"since": NOW}, None, "idx_server_logs_ts (ts>?)"),
        ({"since": NOW, "until": NOW + HOUR}, None, "idx_server_logs_ts (ts>? AND ts<?)"),
        ({"since": NOW, "until": NOW + HOUR}, KEY, "idx_server_logs_ts (ts>? AND ts<?)"),
        ({"app": "live"}, None, "idx_server_logs_app_ts (app_id=?)"),
        ({"app": "live"}, KEY, "idx_server_logs_app_ts (app_id=? AND ts<?)"),
        ({"app": "live", "since": NOW}, None, "idx_server_logs_app_ts (app_id=? AND ts>?)"),
    ],
)


@PAGES
def test_page_is_served_by_an_index(
    session: Session, filters: dict[str, Any], after: PageKey | None, search: str
) -> None:
    which, index = logs.LogFilter(**filters), search.removeprefix("SCAN server_logs USING INDEX ")
    assert_uses_index(
        session, lambda: logs.list_(session, which, after=after), index.partition(" ")[0]
    )


@pytest.mark.files
@PAGES
def test_page_is_read_in_the_order_of_an_index(
    session: Session, filters: dict[str, Any], after: PageKey | None, search: str
) -> None:
    which = logs.LogFilter(**filters)
    plan = plans_of(session, lambda: logs.list_(session, which, after=after))[-1]
    assert search in plan
    assert "TEMP B-TREE" not in plan
    assert "SEARCH apps USING INTEGER PRIMARY KEY" in plan


@pytest.mark.files
def test_lines_that_name_an_app_are_searched_among_those_without_one(session: Session) -> None:
    """No plan scans the table: neither the page's nor those of `purge`."""
    plan = plans_of(session, lambda: logs.list_(session, logs.LogFilter(app="live")))[-1]
    assert "MERGE (UNION ALL)" in plan
    assert plan.count("SEARCH server_logs USING INDEX idx_server_logs_app_ts (app_id=?)") == 2
    named = logs.names_app("live")
    for statement in (sa.select(ServerLog.id).where(named), sa.delete(ServerLog).where(named)):
        compiled = statement.compile(session.connection(), compile_kwargs={"literal_binds": True})
        steps = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
        assert "SEARCH server_logs USING INDEX idx_server_logs_app" in steps[0].detail


def test_lines_of_an_app_by_level_are_searched_by_the_app(session: Session) -> None:
    which = logs.LogFilter(app="live", levels=["error"])
    plan = plans_of(session, lambda: logs.list_(session, which))[-1]
    assert "idx_server_logs_app" in plan
    assert "SCAN server_logs" not in plan
    assert "Seq Scan" not in plan


def test_retention_deletes_what_is_older_in_both_formats(databases: Databases) -> None:
    """To the second: 30 days before noon is noon, in either format."""
    with databases.global_session() as session:
        for ts in (
            "2026-01-01T11:59:59.999Z",
            "2026-01-01T12:00:00.000Z",
            "2026-01-01 11:59:59",
            "2026-01-01 12:00:00",
            "2025-12-31T23:00:00.000Z",
            "2026-01-01 00:00:00",
            "2026-01-02 00:00:00",
        ):
            write(session, ts, ts)
        assert logs.count_expired(session, 30, now=NOW) == 4
    assert logs.purge(databases, 30, now=NOW) == 4
    assert logs.purge(databases, 30, now=NOW) == 0
    with databases.global_session(read_only=True) as session:
        kept = sorted(messages(session))
    assert kept == ["2026-01-01 12:00:00", "2026-01-01T12:00:00.000Z", "2026-01-02 00:00:00"]


@pytest.mark.parametrize("days", [0, 10**9])
def test_retention_of_no_end_keeps_everything(databases: Databases, days: int) -> None:
    with databases.global_session() as session:
        write(session, "1999-01-01 00:00:00")
        assert logs.count_expired(session, days, now=NOW) == 0
    assert logs.purge(databases, days, now=NOW) == 0
    with databases.global_session(read_only=True) as session:
        assert len(logs.list_(session)) == 1


def test_retention_below_zero_is_refused_and_nothing_deleted(databases: Databases) -> None:
    with pytest.raises(LogSettingError, match="retention: found -1"):
        logs.purge(databases, -1)
    with pytest.raises(LogSettingError, match="chunk_rows"):
        logs.purge(databases, chunk_rows=0)


def test_retention_lets_other_writers_in_between_its_chunks(databases: Databases) -> None:
    """Each chunk commits: another session gets its turn in between."""
    with databases.global_session() as session:
        for number in range(25):
            write(session, f"2025-01-01T00:00:{number:02}.000Z", str(number))
    seen: list[int] = []

    def look() -> None:
        with databases.global_session() as other:
            other.execute(sa.update(App).values(display_name="x"))
            seen.append(other.scalar(sa.select(sa.func.count(ServerLog.id))) or 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamhub_orm.services.logs.time.sleep", lambda _: look())
        assert logs.purge(databases, 30, now=NOW, chunk_rows=10) == 25
    assert seen == [15, 5]


def test_chunk_takes_the_oldest_lines_first(global_session: Session) -> None:
    for day in (3, 1, 2):
        write(global_session, f"2025-01-0{day}T00:00:00.000Z", str(day))
    assert logs._delete_before(global_session, NOW, limit=2) == 2
    assert messages(global_session) == ["3"]


def test_retention_searches_the_index_of_time(global_session: Session) -> None:
    values = {"limit": 10, "ts_last": "2026-01-31T12:00:00~", "ts_until": NOW}
    index = "idx_server_logs_ts"
    assert_uses_index(global_session, logs._DELETE_BEFORE, index, values)
    assert_uses_index(
        global_session, lambda: logs.count_expired(global_session, 30, now=NOW), index
    )

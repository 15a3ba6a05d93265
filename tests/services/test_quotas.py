"""Quotas: limits, use counted over all apps, unread apps named, one caller for the last slot."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import Stream, StreamStatus, StreamType, Vod
from streamhub_orm.check import check_installation
from streamhub_orm.errors import (
    EnvironmentSettingError,
    QuotaExceededError,
    StoredValueError,
    UnknownTenantError,
    UsageUnknownError,
)
from streamhub_orm.global_db import App
from streamhub_orm.services import apps, limits, quotas, usage
from streamhub_orm.services.quotas import (
    FREE,
    GIB,
    Caller,
    Decision,
    Enforcement,
    Limits,
    Metric,
    Recorded,
    Verdict,
    reserve,
)
from streamhub_orm.testing.checks import assert_uses_index
from tests.services.racing import race

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def limit(databases: Databases, **values: int) -> None:
    with databases.global_session() as session:
        quotas.update(session, "acme", Limits(**values))


def test_tenant_without_a_row_has_the_limits_of_the_free_plan(acme: Databases) -> None:
    with acme.global_session(read_only=True) as session:
        assert quotas.get(session, "acme") == FREE
    assert [FREE.of(metric) for metric in Metric] == [2, 2, 300, 5, 5]


def test_limits_are_those_of_the_row(acme: Databases) -> None:
    with acme.global_session() as session:
        session.execute(sa.text("INSERT INTO quotas (tenant_id, max_apps) VALUES ('acme', -1)"))
        limits = quotas.get(session, "acme")
    assert [limits.of(metric) for metric in Metric] == [None, 2, 300, 5, 5]


def test_minus_one_in_the_row_is_unlimited_and_lower_ones_are_the_default(acme: Databases) -> None:
    """Schema reference, quotas: -1 = unlimited, other negatives = default."""
    row = "INSERT INTO quotas VALUES ('acme', -1, -2, -300, 0, 7)"
    with acme.global_session() as session:
        session.execute(sa.text(row))
        limits = quotas.get(session, "acme")
    assert [limits.of(metric) for metric in Metric] == [None, 2, 300, 0, 7]


JSON_LIMITS = [
    (None, [2, 2, 300, 5, 5]),
    ("{}", [2, 2, 300, 5, 5]),
    ('{"max_apps": 7, "maxConcurrentStreams": 8, "max_storage_gb": null}', [7, 8, 300, 5, 5]),
    ('{"maxApps": 9, "max_apps": 7, "other": "x"}', [7, 2, 300, 5, 5]),
    ('{"maxRecordingMinutesMonth": -7, "max_egress_gb_month": -1}', [2, 2, None, None, 5]),
    ('{"maxEgressGbMonth": 0, "maxStorageGb": 2.5}', [2, 2, 300, 0, 2.5]),
]


def set_json(databases: Databases, text: object) -> None:
    """Add the column that the core reads and never makes."""
    with databases.global_session() as session:
        session.execute(sa.text("ALTER TABLE tenants ADD COLUMN quotas_json TEXT"))
        session.execute(sa.text("UPDATE tenants SET quotas_json = :text"), {"text": text})


@pytest.mark.parametrize(("text", "expected"), JSON_LIMITS)
def test_limits_without_a_row_are_those_of_quotas_json(
    acme: Databases, text: str | None, expected: list[float | None]
) -> None:
    """Schema reference, quotas: snake or camel keys, any negative = unlimited."""
    set_json(acme, text)
    with acme.global_session(read_only=True) as session:
        limits = quotas.get(session, "acme")
        assert [limits.of(metric) for metric in Metric] == expected
        assert quotas.get(session, "platform") == quotas.PLATFORM  # the row comes first
        assert quotas.get(session, "nobody") == FREE


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "SECRET",
        "[]",
        "7",
        '{"max_apps": "7"}',
        '{"maxApps": true}',
        '{"max_apps": NaN}',
        pytest.param(b"\xff", marks=pytest.mark.files),
    ],
)
def test_malformed_quotas_json_is_an_error_of_its_tenant(acme: Databases, text: object) -> None:
    """Nobody is let in by it, and nobody else is kept out."""
    set_json(acme, text)
    with pytest.raises(StoredValueError, match=r"tenants\.quotas_json"):
        quotas.measure(acme, "acme")
    with (
        pytest.raises(StoredValueError, match=r"tenants\.quotas_json"),
        reserve(acme, "acme", Metric.APPS),
    ):
        pytest.fail("let in")
    assert quotas.measure(acme, "platform").limits == quotas.PLATFORM
    limit(acme, max_apps=7)
    assert quotas.measure(acme, "acme").limits.max_apps == 7


@pytest.mark.files
def test_row_with_a_limit_that_is_no_number_is_refused(acme: Databases) -> None:
    row = "INSERT INTO quotas (tenant_id, max_apps) VALUES ('acme', 'many')"
    with acme.global_session() as session:
        session.execute(sa.text(row))
        with pytest.raises(StoredValueError, match="a number as max_apps of the table quotas"):
            quotas.get(session, "acme")


@pytest.mark.parametrize("wrong", [-2, 2.5, True, "7"])
def test_limit_that_no_row_should_have_is_not_written(acme: Databases, wrong: Any) -> None:  # noqa: ANN401
    limit(acme, max_apps=7)
    with pytest.raises(StoredValueError, match="a limit that is a whole number"):
        limit(acme, max_apps=8, max_storage_gb=wrong)
    assert quotas.measure(acme, "acme").limits == Limits(max_apps=7)


@pytest.mark.parametrize("has_column", [False, True])
def test_installation_with_what_the_core_reads_and_never_makes_has_no_drift(
    acme: Databases, *, has_column: bool
) -> None:
    """Schema reference: table `quota_usage`, column `tenants.quotas_json`."""
    if has_column:
        set_json(acme, "{}")
        meter(acme, MONTH)
    (checked, *_) = check_installation(acme.place.root)
    assert (checked.ok, checked.drift, checked.extras) == (True, [], [])
    assert quotas.measure(acme, "acme").limits == FREE


def test_limits_are_written_and_written_over(acme: Databases) -> None:
    with acme.global_session() as session:
        for limits in (Limits(1, 2, 3, 4, 5), Limits(6, 7, 8, 9, -1)):
            quotas.update(session, "acme", limits)
            assert quotas.get(session, "acme") == limits
        with pytest.raises(UnknownTenantError):
            quotas.update(session, "nope", FREE)


def test_limits_are_searched_by_the_primary_key(global_session: Session) -> None:
    values = {"tenant": "platform"}
    assert_uses_index(global_session, limits._FIND.statement, "pk_quotas", values)


APP_IDS = {"live": 1, "tv-2": 2, "tv-3": 3}


def add_stream(session: Session, app: str, stream_id: str, status: StreamStatus) -> None:
    stream = Stream(app_id=APP_IDS[app], stream_id=stream_id, type=StreamType.RTMP, status=status)
    session.add(stream)


def fill(databases: Databases) -> None:
    """Two live streams and one that ended; recordings of 3 hours, two of them this month's."""
    for app in ("tv-2", "tv-3", "live"):
        with databases.app_session(app) as session:
            add_stream(session, app, "r/live", StreamStatus.ACTIVE)
            add_stream(session, app, "r/over", StreamStatus.ENDED)
            for name, size in (("one", GIB), ("two", None), ("three", GIB)):
                session.add(Vod(app_id=APP_IDS[app], name=name, size_bytes=size, duration_s=3600))
            session.flush()
            for name, started_at in (
                ("one", "2026-12-01 00:00:00"),
                ("two", "2026-12-31T23:59:59.999Z"),
                ("three", "2026-11-30T23:59:59.999Z"),
            ):
                session.execute(
                    sa.text("UPDATE vods SET started_at = :at WHERE name = :name"),
                    {"at": started_at, "name": name},
                )


def test_usage_is_counted_over_all_apps_of_the_tenant(acme: Databases) -> None:
    fill(acme)
    usage = quotas.measure(acme, "acme", now=NOW)
    assert (usage.apps, usage.concurrent_streams) == (2, 2)
    assert usage.recording_minutes == 240
    assert usage.storage_bytes == 4 * GIB
    assert usage.recorded is None
    assert usage.unread == ()


def test_usage_of_a_tenant_without_apps_is_nothing(databases: Databases) -> None:
    usage = quotas.measure(databases, "nobody", now=NOW)
    assert (usage.apps, usage.concurrent_streams, usage.storage_bytes) == (0, 0, 0)
    assert usage.limits == Limits()


def test_app_without_a_tenant_is_the_platforms(acme: Databases) -> None:
    with acme.global_session() as session:
        session.execute(sa.update(App).where(App.name == "tv-3").values(tenant_id=None))
    assert quotas.measure(acme, "platform").apps == 2
    assert quotas.measure(acme, "acme").apps == 1


def test_usage_of_a_month_takes_both_formats_at_both_ends(acme: Databases) -> None:
    with acme.app_session("tv-2") as session:
        for started_at in (
            "2026-01-31T23:59:59.999Z",
            "2026-01-31 23:59:59",
            "2026-02-01 00:00:00",
            "2026-02-01T00:00:00.000Z",
            "2026-02-28T23:59:59.999Z",
            "2026-02-28 23:59:59",
            "2026-03-01 00:00:00",
            "2026-03-01T00:00:00.000Z",
        ):
            session.execute(
                sa.text(
                    "INSERT INTO vods (app_id, name, duration_s, started_at)"
                    " VALUES (1, 'x', 60, :at)"
                ),
                {"at": started_at},
            )
    moment = datetime(2026, 2, 10, tzinfo=UTC)
    assert quotas.measure(acme, "acme", now=moment).recording_minutes == 4


@pytest.mark.parametrize(
    ("moment", "first", "following"),
    [
        (NOW, "2026-12-01", "2027-01-01"),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-01", "2024-02-01"),
        (datetime(2024, 11, 1, tzinfo=UTC), "2024-11-01", "2024-12-01"),
    ],
)
def test_month_ends_where_the_next_begins(moment: datetime, first: str, following: str) -> None:
    assert usage._month_of(moment) == (first, following)


def test_reserve_takes_the_text_of_a_metric(acme: Databases) -> None:
    limit(acme, max_apps=2)
    with (
        pytest.raises(QuotaExceededError) as raised,
        reserve(acme, "acme", "max_apps"),  # type: ignore[arg-type]
    ):
        pass
    assert (raised.value.metric, raised.value.used) == (Metric.APPS, 2)


def test_reserve_refuses_a_metric_that_is_none(acme: Databases) -> None:
    with (
        pytest.raises(StoredValueError, match=r"expected one of max_apps, .*found 'apps'"),
        reserve(acme, "acme", "apps"),  # type: ignore[arg-type]
    ):
        pass


def test_sizes_too_large_for_a_sum_are_summed(acme: Databases) -> None:
    with acme.app_session("tv-2") as session:
        session.add_all(Vod(app_id=APP_IDS["tv-2"], name="x", size_bytes=2**62) for _ in range(4))
    assert quotas.measure(acme, "acme").storage_bytes == 2**64


def damage(databases: Databases) -> None:
    path = databases.place.app_db("tv-3")
    path.with_name("app.db-wal").unlink(missing_ok=True)
    path.write_bytes(b"no database " * 500)


def lose(databases: Databases) -> None:
    databases.close_app("tv-3")
    path = databases.place.app_db("tv-3")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def remove(databases: Databases) -> None:
    """Leave an app that nobody has opened yet: no file, and no record that there was one."""
    lose(databases)
    with databases.global_session() as session:
        session.execute(sa.text("DELETE FROM _streamhub_meta WHERE key LIKE 'streamhub_orm_app%'"))


def leave_old_rows_alone(databases: Databases) -> None:
    """Leave an app as the oldest releases did: its rows wait for the first opening."""
    remove(databases)
    path = databases.place.legacy_db("tv-3")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE vods (id INTEGER PRIMARY KEY, name TEXT);")


def drop_tables(databases: Databases) -> None:
    with closing(sqlite3.connect(databases.place.app_db("tv-3"))) as connection:
        connection.executescript("DROP TABLE streams; DROP TABLE vods;")


UNREADABLE = pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage, "file is not a database"),
        (leave_old_rows_alone, "rows of an older release"),
        (lose, "had a database here"),
        (drop_tables, "no such table"),
    ],
)


@UNREADABLE
def test_app_that_cannot_be_read_is_named_and_not_counted_as_nothing(
    acme: Databases, spoil: Callable[[Databases], None], reason: str
) -> None:
    fill(acme)
    spoil(acme)
    usage = quotas.measure(acme, "acme", now=NOW)
    assert (usage.apps, usage.concurrent_streams) == (2, 1)
    (unread,) = usage.unread
    assert unread.app == "tv-3"
    assert reason in unread.reason


@UNREADABLE
@pytest.mark.parametrize(
    "metric", [Metric.CONCURRENT_STREAMS, Metric.RECORDING_MINUTES, Metric.STORAGE_GB]
)
def test_gate_is_closed_where_an_app_cannot_be_read(
    acme: Databases, spoil: Callable[[Databases], None], reason: str, metric: Metric
) -> None:
    limit(acme, max_concurrent_streams=100)
    spoil(acme)
    with pytest.raises(UsageUnknownError, match=reason) as caught, reserve(acme, "acme", metric):
        pytest.fail("let in")
    assert "'tv-3'" in caught.value.reason
    limit(acme, **{metric.value: -1})
    with reserve(acme, "acme", metric):
        pass


@pytest.mark.parametrize(
    "metric", [Metric.CONCURRENT_STREAMS, Metric.RECORDING_MINUTES, Metric.STORAGE_GB]
)
def test_app_that_nobody_has_opened_yet_uses_nothing(acme: Databases, metric: Metric) -> None:
    remove(acme)
    usage = quotas.measure(acme, "acme", now=NOW)
    assert (usage.apps, usage.concurrent_streams, usage.unread) == (2, 0, ())
    with reserve(acme, "acme", metric):
        pass
    assert not acme.place.app_db("tv-3").exists()


@pytest.mark.parametrize(
    ("metric", "used", "free"),
    [
        (Metric.APPS, 2, 1),
        (Metric.CONCURRENT_STREAMS, 2, 1),
        (Metric.RECORDING_MINUTES, 240, 60),
        (Metric.STORAGE_GB, 4, 1),
    ],
)
def test_gate_is_open_up_to_the_limit(
    acme: Databases, metric: Metric, used: int, free: int
) -> None:
    fill(acme)
    limit(acme, **{metric.value: used + free})
    with reserve(acme, "acme", metric, free, now=NOW):
        pass
    with (
        pytest.raises(QuotaExceededError) as caught,
        reserve(acme, "acme", metric, free + 1, now=NOW),
    ):
        pytest.fail("let in")
    assert (caught.value.metric, caught.value.limit) == (metric, used + free)
    assert caught.value.used == used
    assert caught.value.tenant_id == "acme"


def test_recordings_of_another_month_do_not_count(acme: Databases) -> None:
    fill(acme)
    limit(acme, max_recording_minutes_month=10)
    january = datetime(2027, 1, 1, tzinfo=UTC)
    with reserve(acme, "acme", Metric.RECORDING_MINUTES, 10, now=january):
        pass


def test_what_is_written_in_the_session_of_the_gate_is_committed(acme: Databases) -> None:
    limit(acme, max_apps=3)
    with reserve(acme, "acme", Metric.APPS) as session:
        session.add(App(name="tv-4", tenant_id="acme"))
    with pytest.raises(QuotaExceededError), reserve(acme, "acme", Metric.APPS):
        pytest.fail("let in")
    assert quotas.measure(acme, "acme").apps == 3


def test_what_fails_inside_the_gate_takes_no_slot(acme: Databases) -> None:
    limit(acme, max_apps=3)
    with pytest.raises(KeyError), reserve(acme, "acme", Metric.APPS) as session:  # noqa: PT012
        session.add(App(name="tv-4", tenant_id="acme"))
        session.flush()
        raise KeyError
    with reserve(acme, "acme", Metric.APPS):
        pass


def meter(databases: Databases, ddl: str, *rows: tuple[object, ...]) -> None:
    names = [column.split()[0] for column in ddl.split(", ")]
    insert = f"INSERT INTO quota_usage VALUES ({', '.join(f':{name}' for name in names)})"
    with databases.global_session() as session:
        session.execute(sa.text(f"CREATE TABLE quota_usage ({ddl})"))
        for row in rows:
            session.execute(sa.text(insert), dict(zip(names, row, strict=True)))


MONTH = (
    "tenant_id TEXT, period TEXT, recording_minutes_month INTEGER, egress_gb_month REAL, "
    "storage_gb INTEGER"
)


def test_what_a_meter_has_recorded_is_shown_apart(acme: Databases) -> None:
    """Schema reference, quotas: `quota_usage`, period `YYYY-MM` in UTC; absent = 0."""
    fill(acme)
    meter(acme, MONTH, ("acme", "2026-12", 7, 3.5, 9), ("acme", "2026-11", 70, 35, 90))
    found = quotas.measure(acme, "acme", now=NOW)
    assert found.recorded == Recorded(7, 3.5, 9)
    assert (found.recording_minutes, found.storage_bytes) == (240, 4 * GIB)
    assert quotas.measure(acme, "platform", now=NOW).recorded == Recorded(0, 0, 0)
    new_year_there = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert quotas.measure(acme, "acme", now=new_year_there).recorded == Recorded(7, 3.5, 9)


def test_limit_is_held_against_the_greater_of_what_is_counted_and_recorded(acme: Databases) -> None:
    fill(acme)
    meter(acme, MONTH, ("acme", "2026-12", 250, 5, 3))
    found = quotas.measure(acme, "acme", now=NOW)
    assert [found.used(metric) for metric in Metric] == [2, 2, 250, 5, 4]
    assert found.exceeded == [Metric.APPS, Metric.CONCURRENT_STREAMS, Metric.EGRESS_GB]
    limit(acme, max_recording_minutes_month=250)
    for metric in [*found.exceeded, Metric.RECORDING_MINUTES]:
        with (
            pytest.raises(QuotaExceededError) as caught,
            reserve(acme, "acme", metric, now=NOW),
        ):
            pytest.fail("let in")
        assert (caught.value.metric, caught.value.used) == (metric, found.used(metric))


OTHERS = ["tenant_id TEXT, something TEXT", "tenant_id TEXT, period TEXT, storage_gb INTEGER"]


@pytest.mark.parametrize("ddl", [None, *OTHERS])
def test_egress_that_nothing_records_is_none(acme: Databases, ddl: str | None) -> None:
    """As in the core: without the table, its row or its column it counts as 0."""
    if ddl is not None:
        meter(acme, ddl)
    with reserve(acme, "acme", Metric.EGRESS_GB, 5):
        pass
    limit(acme, max_egress_gb_month=0)
    with pytest.raises(QuotaExceededError), reserve(acme, "acme", Metric.EGRESS_GB):
        pytest.fail("let in")


# --- who is refused -----------------------------------------------------------------------------

PASSES, REFUSED, WOULD_BE = Verdict.PASSES, Verdict.REFUSED, Verdict.WOULD_BE_REFUSED


def decision(databases: Databases, who: Caller | str, **options: Any) -> Decision:  # noqa: ANN401
    with databases.global_session(read_only=True) as session:
        return quotas.decide(databases, session, who, Metric.APPS, **options)


@pytest.mark.parametrize(
    ("setting", "verdict"),
    [(None, REFUSED), ("", REFUSED), ("on", REFUSED), ("log", WOULD_BE), (" OFF", PASSES)],
)
def test_limit_does_what_the_setting_says(
    acme: Databases, monkeypatch: pytest.MonkeyPatch, setting: str | None, verdict: Verdict
) -> None:
    """Schema reference, quotas: STREAMHUB_AUTHZ_ENFORCE off/log/on, default on."""
    monkeypatch.delenv("STREAMHUB_AUTHZ_ENFORCE", raising=False)
    if setting is not None:
        monkeypatch.setenv("STREAMHUB_AUTHZ_ENFORCE", setting)
    found = decision(acme, "acme")  # two apps of two
    assert (found.verdict, bool(found)) == (verdict, verdict is not REFUSED)
    if verdict is PASSES:
        assert found == Decision(PASSES)
        return
    assert (found.limit, found.used) == (2, 2)
    assert isinstance(found.error, QuotaExceededError)
    with (
        pytest.raises(QuotaExceededError) if verdict is REFUSED else nullcontext(),
        reserve(acme, "acme", Metric.APPS) as session,
    ):
        session.add(App(name="tv-4", tenant_id="acme"))
    assert quotas.measure(acme, "acme").apps == (2 if verdict is REFUSED else 3)


def test_setting_of_another_word_lets_nobody_in(
    acme: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMHUB_AUTHZ_ENFORCE", "yes")
    with pytest.raises(EnvironmentSettingError, match="one of off, log, on"):
        decision(acme, "acme")


@pytest.mark.parametrize(
    ("who", "verdict"),
    [
        (Caller("acme"), REFUSED),
        ("acme", REFUSED),
        (Caller("acme", is_superadmin=True), PASSES),
        (Caller("acme", is_api_token=True), PASSES),
        (Caller(None), PASSES),
    ],
)
def test_superadmins_tokens_and_callers_without_a_tenant_are_exempt(
    acme: Databases, who: Caller | str, verdict: Verdict
) -> None:
    """Schema reference, quotas. A tenant alone, as at a WebSocket's connect, is not."""
    assert decision(acme, who, enforcement=Enforcement.ON).verdict is verdict


@pytest.mark.parametrize(
    ("most", "verdict"), [(1, REFUSED), (2, REFUSED), (3, PASSES), (-1, PASSES)]
)
def test_refused_is_who_has_used_as_much_as_the_limit(
    acme: Databases, most: int, verdict: Verdict
) -> None:
    """Schema reference, quotas: refused when used >= limit."""
    limit(acme, max_apps=most)
    assert decision(acme, "acme").verdict is verdict


def test_app_that_cannot_be_counted_stops_nobody_where_limits_are_only_told(
    acme: Databases,
) -> None:
    damage(acme)
    with acme.global_session(read_only=True) as session:
        found = [
            quotas.decide(acme, session, "acme", Metric.CONCURRENT_STREAMS, enforcement=mode)
            for mode in (Enforcement.LOG, Enforcement.ON)
        ]
    assert [it.verdict for it in found] == [WOULD_BE, REFUSED]
    assert all(isinstance(it.error, UsageUnknownError) for it in found)


LAST_STREAM = """
from streamhub_orm.app_db import Stream
from streamhub_orm.errors import QuotaExceededError
from streamhub_orm.services.quotas import Metric, reserve
import os, time
app, app_id = (("tv-2", 2), ("tv-3", 3))[os.getpid() % 2]
try:
    with reserve(databases, "acme", Metric.CONCURRENT_STREAMS):
        time.sleep(0.3)
        with databases.app_session(app) as session:
            session.add(Stream(app_id=app_id, stream_id=f"r/{os.getpid()}", type="rtmp"))
    print("in")
except QuotaExceededError:
    print("out")
"""
LAST_APP = """
from streamhub_orm.errors import QuotaExceededError
from streamhub_orm.check import check_installation
from streamhub_orm.global_db import App
from streamhub_orm.services.quotas import Metric, reserve
import os, time
try:
    with reserve(databases, "acme", Metric.APPS) as session:
        time.sleep(0.3)
        session.add(App(name=f"tv-{os.getpid()}", tenant_id="acme"))
    print("in")
except QuotaExceededError:
    print("out")
"""


def test_last_stream_of_several_processes_goes_to_one(acme: Databases) -> None:
    """Though they write to different files, and wait between the count and the insert."""
    limit(acme, max_concurrent_streams=2)
    with acme.app_session("tv-2") as session:
        add_stream(session, "tv-2", "r/1", StreamStatus.ACTIVE)
    outcomes = race(LAST_STREAM, acme, runners=3)
    assert outcomes == ["in", "out", "out"]
    assert quotas.measure(acme, "acme").concurrent_streams == 2


def test_last_app_of_several_processes_goes_to_one(acme: Databases) -> None:
    limit(acme, max_apps=3)
    outcomes = race(LAST_APP, acme, runners=3)
    assert outcomes == ["in", "out", "out"]
    assert quotas.measure(acme, "acme").apps == 3


@pytest.mark.parametrize("tenant", ["acme", "platform"])
def test_apps_of_a_tenant_are_searched_by_its_index(acme: Databases, tenant: str) -> None:
    with acme.global_session(read_only=True) as session:
        assert_uses_index(session, lambda: apps.list_names(session, tenant), "idx_apps_tenant")


def test_readings_of_an_app_use_their_indices(acme: Databases) -> None:
    with acme.app_session("tv-2", read_only=True) as session:
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {usage._RECORDED_SECONDS}", usage._month_of(NOW)
        )
        (step,) = plan.all()
    assert step.detail == (
        "SEARCH vods USING INDEX idx_vods_started_at (started_at>? AND started_at<?)"
    )

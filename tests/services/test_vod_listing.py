"""Lists of recordings: filters, orders, pages that lose nothing, counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamhub_orm.app_db import VodStatus
from streamhub_orm.errors import StoredValueError
from streamhub_orm.services import vod_listing, vods
from streamhub_orm.services.paging import PageKey
from streamhub_orm.testing.checks import plan_of, plans_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
INSERT = sa.text(
    "INSERT INTO vods (app_id, name, room, status, started_at) VALUES (1, 'x', :room, :status, :at)"
)
TEXTS = [
    None,
    "2026-01-31 23:59:59",
    "2026-01-31T09:00:00.000Z",
    "2026-01-31T23:59:59.000Z",
    "2026-01-31T23:59:59.999Z",
    "2026-02-01 00:00:00",
    "2026-02-01T00:00:00.000Z",
    "2026-02-01 08:00:00",
]
rows = st.fixed_dictionaries(
    {
        "room": st.sampled_from([None, "stage", "foyer"]),
        "status": st.sampled_from(["recording", "ready"]),
        "at": st.sampled_from(TEXTS),
    }
)
ends = st.none() | st.sampled_from(
    [MIDNIGHT, MIDNIGHT - timedelta(milliseconds=1), MIDNIGHT + timedelta(hours=8)]
)
filters = st.builds(
    vods.VodFilter,
    room=st.none() | st.just("stage"),
    status=st.none() | st.just(VodStatus.READY),
    since=ends,
    until=ends,
)


@pytest.fixture
def empty(app_session: Session) -> Iterator[Session]:
    """A session whose table Hypothesis fills and empties."""
    yield app_session
    app_session.execute(sa.text("DELETE FROM vods"))


@pytest.fixture(params=[0, 2000], ids=["large rooms", "small rooms"])
def large_room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms are searched for or picked out; what is found is the same."""
    monkeypatch.setattr(vod_listing, "_LARGE_ROOM", request.param)


def fill(session: Session, *contents: dict[str, Any]) -> None:
    session.execute(sa.text("DELETE FROM vods"))
    for content in contents:
        session.execute(INSERT, {"room": None, "status": "ready", "at": None} | content)


def instant(text: str) -> datetime:
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "T" in text else "%Y-%m-%d %H:%M:%S"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def expected_ids(session: Session, which: vods.VodFilter, order: vods.VodOrder) -> list[int]:
    """The oracle: all rows, filtered and sorted by Python."""
    found = session.execute(sa.text("SELECT id, room, status, started_at AS at FROM vods")).all()
    timed = which.since is not None or which.until is not None
    kept = [
        row
        for row in found
        if (which.room is None or row.room == which.room)
        and (which.status is None or row.status == which.status)
        and (not timed or row.at is not None)
        and (which.since is None or instant(row.at) >= which.since)
        and (which.until is None or instant(row.at) < which.until)
    ]
    by_time = order in {vods.VodOrder.NEWEST, vods.VodOrder.OLDEST}
    kept.sort(key=lambda row: (row.at or "", row.id) if by_time else row.id)
    if order in {vods.VodOrder.NEWEST, vods.VodOrder.ID_DESCENDING}:
        kept.reverse()
    return [row.id for row in kept]


def pages(session: Session, which: vods.VodFilter, order: vods.VodOrder, limit: int) -> list[int]:
    """Walk by keys from page to page."""
    found: list[int] = []
    key: PageKey | None = None
    while page := vods.list_(session, which, order=order, limit=limit, after=key):
        found += [row.id for row in page]
        key = page[-1].key
        assert len(found) < 100, "the pages go round in circles"
    return found


@pytest.mark.usefixtures("large_room")
@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
@given(
    contents=st.lists(rows, max_size=12),
    which=filters,
    order=st.sampled_from(vods.VodOrder),
    limit=st.integers(1, 5),
)
@example(
    contents=[{"room": None, "status": "ready", "at": at} for at in [None, None, *TEXTS, None]],
    which=vods.VodFilter(),
    order=vods.VodOrder.OLDEST,
    limit=1,
)
def test_pages_hold_each_row_once_in_order(
    empty: Session,
    contents: list[dict[str, Any]],
    which: vods.VodFilter,
    order: vods.VodOrder,
    limit: int,
) -> None:
    """NULLs, equal times and both formats; by key, by offset and in one piece alike."""
    fill(empty, *contents)
    expected = expected_ids(empty, which, order)
    assert pages(empty, which, order, limit) == expected
    assert [row.id for row in vods.list_(empty, which, order=order)] == expected
    for offset in range(0, len(expected) + 1, limit):
        page = vods.list_(empty, which, order=order, limit=limit, offset=offset)
        assert [row.id for row in page] == expected[offset : offset + limit]
    assert vods.count(empty, which) == len(expected)


def test_rows_that_come_and_go_between_pages_move_no_other(app_session: Session) -> None:
    """By offset the row that comes would push the last one of a page onto the next."""
    fill(app_session, *({"at": f"2026-01-31T0{hour}:00:00.000Z"} for hour in range(6)))
    first = vods.list_(app_session, limit=3)
    assert [row.id for row in first] == [6, 5, 4]
    app_session.execute(INSERT, {"room": None, "status": "ready", "at": "2026-02-01T00:00:00.000Z"})
    app_session.execute(sa.text("DELETE FROM vods WHERE id IN (4, 5)"))
    second = vods.list_(app_session, limit=3, after=first[-1].key)
    assert [row.id for row in second] == [3, 2, 1]


def test_page_has_200_recordings_by_id_unless_another_is_asked_for(app_session: Session) -> None:
    """Schema reference, VODs: id descending, 200 (1..1000)."""
    fill(app_session, *({"at": f"2026-01-{31 - day % 31:02} 00:00:00"} for day in range(1002)))
    assert [row.id for row in vods.list_(app_session)] == list(range(1002, 802, -1))
    assert len(vods.list_(app_session, limit=1000)) == 1000


def test_key_survives_json(app_session: Session) -> None:
    """A web service hands it out as two plain values."""
    fill(app_session, {}, {}, {})
    (row,) = vods.list_(app_session, limit=1)
    text, number = row.key
    assert (text, number) == (None, 3)
    assert [row.id for row in vods.list_(app_session, after=PageKey(text, number))] == [2, 1]


@pytest.mark.parametrize(
    "choice",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 1001},
        {"offset": -1},
        {"offset": 1, "after": PageKey(None, 1)},
    ],
    ids=str,
)
def test_page_that_makes_no_sense_is_refused(app_session: Session, choice: dict[str, Any]) -> None:
    with pytest.raises(StoredValueError, match=r"a limit that is|an offset"):
        vods.list_(app_session, **choice)


def test_filter_refuses_a_naive_time(app_session: Session) -> None:
    with pytest.raises(StoredValueError):
        vods.list_(app_session, vods.VodFilter(since=datetime(2026, 1, 31)))  # noqa: DTZ001 - naive


def test_recordings_are_counted_by_status(app_session: Session) -> None:
    fill(app_session, {"status": "ready"}, {"status": "ready"}, {"status": "failed"})
    assert vods.count_by_status(app_session) == {
        VodStatus.RECORDING: 0,
        VodStatus.UPLOADING: 0,
        VodStatus.READY: 2,
        VodStatus.FAILED: 1,
    }


# --- plans ----------------------------------------------------------------------------------

KEY = PageKey("2026-01-31T23:59:59.000Z", 5)
NULL_KEY = PageKey(None, 5)
BY_TIME = "SEARCH vods USING INDEX idx_vods_started_at"
SIZE_OF_ROOM = "SEARCH vods USING COVERING INDEX idx_vods_room (room=?)"
BY_STATUS = "SEARCH vods USING INDEX idx_vods_status_started"
READY = vods.VodFilter(status=VodStatus.READY)
READY_DAY = vods.VodFilter(None, VodStatus.READY, MIDNIGHT, MIDNIGHT)
DAY = vods.VodFilter(since=MIDNIGHT, until=MIDNIGHT)
NEWEST, OLDEST = vods.VodOrder.NEWEST, vods.VodOrder.OLDEST


@pytest.mark.parametrize(
    ("which", "order", "after", "plans"),
    [
        (None, NEWEST, None, ["SCAN vods USING INDEX idx_vods_started_at"]),
        (None, OLDEST, None, ["SCAN vods USING INDEX idx_vods_started_at"]),
        (
            None,
            NEWEST,
            KEY,
            [f"{BY_TIME} (started_at<?)", f"{BY_TIME} (started_at=?)"],
        ),
        (None, NEWEST, NULL_KEY, [f"{BY_TIME} (started_at=? AND rowid<?)"]),
        (None, OLDEST, KEY, [f"{BY_TIME} (started_at>?)"]),
        (
            None,
            OLDEST,
            NULL_KEY,
            [f"{BY_TIME} (started_at=? AND rowid>?)", f"{BY_TIME} (started_at>?)"],
        ),
        (DAY, NEWEST, None, [f"{BY_TIME} (started_at>? AND started_at<?)"]),
        (READY, NEWEST, None, [f"{BY_STATUS} (status=?)"]),
        (READY, OLDEST, KEY, [f"{BY_STATUS} (status=? AND started_at>?)"]),
        (READY_DAY, NEWEST, None, [f"{BY_STATUS} (status=? AND started_at>? AND started_at<?)"]),
        (READY_DAY, OLDEST, KEY, [f"{BY_STATUS} (status=? AND started_at>? AND started_at<?)"]),
        (None, vods.VodOrder.ID_DESCENDING, None, ["SCAN vods"]),
        (
            None,
            vods.VodOrder.ID_ASCENDING,
            KEY,
            ["SEARCH vods USING INTEGER PRIMARY KEY (rowid>?)"],
        ),
    ],
)
def test_page_is_read_from_an_index_in_order(
    app_session: Session,
    which: vods.VodFilter | None,
    order: vods.VodOrder,
    after: PageKey | None,
    plans: list[str],
) -> None:
    """SQLite walks an index from where the page begins, and never sorts."""
    found = plans_of(app_session, partial(vods.list_, app_session, which, order=order, after=after))
    assert found == plans


@pytest.mark.parametrize(
    ("which", "plan"),
    [
        (None, "SCAN vods"),
        (READY, "SEARCH vods USING INDEX idx_vods_status (status=?)"),
        (vods.VodFilter(room="stage"), "SEARCH vods USING INDEX idx_vods_room (room=?)"),
    ],
)
def test_page_by_id_is_read_in_order(
    app_session: Session, which: vods.VodFilter | None, plan: str
) -> None:
    assert plans_of(app_session, partial(vods.list_, app_session, which)) == [plan]


@pytest.mark.parametrize("status", [None, VodStatus.READY])
def test_small_room_is_searched_and_sorted(app_session: Session, status: VodStatus | None) -> None:
    """No index holds a room's recordings in order."""
    size, plan = plans_of(
        app_session, lambda: vods.list_(app_session, vods.VodFilter("stage", status), order=NEWEST)
    )
    assert size == SIZE_OF_ROOM
    assert plan.splitlines() == [
        "SEARCH vods USING INDEX idx_vods_room (room=?)",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


@pytest.mark.parametrize(
    ("status", "after", "plans"),
    [
        (None, None, ["SCAN vods USING INDEX idx_vods_started_at"]),
        (None, KEY, [f"{BY_TIME} (started_at<?)", f"{BY_TIME} (started_at=?)"]),
        (VodStatus.READY, None, [f"{BY_STATUS} (status=?)"]),
    ],
)
def test_large_room_is_picked_out_of_all_in_order(
    app_session: Session,
    monkeypatch: pytest.MonkeyPatch,
    status: VodStatus | None,
    after: PageKey | None,
    plans: list[str],
) -> None:
    """Sorting hundreds of thousands for each page would take a second."""
    fill(app_session, {"room": "stage"})
    monkeypatch.setattr(vod_listing, "_LARGE_ROOM", 0)
    which = vods.VodFilter("stage", status)
    call = partial(vods.list_, app_session, which, order=NEWEST, after=after)
    assert plans_of(app_session, call) == [SIZE_OF_ROOM, *plans]


def test_size_of_a_room_is_looked_up_in_its_index(app_session: Session) -> None:
    plan = plan_of(app_session, vod_listing._HAS_MORE.statement, {"room": "stage", "count": 9})
    assert plan == SIZE_OF_ROOM


def test_room_in_order_of_ids_is_read_in_order(app_session: Session) -> None:
    which = vods.VodFilter(room="stage")
    ids = vods.VodOrder.ID_DESCENDING
    (plan,) = plans_of(app_session, lambda: vods.list_(app_session, which, order=ids, after=KEY))
    assert plan == "SEARCH vods USING INDEX idx_vods_room (room=? AND rowid<?)"


@pytest.mark.parametrize("order", [NEWEST, OLDEST])
def test_later_page_of_a_range_begins_at_its_key(
    app_session: Session, order: vods.VodOrder
) -> None:
    """It takes the steps that a first page takes, not those to walk there from the range's end.

    SQLite searches by one bound on a side, so the key must be that one: the plan cannot tell.
    """
    app_session.execute(
        sa.text(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999) "
            "INSERT INTO vods (app_id, name, started_at) "
            "SELECT 1, 'x', strftime('%Y-%m-%dT%H:%M:%fZ', '2026-02-01', i || ' minutes') FROM n"
        )
    )
    which = vods.VodFilter(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=5))
    page_key = PageKey("2026-02-02T12:00:00.000Z", 2161)

    def steps(after: PageKey | None) -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        driver = app_session.connection().connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 10)
        try:
            assert len(vods.list_(app_session, which, order=order, limit=20, after=after)) == 20
        finally:
            driver.set_progress_handler(None, 0)
        return counted

    assert steps(page_key) < 2 * steps(None)


def test_counts_are_read_from_an_index_alone(app_session: Session) -> None:
    by_status, ready, day = (
        plans_of(app_session, call)[0]
        for call in (
            lambda: vods.count_by_status(app_session),
            lambda: vods.count(app_session, READY),
            lambda: vods.count(app_session, DAY),
        )
    )
    assert by_status == "SCAN vods USING COVERING INDEX idx_vods_status"
    assert "USING COVERING INDEX idx_vods_status" in ready
    assert "USING COVERING INDEX idx_vods_started_at (started_at>? AND started_at<?)" in day

"""Streams: the canonical id, the type rule, and what a room's list becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import Stream, StreamStatus, StreamType
from streamhub_orm.errors import HiddenValueError, StoredValueError
from streamhub_orm.services import streams
from streamhub_orm.testing.checks import plan_of, plans_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.services.core import PointQuery

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def upsert(
    session: Session,
    room: str = "stage",
    participant: str = "ann",
    type: StreamType = StreamType.WEBRTC,  # noqa: A002 - the column's name
    now: datetime = NOON,
) -> int:
    return streams.upsert(session, app_id=1, room=room, participant=participant, type=type, now=now)


def raw(session: Session, row_id: int) -> sa.RowMapping:
    return (
        session.execute(sa.text("SELECT * FROM streams WHERE id = :id"), {"id": row_id})
        .mappings()
        .one()
    )


def test_new_stream_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    row_id = upsert(app_session, type=StreamType.WS_MJPEG)
    assert dict(raw(app_session, row_id)) == {
        "id": row_id,
        "app_id": 1,
        "stream_id": "stage/ann",
        "type": "ws-mjpeg",
        "room": "stage",
        "participant": "ann",
        "status": "active",
        "started_at": "2026-01-31 12:00:00",
        "ended_at": None,
        "last_stats_json": None,
    }


@pytest.mark.parametrize("old", StreamType)
@pytest.mark.parametrize("new", StreamType)
def test_upsert_never_downgrades_a_type_to_webrtc(
    app_session: Session, old: StreamType, new: StreamType
) -> None:
    row_id = upsert(app_session, type=old)
    assert upsert(app_session, type=new) == row_id
    assert raw(app_session, row_id)["type"] == (old if new is StreamType.WEBRTC else new)


def test_stream_that_comes_back_is_active_and_keeps_its_row(app_session: Session) -> None:
    """Its id, its start and its figures stay; its end goes."""
    row_id = upsert(app_session)
    streams.update_stats(app_session, "stage/ann", {"fps": 25})
    before = dict(raw(app_session, row_id))
    streams.end(app_session, "stage/ann", now=NOON + HOUR)
    upsert(app_session, participant="ben")
    assert upsert(app_session, now=NOON + 2 * HOUR) == row_id
    assert dict(raw(app_session, row_id)) == before


@pytest.mark.parametrize(("room", "participant"), [("", "ann"), ("a/b", ""), (None, "ann")])
def test_upsert_refuses_an_empty_part_of_the_id(
    app_session: Session, room: str, participant: str
) -> None:
    with pytest.raises(StoredValueError, match="that is not empty"):
        upsert(app_session, room, participant)
    assert streams.count_active(app_session) == 0


def test_upsert_takes_a_room_with_a_slash(app_session: Session) -> None:
    row_id = upsert(app_session, "a/b", "ann")
    assert raw(app_session, row_id)["stream_id"] == "a/b/ann"


def test_upsert_refuses_a_type_that_is_none(app_session: Session) -> None:
    with pytest.raises(StoredValueError, match="expected one of webrtc"):
        upsert(app_session, type="srt")  # type: ignore[arg-type]


def test_upsert_sees_what_the_session_has_not_written_yet(app_session: Session) -> None:
    app_session.add(Stream(app_id=1, stream_id="stage/ann", type=StreamType.RTMP))
    row_id = upsert(app_session)
    assert raw(app_session, row_id)["type"] == "rtmp"


def test_upsert_that_sqlite_refuses_leaves_the_session_usable(app_session: Session) -> None:
    """It raises what any statement of the session would raise."""
    with pytest.raises(sa.exc.DBAPIError, match="type 'list' is not supported"):
        upsert(app_session, participant=["ann"])  # type: ignore[arg-type]
    upsert(app_session)
    assert streams.count_active(app_session) == 1


def test_end_says_whether_the_stream_was_active(app_session: Session) -> None:
    """A second end changes nothing, so the first end stays."""
    row_id = upsert(app_session)
    assert streams.end(app_session, "stage/ann", now=NOON + HOUR)
    assert not streams.end(app_session, "stage/ann", now=NOON + 2 * HOUR)
    assert not streams.end_by_id(app_session, row_id)
    assert not streams.end(app_session, "stage/nobody")
    row = raw(app_session, row_id)
    assert (row["status"], row["ended_at"]) == ("ended", "2026-01-31 13:00:00")


def test_stop_sets_the_end_anew(app_session: Session) -> None:
    """Schema reference, streams. End: only active rows; stop: always sets ended_at anew."""
    row_id, other = upsert(app_session), upsert(app_session, participant="ben")
    for hours in (1, 2):
        assert streams.stop(app_session, "stage/ann", now=NOON + hours * HOUR)
        row = raw(app_session, row_id)
        assert (row["status"], row["ended_at"]) == ("ended", f"2026-01-31 {12 + hours}:00:00")
    assert not streams.stop(app_session, "stage/nobody")
    assert raw(app_session, other)["status"] == "active"


def test_figures_that_are_malformed_hide_no_other_stream(app_session: Session) -> None:
    for participant in ("ann", "ben"):
        upsert(app_session, participant=participant)
        streams.update_stats(app_session, f"stage/{participant}", {"fps": 25})
    spoil = "UPDATE streams SET last_stats_json = '{' WHERE participant = 'ann'"
    app_session.execute(sa.text(spoil))
    bad, good = streams.list_active(app_session)
    assert good.last_stats_json == {"fps": 25}
    with pytest.raises(HiddenValueError, match="JSON text in last_stats_json"):
        dict(bad.last_stats_json or {})
    streams.update_stats(app_session, "stage/ann", {"fps": 30})
    assert streams.list_active(app_session)[0].last_stats_json == {"fps": 30}


def test_end_by_id_ends_that_stream_only(app_session: Session) -> None:
    ann, ben = upsert(app_session), upsert(app_session, participant="ben")
    assert streams.end_by_id(app_session, ann, now=NOON + HOUR)
    assert raw(app_session, ann)["ended_at"] == "2026-01-31 13:00:00"
    assert raw(app_session, ben)["status"] == "active"


def test_active_streams_are_listed_by_room_and_counted(app_session: Session) -> None:
    upsert(app_session, now=NOON + HOUR)
    upsert(app_session, participant="ben")
    upsert(app_session, room="foyer", participant="cleo", now=NOON + 2 * HOUR)
    upsert(app_session, participant="dan")
    streams.end(app_session, "stage/dan")
    everywhere = [stream.participant for stream in streams.list_active(app_session)]
    on_stage = [stream.participant for stream in streams.list_active(app_session, room="stage")]
    assert everywhere == ["ben", "ann", "cleo"]
    assert on_stage == ["ben", "ann"]
    assert streams.count_active(app_session) == 3


def test_list_refreshes_what_the_session_had_loaded(app_session: Session) -> None:
    upsert(app_session)
    (stream,) = streams.list_active(app_session)
    streams.end(app_session, "stage/ann")
    upsert(app_session, type=StreamType.WHIP)
    (again,) = streams.list_active(app_session)
    assert again is stream
    assert stream.type is StreamType.WHIP


def test_reconcile_ends_who_is_gone_and_names_who_is_unknown(app_session: Session) -> None:
    """Other rooms, and rows that ended before, are not touched."""
    for participant in ("ann", "ben", "cleo", "dan"):
        upsert(app_session, participant=participant)
    upsert(app_session, room="foyer")
    streams.end(app_session, "stage/dan", now=NOON)
    present = ["cleo", "dan", "eve", "eve"]
    done = streams.reconcile(app_session, "stage", present, now=NOON + HOUR)
    assert done == streams.Reconciled(["stage/ann", "stage/ben"], ["stage/dan", "stage/eve"])
    assert {s.stream_id for s in streams.list_active(app_session)} == {"foyer/ann", "stage/cleo"}
    ended = app_session.execute(
        sa.text("SELECT stream_id, ended_at FROM streams WHERE status = 'ended' ORDER BY 1")
    )
    assert [tuple(row) for row in ended] == [
        ("stage/ann", "2026-01-31 13:00:00"),
        ("stage/ben", "2026-01-31 13:00:00"),
        ("stage/dan", "2026-01-31 12:00:00"),
    ]
    again = streams.reconcile(app_session, "stage", present)
    assert again == streams.Reconciled([], ["stage/dan", "stage/eve"])


def test_reconcile_spares_cameras_and_whoever_has_just_come(app_session: Session) -> None:
    """Schema reference, streams: ws-mjpeg, and what began under 15 s ago."""
    upsert(app_session, participant="camera", type=StreamType.WS_MJPEG)
    upsert(app_session, participant="new", now=NOON + HOUR - timedelta(seconds=14))
    upsert(app_session, participant="old", now=NOON + HOUR - timedelta(seconds=16))
    done = streams.reconcile(app_session, "stage", [], now=NOON + HOUR)
    assert done == streams.Reconciled(["stage/old"], [])
    left = {stream.participant for stream in streams.list_active(app_session)}
    assert left == {"camera", "new"}


def test_reconcile_with_nobody_there_ends_all_of_the_room(app_session: Session) -> None:
    upsert(app_session)
    upsert(app_session, room="foyer")
    assert streams.reconcile(app_session, "stage", []) == streams.Reconciled(["stage/ann"], [])
    assert streams.count_active(app_session) == 1


def test_reconcile_takes_two_statements_for_thousands(app_session: Session) -> None:
    """SQLite's limit on bound values is not met, and odd names are only names."""
    present = ['"', "'); --", "ü/🎥", *(f"p{number}" for number in range(40_000))]
    upsert(app_session, participant="ü/🎥")
    upsert(app_session)
    plans = plans_of(app_session, lambda: streams.reconcile(app_session, "stage", present))
    assert len(plans) == 2
    assert [s.participant for s in streams.list_active(app_session)] == ["ü/🎥"]


def test_stats_are_kept_as_json(app_session: Session) -> None:
    row_id = upsert(app_session)
    assert streams.update_stats(app_session, "stage/ann", {"fps": 25, "kbps": [1, 2.5]})
    assert not streams.update_stats(app_session, "stage/nobody", {})
    assert raw(app_session, row_id)["last_stats_json"] == '{"fps":25,"kbps":[1,2.5]}'


def test_find_returns_the_stream_or_none(app_session: Session) -> None:
    row_id = upsert(app_session)
    found = streams.find(app_session, "stage/ann")
    assert found is not None
    assert (found.id, found.status) == (row_id, StreamStatus.ACTIVE)
    assert streams.find(app_session, "stage/nobody") is None


BY_STREAM_ID = "USING INDEX sqlite_autoindex_streams_1 (stream_id=?)"


@pytest.mark.parametrize(
    ("query", "values", "plan"),
    [
        (streams._END_BY_STREAM_ID, {"now": NOON, "stream_id_": "stage/ann"}, BY_STREAM_ID),
        (streams._STOP, {"now": NOON, "stream_id_": "stage/ann"}, BY_STREAM_ID),
        (streams._SET_STATS, {"stats": {}, "stream_id_": "stage/ann"}, BY_STREAM_ID),
        (streams._END_BY_ID, {"now": NOON, "id_": 1}, "USING INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_change_of_one_stream_searches_an_index(
    app_session: Session, query: PointQuery, values: dict[str, Any], plan: str
) -> None:
    assert plan_of(app_session, query.statement, values) == f"SEARCH streams {plan}"


def test_hot_queries_search_an_index(app_session: Session) -> None:
    """No plan scans the table or sorts."""
    (found,) = plans_of(app_session, lambda: streams.find(app_session, "stage/ann"))
    (count,) = plans_of(app_session, lambda: streams.count_active(app_session))
    (active,) = plans_of(app_session, lambda: streams.list_active(app_session))
    assert found == f"SEARCH streams {BY_STREAM_ID}"
    assert "USING COVERING INDEX idx_streams_status" in count
    assert active == "SEARCH streams USING INDEX idx_streams_status_started (status=?)"


def test_queries_of_a_room_search_an_index(app_session: Session) -> None:
    upsert(app_session)
    (listed,) = plans_of(app_session, lambda: streams.list_active(app_session, room="stage"))
    active, end = plans_of(app_session, lambda: streams.reconcile(app_session, "stage", []))
    for plan in (listed, active, end):
        assert "SCAN streams" not in plan
        assert "SEARCH streams USING" in plan

"""Restream targets: their life, and their URL, which stays where it is."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from streamhub_orm.app_db import RestreamStatus, RestreamTarget
from streamhub_orm.errors import UnknownTargetError
from streamhub_orm.services import restream
from streamhub_orm.testing.checks import plans_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "SECRETKEY1"
URL = f"rtmp://live.example.com/app/{KEY}"
OVER = [RestreamStatus.FAILED, RestreamStatus.STOPPED]
OPEN = [RestreamStatus.STARTING, RestreamStatus.ACTIVE]


def add(session: Session, room: str = "stage", **values: Any) -> restream.TargetRow:  # noqa: ANN401 - any column
    return restream.create(session, app="live", room=room, url=URL, now=NOON, **values)


def test_new_target_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    target = add(app_session, name="Mirror", platform="youtube", egress_id="EG_1")
    row = app_session.execute(sa.text("SELECT * FROM restream_targets")).mappings().one()
    assert dict(row) == {
        "id": target.id,
        "app": "live",
        "room": "stage",
        "stream_id": None,
        "name": "Mirror",
        "platform": "youtube",
        "url": URL,
        "url_masked": "rtmp://live.example.com/***",
        "egress_id": "EG_1",
        "status": "starting",
        "error": None,
        "retries": 0,
        "started_at": "2026-01-31 12:00:00",
        "ended_at": None,
    }


def test_url_is_had_by_asking_for_it_alone(app_session: Session) -> None:
    """Neither repr, str, JSON nor a log line of any row has it."""
    target = add(app_session, egress_id="EG_1")
    shown = [
        target,
        restream.get(app_session, target.id),
        restream.list_(app_session),
        restream.find_by_egress(app_session, "EG_1"),
        restream.set_status(app_session, target.id, RestreamStatus.ACTIVE),
        app_session.get_one(RestreamTarget, target.id),
    ]
    assert KEY not in repr(shown)
    assert KEY not in json.dumps([target._asdict()], default=str)
    assert restream.get_url(app_session, target.id) == URL


def test_url_stands_in_no_error_and_no_log(
    app_session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """A statement that fails, or is logged, would show its values."""
    engine_log = logging.getLogger("sqlalchemy.engine")
    with caplog.at_level(logging.DEBUG, engine_log.name):
        add(app_session)
        with pytest.raises(sa.exc.IntegrityError) as raised:
            add(app_session, room=None)  # type: ignore[arg-type]
        app_session.rollback()
    assert KEY not in str(raised.value)
    assert KEY not in caplog.text


def test_url_is_hidden_in_the_reason_of_a_failure(app_session: Session) -> None:
    target = add(app_session)
    message = f"could not connect to {URL}; key {KEY} refused"
    failed = restream.set_status(app_session, target.id, RestreamStatus.FAILED, error=message)
    assert failed.error == "could not connect to ***; key *** refused"


@pytest.mark.parametrize("status", OVER)
def test_target_ends_when_it_first_fails_or_stops(
    app_session: Session, status: RestreamStatus
) -> None:
    target = add(app_session)
    ended = restream.set_status(app_session, target.id, status, now=NOON + HOUR)
    assert (ended.status, ended.ended_at) == (status, NOON + HOUR)
    again = restream.set_status(app_session, target.id, status, now=NOON + 2 * HOUR)
    assert again.ended_at == NOON + HOUR


@pytest.mark.parametrize("status", OPEN)
def test_target_that_goes_on_has_no_end_and_no_error(
    app_session: Session, status: RestreamStatus
) -> None:
    target = add(app_session)
    restream.set_status(app_session, target.id, RestreamStatus.FAILED, error="refused")
    going = restream.set_status(app_session, target.id, status)
    assert (going.status, going.error, going.ended_at) == (status, None, None)


def test_retries_are_counted_and_open_the_target(app_session: Session) -> None:
    """The reason of the last failure stays to be seen."""
    target = add(app_session)
    restream.set_status(app_session, target.id, RestreamStatus.FAILED, error="refused")
    restream.record_retry(app_session, target.id)
    again = restream.record_retry(app_session, target.id)
    assert (again.retries, again.status, again.ended_at) == (2, RestreamStatus.STARTING, None)
    assert again.error == "refused"


def test_targets_are_listed_by_room_and_status(app_session: Session) -> None:
    first, second, third = add(app_session), add(app_session, "foyer"), add(app_session)
    restream.set_status(app_session, third.id, RestreamStatus.ACTIVE)
    ids = [
        [target.id for target in restream.list_(app_session, room=room, status=status)]
        for room, status in (
            (None, None),
            ("stage", None),
            (None, RestreamStatus.STARTING),
            ("stage", RestreamStatus.ACTIVE),
        )
    ]
    assert ids == [
        [first.id, second.id, third.id],
        [first.id, third.id],
        [first.id, second.id],
        [third.id],
    ]


def test_target_is_found_by_its_egress(app_session: Session) -> None:
    """The newest one, where the media server's id was used again."""
    old, new = add(app_session, egress_id="EG_1"), add(app_session)
    restream.set_egress(app_session, new.id, "EG_1")
    found = restream.find_by_egress(app_session, "EG_1")
    assert found is not None
    assert found.id == new.id != old.id
    assert restream.find_by_egress(app_session, "EG_2") is None


def test_deleted_target_is_gone_with_its_url(app_session: Session) -> None:
    target = add(app_session)
    restream.delete(app_session, target.id)
    assert restream.list_(app_session) == []


@pytest.mark.parametrize(
    "call",
    [
        restream.get,
        restream.get_url,
        restream.delete,
        restream.record_retry,
        lambda session, number: restream.set_egress(session, number, None),
        lambda session, number: restream.set_status(session, number, RestreamStatus.ACTIVE),
        lambda session, number: restream.set_status(
            session, number, RestreamStatus.FAILED, error="refused"
        ),
    ],
)
def test_call_for_no_target_raises(
    app_session: Session, call: Callable[[Session, int], object]
) -> None:
    with pytest.raises(UnknownTargetError, match="no restream target 7"):
        call(app_session, 7)


def test_queries_search_an_index(app_session: Session) -> None:
    target = add(app_session)
    egress, room, status, one = (
        plans_of(app_session, call)[0]
        for call in (
            lambda: restream.find_by_egress(app_session, "EG_1"),
            lambda: restream.list_(app_session, room="stage"),
            lambda: restream.list_(app_session, status=RestreamStatus.ACTIVE),
            lambda: restream.set_status(app_session, target.id, RestreamStatus.ACTIVE),
        )
    )
    found = "SEARCH restream_targets USING "
    assert egress == f"{found}INDEX idx_restream_targets_egress (egress_id=?)"
    assert room == f"{found}INDEX idx_restream_targets_room (room=?)"
    assert status == f"{found}INDEX idx_restream_targets_status (status=?)"
    assert one == f"{found}INTEGER PRIMARY KEY (rowid=?)"


# --- secrets in URLs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (f"rtmp://a.rtmp.youtube.com/live2/{KEY}", "rtmp://a.rtmp.youtube.com/***"),
        (f"rtmps://live.example.com:443/rtmp/{KEY}?s=1", "rtmps://live.example.com:443/***"),
        (f"rtmp://live.example.com/{KEY}", "rtmp://live.example.com/***"),
        (f"rtmp://user:{KEY}@live.example.com/app", "rtmp://live.example.com/***"),
        (f"rtmp://{KEY}@live.example.com", "rtmp://live.example.com/***"),
        (f"srt://live.example.com:9000?streamid={KEY}", "srt://live.example.com:9000/***"),
        (f"rtmp://[2001:db8::1]:1935/app#{KEY}", "rtmp://[2001:db8::1]:1935/***"),
        ("rtmp://live.example.com", "rtmp://live.example.com"),
        ("rtmp://live.example.com/", "rtmp://live.example.com"),
        (KEY, "***"),
        (f"live.example.com/{KEY}", "***"),
        (f"rtmp:///{KEY}", "***"),
        (f"rtmp://user:pa/{KEY}@live.example.com/app", "***"),
        (f"rtmp://live.example.com\\{KEY}", "***"),
        (f"rtmp://live.example.com:{KEY}/app", "***"),
        (f" rtmp://live.example.com/{KEY}", "***"),
        ("", "***"),
    ],
)
def test_mask_shows_scheme_and_host_at_most(url: str, masked: str) -> None:
    assert restream._mask_url(url) == masked
    assert KEY not in masked


@settings(deadline=None)
@given(
    st.sampled_from(["rtmp://host/{}", "rtmp://{}@host/x", "srt://host:1?{}", "{}", "//{}"]),
    st.text(),
)
def test_mask_holds_nothing_of_what_follows_the_host(form: str, secret: str) -> None:
    assert KEY not in restream._mask_url(form.format(secret + KEY))
    assert KEY not in restream._mask_url(form.format(KEY + "/" + secret))


LONG_URL = f"rtmp://user:pass%40word@live.example.com:1935/app/{KEY}?token=abcdef123"


@pytest.mark.parametrize(
    "message",
    [
        f"cannot open {LONG_URL}: refused",
        f"publish of {KEY} was refused",
        f"live.example.com: /app/{KEY} is taken",
        "401 for pass@word",
        "bad token abcdef123",
    ],
)
def test_secrets_are_hidden_in_a_message(message: str) -> None:
    found = restream._without_secrets(message, LONG_URL)
    assert not any(secret in found for secret in (KEY, "pass%40word", "pass@word", "abcdef123"))
    assert "***" in found


def test_what_is_no_secret_stays_readable() -> None:
    message = "app on live.example.com:1935 closed the connection"
    assert restream._without_secrets(message, LONG_URL) == message

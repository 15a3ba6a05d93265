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
from streamhub_orm.errors import (
    StoredValueError,
    TargetExistsError,
    TargetStateError,
    TooManyTargetsError,
    UnknownTargetError,
)
from streamhub_orm.services import restream, restream_urls
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


def add(session: Session, room: str = "stage", url: str = URL, **values: Any) -> restream.TargetRow:  # noqa: ANN401 - any column
    return restream.create(session, app="live", room=room, url=url, now=NOON, **values)


def failed(session: Session, **values: Any) -> restream.TargetRow:  # noqa: ANN401 - any column
    target = add(session, **values)
    return restream.set_status(session, target.id, RestreamStatus.FAILED, error="refused", now=NOON)


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
        "url_masked": "rtmp://live.example.com/app/SECR…",
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
def test_target_ends_when_it_fails_or_stops(app_session: Session, status: RestreamStatus) -> None:
    target = add(app_session)
    ended = restream.set_status(app_session, target.id, status, now=NOON + HOUR)
    assert (ended.status, ended.ended_at) == (status, NOON + HOUR)


def test_stopped_target_that_had_failed_keeps_its_end(app_session: Session) -> None:
    target = failed(app_session)
    stopped = restream.set_status(app_session, target.id, RestreamStatus.STOPPED, now=NOON + HOUR)
    assert (stopped.ended_at, stopped.error) == (NOON, None)


LEGAL = {
    ("starting", "active"),
    ("starting", "failed"),
    ("active", "failed"),
    ("starting", "stopped"),
    ("active", "stopped"),
    ("failed", "stopped"),
}


@pytest.mark.parametrize("found", RestreamStatus)
@pytest.mark.parametrize("to", RestreamStatus)
def test_only_legal_moves_are_made(
    app_session: Session, found: RestreamStatus, to: RestreamStatus
) -> None:
    """Schema reference, restream: `stopped` is final; a refused move changes nothing."""
    target = add(app_session)
    app_session.execute(sa.text("UPDATE restream_targets SET status = :it"), {"it": found})
    if (found, to) in LEGAL:
        assert restream.set_status(app_session, target.id, to).status == to
        return
    with pytest.raises(TargetStateError) as raised:
        restream.set_status(app_session, target.id, to)
    assert (raised.value.found, raised.value.target_id) == (found, target.id)
    assert restream.get(app_session, target.id) == target._replace(status=found)


# --- what its egress says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "event", "status", "error", "retry"),
    [
        ("starting", "EGRESS_ACTIVE", "active", None, None),
        ("starting", "EGRESS_FAILED", "failed", "egress egress_failed", 5),
        ("active", "EGRESS_FAILED", "failed", "egress egress_failed", 5),
        ("active", "EGRESS_LIMIT_REACHED", "failed", "egress egress_limit_reached", None),
        ("active", "EGRESS_COMPLETE", "stopped", None, None),
        ("starting", "EGRESS_ABORTED", "stopped", None, None),
        ("failed", "EGRESS_COMPLETE", "failed", None, None),
        ("failed", "EGRESS_ABORTED", "failed", None, None),
        ("failed", "EGRESS_FAILED", "failed", None, None),
        ("failed", "EGRESS_ACTIVE", "failed", None, None),
        ("active", "EGRESS_ACTIVE", "active", None, None),
        ("active", "EGRESS_ENDING", "active", None, None),
        *(("stopped", event, "stopped", None, None) for event in restream._OF_EGRESS),
    ],
)
def test_target_follows_its_egress(  # noqa: PLR0913, PLR0917 - a row of the table
    app_session: Session, found: str, event: str, status: str, error: str | None, retry: int | None
) -> None:
    """Schema reference, restream; an event that comes twice or late changes nothing."""
    target = add(app_session, egress_id="EG_1")
    app_session.execute(sa.text("UPDATE restream_targets SET status = :it"), {"it": found})
    followed = restream.follow_egress(app_session, "EG_1", event, now=NOON + HOUR)
    assert followed is not None
    assert (followed.target.status, followed.target.error) == (status, error)
    assert followed.retry_after_seconds == retry
    ended_at = NOON + HOUR if found != status and status in OVER else None
    assert followed.target.ended_at == ended_at
    assert restream.get(app_session, target.id) == followed.target
    assert restream.follow_egress(app_session, "EG_2", event) is None


def test_failed_target_is_relaunched_three_times_at_most(app_session: Session) -> None:
    """Schema reference, restream: after 5, 10, 20 s; new egress, retries + 1, no error, no end."""
    target = add(app_session, egress_id="EG_0")
    pauses = []
    for number in range(1, 5):
        followed = restream.follow_egress(app_session, f"EG_{number - 1}", "EGRESS_FAILED")
        assert followed is not None
        pauses.append(followed.retry_after_seconds)
        if followed.retry_after_seconds is not None:
            again = restream.record_retry(app_session, target.id, f"EG_{number}")
            assert again == target._replace(egress_id=f"EG_{number}", retries=number)
    assert pauses == [5, 10, 20, None]
    with pytest.raises(TargetStateError, match="found failed after 3"):
        restream.record_retry(app_session, target.id, "EG_9")
    assert restream.get(app_session, target.id).egress_id == "EG_3"


@pytest.mark.parametrize("status", ["starting", "active", "stopped"])
def test_what_has_not_failed_is_not_relaunched(app_session: Session, status: str) -> None:
    target = add(app_session)
    app_session.execute(sa.text("UPDATE restream_targets SET status = :it"), {"it": status})
    with pytest.raises(TargetStateError):
        restream.record_retry(app_session, target.id, "EG_1")
    assert restream.get(app_session, target.id) == target._replace(status=RestreamStatus(status))


# --- what a room may have -----------------------------------------------------------------------


@pytest.mark.parametrize("status", OPEN)
def test_room_is_sent_to_a_url_once(app_session: Session, status: RestreamStatus) -> None:
    """Schema reference, restream: same room and url already starting or active is refused."""
    first = add(app_session)
    if status is RestreamStatus.ACTIVE:
        restream.set_status(app_session, first.id, status)
    with pytest.raises(TargetExistsError, match=f"restream target {first.id}") as raised:
        add(app_session)
    assert KEY not in str(raised.value) + str(raised.value.args)
    assert len(restream.list_(app_session)) == 1
    add(app_session, "foyer")
    restream.set_status(app_session, first.id, RestreamStatus.STOPPED)
    add(app_session)
    failed(app_session, url=f"{URL}-2")
    add(app_session, url=f"{URL}-2")


def test_room_has_ten_targets_at_most(app_session: Session) -> None:
    """Schema reference, restream: 10 such rows in the room; those that are over do not count."""
    failed(app_session, url=f"{URL}-over")
    targets = [add(app_session, url=f"{URL}-{number}") for number in range(10)]
    with pytest.raises(TooManyTargetsError) as raised:
        add(app_session)
    assert (raised.value.used, raised.value.limit) == (10, 10)
    add(app_session, "foyer")
    restream.set_status(app_session, targets[0].id, RestreamStatus.STOPPED)
    add(app_session)


def test_targets_are_listed_by_room_and_status(app_session: Session) -> None:
    first, second = add(app_session), add(app_session, "foyer")
    third = add(app_session, url=f"{URL}-3")
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
    old, new = add(app_session, egress_id="EG_1"), add(app_session, url=f"{URL}-2")
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
        lambda session, number: restream.record_retry(session, number, "EG_1"),
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
        # the last segment of the path is cut to 4 characters and an ellipsis
        (f"rtmp://a.rtmp.youtube.com/live2/{KEY}", "rtmp://a.rtmp.youtube.com/live2/SECR…"),
        (f"rtmps://live.example.com:443/{KEY}", "rtmps://live.example.com:443/SECR…"),
        (f"rtmp://[2001:db8::1]:1935/a/b/{KEY}", "rtmp://[2001:db8::1]:1935/a/b/SECR…"),
        # only the ellipsis if it has 4 or fewer
        ("rtmp://live.example.com/app/1234", "rtmp://live.example.com/app/…"),
        ("rtmp://live.example.com/app/12345", "rtmp://live.example.com/app/1234…"),
        ("rtmp://live.example.com/1", "rtmp://live.example.com/…"),
        # no path or ending in a slash: unchanged
        ("rtmp://live.example.com", "rtmp://live.example.com"),
        ("rtmp://live.example.com/", "rtmp://live.example.com/"),
        ("rtmp://live.example.com:1935/app/", "rtmp://live.example.com:1935/app/"),
    ],
)
def test_mask_is_the_core_s(url: str, masked: str) -> None:
    """Schema reference, restream: url_masked."""
    assert restream_urls.mask_url(url) == masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (f"rtmps://live.example.com/rtmp/abcdef?s={KEY}", "rtmps://live.example.com/rtmp/abcd…?…"),
        (f"rtmp://user:{KEY}@live.example.com/app/", "rtmp://…@live.example.com/app/"),
        (f"rtmp://{KEY}@live.example.com", "rtmp://…@live.example.com"),
        (f"srt://live.example.com:9000?streamid={KEY}", "srt://live.example.com:9000?…"),
        (f"rtmp://live.example.com/app/#{KEY}", "rtmp://live.example.com/app/#…"),
        (f"rtmp://live.example.com/app/x?a=/b/{KEY}", "rtmp://live.example.com/app/…?…"),
        (KEY, "…"),
        (f"live.example.com/{KEY}", "…"),
        (f"rtmp:///{KEY}", "…"),
        (f"rtmp://user:pa/{KEY}@live.example.com/app", "…"),
        (f"rtmp://live.example.com\\{KEY}", "…"),
        (f"rtmp://live.example.com:{KEY}/app", "…"),
        (f" rtmp://live.example.com/{KEY}", "…"),
        ("", "…"),
    ],
)
def test_mask_hides_what_the_core_would_show_of_a_key(url: str, masked: str) -> None:
    assert restream_urls.mask_url(url) == masked


@settings(deadline=None)
@given(
    st.sampled_from(["rtmp://host/x/{}", "rtmp://{}@host/x", "srt://host:1?{}", "{}", "//{}"]),
    st.text(st.characters(exclude_characters="/")),
)
def test_mask_holds_no_whole_key(form: str, secret: str) -> None:
    assert KEY not in restream_urls.mask_url(form.format(secret + KEY))
    assert KEY not in restream_urls.mask_url(form.format(KEY + secret))


# --- presets and keys ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "url"),
    [
        ({"platform": "youtube", "key": "k-1"}, "rtmp://a.rtmp.youtube.com/live2/k-1"),
        ({"platform": "twitch", "key": "k-1"}, "rtmp://live.twitch.tv/app/k-1"),
        (
            {"platform": "facebook", "key": "k-1?s=1"},
            "rtmps://live-api-s.facebook.com:443/rtmp/k-1?s=1",
        ),
        ({"url": "rtmp://x/app"}, "rtmp://x/app"),
        ({"url": "rtmp://x/app", "key": "k-1"}, "rtmp://x/app/k-1"),
        ({"url": "rtmp://x/app/k-1", "platform": "twitch"}, "rtmp://x/app/k-1"),
    ],
)
def test_url_is_that_of_the_platform_and_the_key(
    app_session: Session, where: dict[str, str], url: str
) -> None:
    """Schema reference, restream: presets, each + '/' + key; custom: url (+ '/' + key)."""
    target = restream.create(app_session, room="stage", **where)  # type: ignore[arg-type]
    assert restream.get_url(app_session, target.id) == url
    assert target.platform == where.get("platform", "custom")


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"platform": "vimeo", "key": KEY},
        {"platform": "twitch"},
        *({"platform": "twitch", "key": key} for key in ("", f"{KEY} ", f"a/{KEY}", f"{KEY}\n")),
        *({"url": "rtmp://x/app", "key": key} for key in ("", f"{KEY} x", f"a/{KEY}")),
    ],
)
def test_target_without_a_place_or_with_a_key_that_is_none_is_refused(
    app_session: Session, where: dict[str, str]
) -> None:
    with pytest.raises(StoredValueError) as raised:
        restream.create(app_session, room="stage", **where)  # type: ignore[arg-type]
    assert KEY not in str(raised.value) + str(raised.value.args)
    assert restream.list_(app_session) == []


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
    found = restream_urls.without_secrets(message, LONG_URL)
    assert not any(secret in found for secret in (KEY, "pass%40word", "pass@word", "abcdef123"))
    assert "***" in found


def test_what_is_no_secret_stays_readable() -> None:
    message = "app on live.example.com:1935 closed the connection"
    assert restream_urls.without_secrets(message, LONG_URL) == message

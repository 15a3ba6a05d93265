"""Restream targets: their life, and their URL, which stays where it is."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import RestreamStatus, RestreamTarget
from streamhub_orm.errors import UnknownTargetError
from streamhub_orm.services.restream import (
    TargetRow,
    add_target,
    count_target_retry,
    delete_target,
    find_target_by_egress,
    get_target,
    get_target_url,
    list_targets,
    set_target_egress,
    set_target_status,
)
from tests.services.plans import plans_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "SECRETKEY1"
URL = f"rtmp://live.example.com/app/{KEY}"
OVER = [RestreamStatus.FAILED, RestreamStatus.STOPPED]
OPEN = [RestreamStatus.STARTING, RestreamStatus.ACTIVE]


def add(session: Session, room: str = "stage", **values: Any) -> TargetRow:  # noqa: ANN401 - any column
    return add_target(session, app="live", room=room, url=URL, now=NOON, **values)


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
        get_target(app_session, target.id),
        list_targets(app_session),
        find_target_by_egress(app_session, "EG_1"),
        set_target_status(app_session, target.id, RestreamStatus.ACTIVE),
        app_session.get_one(RestreamTarget, target.id),
    ]
    assert KEY not in repr(shown)
    assert KEY not in json.dumps([target._asdict()], default=str)
    assert get_target_url(app_session, target.id) == URL


def test_url_stands_in_no_error_and_no_log(
    app_session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """A statement that fails, or is logged, would show its values."""
    engine_log = logging.getLogger("sqlalchemy.engine")
    with caplog.at_level(logging.DEBUG, engine_log.name):
        add(app_session)
        with pytest.raises(sa.exc.IntegrityError) as raised:
            add(app_session, room=None)  # type: ignore[arg-type]
    assert KEY not in str(raised.value)
    assert KEY not in caplog.text


def test_url_is_hidden_in_the_reason_of_a_failure(app_session: Session) -> None:
    target = add(app_session)
    message = f"could not connect to {URL}; key {KEY} refused"
    failed = set_target_status(app_session, target.id, RestreamStatus.FAILED, error=message)
    assert failed.error == "could not connect to ***; key *** refused"


@pytest.mark.parametrize("status", OVER)
def test_target_ends_when_it_first_fails_or_stops(
    app_session: Session, status: RestreamStatus
) -> None:
    target = add(app_session)
    ended = set_target_status(app_session, target.id, status, now=NOON + HOUR)
    assert (ended.status, ended.ended_at) == (status, NOON + HOUR)
    again = set_target_status(app_session, target.id, status, now=NOON + 2 * HOUR)
    assert again.ended_at == NOON + HOUR


@pytest.mark.parametrize("status", OPEN)
def test_target_that_goes_on_has_no_end_and_no_error(
    app_session: Session, status: RestreamStatus
) -> None:
    target = add(app_session)
    set_target_status(app_session, target.id, RestreamStatus.FAILED, error="refused")
    going = set_target_status(app_session, target.id, status)
    assert (going.status, going.error, going.ended_at) == (status, None, None)


def test_retries_are_counted_and_open_the_target(app_session: Session) -> None:
    """The reason of the last failure stays to be seen."""
    target = add(app_session)
    set_target_status(app_session, target.id, RestreamStatus.FAILED, error="refused")
    count_target_retry(app_session, target.id)
    again = count_target_retry(app_session, target.id)
    assert (again.retries, again.status, again.ended_at) == (2, RestreamStatus.STARTING, None)
    assert again.error == "refused"


def test_targets_are_listed_by_room_and_status(app_session: Session) -> None:
    first, second, third = add(app_session), add(app_session, "foyer"), add(app_session)
    set_target_status(app_session, third.id, RestreamStatus.ACTIVE)
    ids = [
        [target.id for target in list_targets(app_session, room=room, status=status)]
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
    set_target_egress(app_session, new.id, "EG_1")
    found = find_target_by_egress(app_session, "EG_1")
    assert found is not None
    assert found.id == new.id != old.id
    assert find_target_by_egress(app_session, "EG_2") is None


def test_deleted_target_is_gone_with_its_url(app_session: Session) -> None:
    target = add(app_session)
    delete_target(app_session, target.id)
    assert list_targets(app_session) == []


@pytest.mark.parametrize(
    "call",
    [
        get_target,
        get_target_url,
        delete_target,
        count_target_retry,
        lambda session, number: set_target_egress(session, number, None),
        lambda session, number: set_target_status(session, number, RestreamStatus.ACTIVE),
        lambda session, number: set_target_status(
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
            lambda: find_target_by_egress(app_session, "EG_1"),
            lambda: list_targets(app_session, room="stage"),
            lambda: list_targets(app_session, status=RestreamStatus.ACTIVE),
            lambda: set_target_status(app_session, target.id, RestreamStatus.ACTIVE),
        )
    )
    found = "SEARCH restream_targets USING "
    assert egress == f"{found}INDEX idx_restream_targets_egress (egress_id=?)"
    assert room == f"{found}INDEX idx_restream_targets_room (room=?)"
    assert status == f"{found}INDEX idx_restream_targets_status (status=?)"
    assert one == f"{found}INTEGER PRIMARY KEY (rowid=?)"

"""Sign-ins: in force until they are revoked, too old, or their user is not active any more."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.global_db import UserSession
from streamhub_orm.services import sign_ins, users
from streamhub_orm.testing.checks import assert_uses_index
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.global_db import User

NOW = datetime(2026, 1, 31, 12, 0, 30, 250_000, tzinfo=UTC)


@pytest.fixture
def ann(global_session: Session) -> User:
    return users.create(global_session, "ann@example.org", is_superadmin=True)


def sign(session: Session, user: User, now: datetime = NOW) -> str:
    return sign_ins.create(session, user, ip="192.0.2.7", user_agent="Browser", now=now).id


def row_of(session: Session, session_id: str) -> dict[str, object]:
    return stored.row_of(session, UserSession, id=session_id)


def store(session: Session, session_id: str, **values: object) -> None:
    stored.store(session, UserSession, {"id": session_id}, **values)


def test_sign_in_is_stored_in_the_formats_of_the_field(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    assert re.fullmatch(r"[A-Za-z0-9_-]{24}", session_id)
    assert row_of(global_session, session_id) == {
        "id": session_id,
        "user_id": ann.id,
        "email": "ann@example.org",
        "ip": "192.0.2.7",
        "user_agent": "Browser",
        "created_at": "2026-01-31T12:00:30.250Z",
        "last_seen": "2026-01-31 12:00:30",
        "revoked_at": None,
    }


def test_active_session_says_who_acts_and_shows_no_id(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    found = sign_ins.find_active(global_session, session_id, now=NOW)
    assert found == sign_ins.SignIn(
        ann.id, "ann@example.org", is_superadmin=True, created_at=NOW, touch_due=False
    )
    assert session_id not in repr(found)


def test_unknown_session_is_none(global_session: Session, ann: User) -> None:
    sign(global_session, ann)
    assert sign_ins.find_active(global_session, "nope") is None
    assert sign_ins.find_active(global_session, "") is None


def test_revoked_session_is_none_at_once(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    assert sign_ins.revoke(global_session, session_id, now=NOW)
    assert sign_ins.find_active(global_session, session_id, now=NOW) is None
    assert row_of(global_session, session_id)["revoked_at"] == "2026-01-31 12:00:30"


def test_revoke_again_keeps_the_time_of_the_first(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    sign_ins.revoke(global_session, session_id, now=NOW)
    assert not sign_ins.revoke(global_session, session_id, now=NOW + timedelta(1))
    assert not sign_ins.revoke(global_session, "nope")
    assert row_of(global_session, session_id)["revoked_at"] == "2026-01-31 12:00:30"


def test_session_of_a_pending_user_is_none(global_session: Session, ann: User) -> None:
    """No other status keeps anybody out, as with passwords."""
    session_id = sign(global_session, ann)
    for status in ("pending", "disabled"):
        ann.status = status
        found = sign_ins.find_active(global_session, session_id, now=NOW)
        assert (found is None) is (status == "pending")


def test_session_of_a_user_who_is_gone_is_none(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    global_session.execute(sa.text("DELETE FROM users"))
    assert sign_ins.find_active(global_session, session_id, now=NOW) is None


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.250Z"])
@pytest.mark.parametrize(("age", "active"), [(59, True), (61, False)])
def test_session_ends_at_its_greatest_age_in_either_format(
    global_session: Session, ann: User, form: str, age: int, *, active: bool
) -> None:
    session_id = sign(global_session, ann)
    store(global_session, session_id, created_at=(NOW - timedelta(minutes=age)).strftime(form))
    found = sign_ins.find_active(global_session, session_id, max_age=timedelta(hours=1), now=NOW)
    assert (found is not None) is active
    assert sign_ins.find_active(global_session, session_id, now=NOW) is not None


@pytest.mark.files
def test_session_without_a_time_is_none(global_session: Session, ann: User) -> None:
    session_id = sign(global_session, ann)
    store(global_session, session_id, created_at="nonsense")
    assert sign_ins.find_active(global_session, session_id, now=NOW) is None


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.250Z"])
@pytest.mark.parametrize(("age", "due"), [(30, False), (61, True)])
def test_last_seen_is_written_once_a_minute(
    global_session: Session, ann: User, form: str, age: int, *, due: bool
) -> None:
    session_id = sign(global_session, ann)
    store(global_session, session_id, last_seen=(NOW - timedelta(seconds=age)).strftime(form))
    found = sign_ins.find_active(global_session, session_id, now=NOW)
    assert found is not None
    assert found.touch_due is due
    assert sign_ins.touch(global_session, session_id, now=NOW) is due
    assert sign_ins.touch(global_session, session_id, now=NOW) is False


def test_find_active_searches_the_primary_key(global_session: Session) -> None:
    statement = sign_ins._FIND_ACTIVE.statement
    for index in ("pk_sessions", "pk_users"):
        assert_uses_index(global_session, statement, index, {"session": "x"})


def test_list_shows_the_newest_first_in_both_formats(global_session: Session, ann: User) -> None:
    """As text, the one in the SQL format would come last."""
    bob = users.create(global_session, "bob@example.org")
    sign(global_session, bob)
    first, second, third = (sign(global_session, ann) for _ in range(3))
    store(global_session, first, created_at="2026-01-31T08:00:00.000Z")
    store(global_session, second, created_at="2026-01-31 12:00:00")
    store(global_session, third, created_at="2026-01-31T10:00:00.000Z")
    listed = [it.id for it in sign_ins.list_(global_session, ann.id)]
    assert listed == [second, third, first]
    sign_ins.revoke(global_session, third)
    assert [it.id for it in sign_ins.list_(global_session, ann.id)] == [second, first]
    everything = sign_ins.list_(global_session, ann.id, with_revoked=True)
    assert [it.id for it in everything] == listed
    assert second not in repr(everything)


def test_list_searches_the_index_of_the_user(global_session: Session) -> None:
    assert_uses_index(
        global_session, lambda: sign_ins.list_(global_session, "u"), "idx_sessions_user"
    )


def test_sign_out_everywhere_but_here(global_session: Session, ann: User) -> None:
    bob = users.create(global_session, "bob@example.org")
    here, there, elsewhere = (sign(global_session, ann) for _ in range(3))
    of_bob = sign(global_session, bob)
    sign_ins.revoke(global_session, elsewhere)
    assert sign_ins.revoke_all(global_session, ann.id, keep=here, now=NOW) == 1
    found = [sign_ins.find_active(global_session, it, now=NOW) for it in (here, there, of_bob)]
    assert [it is not None for it in found] == [True, False, True]
    assert sign_ins.revoke_all(global_session, ann.id, now=NOW) == 1
    assert sign_ins.find_active(global_session, here, now=NOW) is None

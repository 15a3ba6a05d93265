"""Sign-ins: the browsers that act for users.

All functions take a session on the global database. The id of a sign-in is what the browser holds,
so it is a secret: 18 random bytes in base64url. Nothing of the table ends a sign-in but its being
revoked; the Node core's tokens for one are good for twelve hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import StoredValueError
from streamhub_orm.global_db import User, UserSession
from streamhub_orm.schema import as_stored, comparable, is_storable, utc_from_text, utc_now
from streamhub_orm.services.bearers import LastUse, is_due, new_secret
from streamhub_orm.services.core import PointQuery, table_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session

__all__ = [
    "SignIn",
    "create",
    "find_active",
    "list_",
    "revoke",
    "revoke_all",
    "touch",
]

_SESSIONS: Final = table_of(UserSession)
_USERS: Final = table_of(User)
_FIND_ACTIVE: Final = PointQuery(
    sa.select(
        _USERS.c.id,
        _USERS.c.email,
        _USERS.c.is_superadmin,
        as_stored(_SESSIONS.c.created_at).label("created_at"),
        as_stored(_SESSIONS.c.last_seen).label("last_seen"),
    )
    .select_from(_SESSIONS.join(_USERS, _USERS.c.id == _SESSIONS.c.user_id))
    .where(
        _SESSIONS.c.id == sa.bindparam("session"),
        _SESSIONS.c.revoked_at.is_(None),
        _USERS.c.status != sa.literal_column("'pending'"),
    ),
    "session",
)
_ID_BYTES: Final = 18
_LAST_SEEN: Final = LastUse(_SESSIONS, "last_seen")


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that is in force, and the user who acts by it. It holds no secret."""

    user_id: str
    email: str | None
    is_superadmin: bool
    created_at: datetime
    touch_due: bool
    """Its last use is to be written with `touch`."""


def create(
    session: Session,
    user: User,
    *,
    ip: str | None = None,
    user_agent: str | None = None,
    now: datetime | None = None,
) -> UserSession:
    """Sign a user in; the row's id is for the browser alone."""
    moment = now or utc_now()
    signed_in = UserSession(
        id=new_secret(_ID_BYTES),
        user_id=user.id,
        email=user.email,
        ip=ip,
        user_agent=user_agent,
        created_at=moment,
        last_seen=moment,
    )
    session.add(signed_in)
    session.flush()
    return signed_in


def find_active(
    session: Session,
    session_id: str,
    *,
    max_age: timedelta | None = None,
    now: datetime | None = None,
) -> SignIn | None:
    """Return who acts, or None where the sign-in is unknown, revoked or older than `max_age`.

    It is None too where the user no longer exists, or is pending. A
    `read_only` session is enough; where `touch_due` is set, `touch` is to follow.
    """
    found = _FIND_ACTIVE.first(session, session_id) if is_storable(session_id) else None
    if found is None:
        return None
    user_id, email, is_superadmin, stored, last_seen = found
    moment = now or utc_now()
    try:
        created_at = utc_from_text(stored)
    except StoredValueError:
        return None
    if max_age is not None and moment - created_at > max_age:
        return None
    return SignIn(user_id, email, bool(is_superadmin), created_at, is_due(last_seen, moment))


def touch(session: Session, session_id: str, *, now: datetime | None = None) -> bool:
    """Write the last use where the stored one is older than a minute; tell whether it was."""
    return _LAST_SEEN.move(session, session_id, now or utc_now())


def revoke(session: Session, session_id: str, *, now: datetime | None = None) -> bool:
    """Sign out; tell whether the sign-in was in force until now."""
    return _revoke(session, _SESSIONS.c.id == session_id, now) > 0


def revoke_all(
    session: Session, user_id: str, *, keep: str | None = None, now: datetime | None = None
) -> int:
    """Sign a user out everywhere, but for the sign-in `keep`; return how many were in force.

    It is due after a change of password.
    """
    theirs = _SESSIONS.c.user_id == user_id
    return _revoke(session, theirs if keep is None else theirs & (_SESSIONS.c.id != keep), now)


def list_(session: Session, user_id: str, *, with_revoked: bool = False) -> list[UserSession]:
    """List a user's sign-ins, the newest first."""
    statement = sa.select(UserSession).where(UserSession.user_id == user_id)
    if not with_revoked:
        statement = statement.where(UserSession.revoked_at.is_(None))
    newest_first = statement.order_by(comparable(UserSession.created_at).desc(), UserSession.id)
    return list(session.scalars(newest_first))


def _revoke(session: Session, which: sa.ColumnElement[bool], now: datetime | None) -> int:
    in_force = _SESSIONS.c.revoked_at.is_(None)
    statement = sa.update(UserSession).where(which, in_force).values(revoked_at=now or utc_now())
    revoked: sa.CursorResult[tuple[()]] = session.execute(statement)  # type: ignore[assignment]
    return revoked.rowcount

"""People with an account: found by id, or by e-mail address without case.

All functions take a session on the global database, but for `authenticate`. The id of a new user is
`usr_` and a random UUID.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

import sqlalchemy as sa

from streamhub_orm.errors import (
    EmailTakenError,
    PasswordHashError,
    StoredValueError,
    UnknownUserError,
)
from streamhub_orm.global_db import User
from streamhub_orm.schema import is_storable, without_case
from streamhub_orm.services import memberships, passwords, sign_ins
from streamhub_orm.services.core import get_row
from streamhub_orm.services.emails import is_odd, normal, normal_of, raw, require_email

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases

__all__ = [
    "ACTIVE",
    "PENDING",
    "UserChanges",
    "authenticate",
    "create",
    "delete",
    "find_by_email",
    "get",
    "list_",
    "update",
]

ACTIVE: Final = "active"
PENDING: Final = "pending"
"""The status of a user who was invited and has not come yet: the one that keeps people out."""

_EMAIL: Final = sa.bindparam("email", type_=sa.Text)
_FIRST_MADE: Final = sa.literal_column("users.rowid", sa.Integer)
_FIND_BY_EMAIL: Final = (
    sa.select(User)
    .where(without_case(User.email) == without_case(_EMAIL))
    .order_by(_FIRST_MADE)
    .limit(sa.literal_column("1"))
)
"""The user whom the Node core finds: A to Z count as a to z, and of several the first one made."""
_FIND_ODD: Final = (
    sa.select(raw(User.email), User.id).where(is_odd(User.email)).order_by(_FIRST_MADE)
)
"""The addresses in a form that the core may never find."""


class UserChanges(TypedDict, total=False):
    """The columns of a user that can be changed."""

    email: str
    name: str | None
    password_hash: str | None
    """The text that `passwords.hash_` returned, which makes the user active; None takes the
    password away."""
    is_superadmin: bool
    status: str
    """`ACTIVE` or `PENDING`: by any other the Node core would keep nobody out."""


def create(  # noqa: PLR0913 - the columns of an account
    session: Session,
    email: str,
    *,
    name: str | None = None,
    password_hash: str | None = None,
    is_superadmin: bool = False,
    status: str = ACTIVE,
) -> User:
    """Add a user; `password_hash` is what `passwords.hash_` returned, None is no password.

    The address is kept in its normal form. Raises `EmailError`, `EmailTakenError` where anybody has
    it in any form, `PasswordHashError`, and `StoredValueError` for a status that there is not.
    """
    user = User(
        id=f"usr_{uuid.uuid4()}",
        email=_free_email(session, email),
        name=name,
        password_hash=_checked_hash(password_hash),
        is_superadmin=is_superadmin,
        status=_checked_status(status),
    )
    session.add(user)
    session.flush()
    return user


def get(session: Session, user_id: str) -> User:
    """Return the user. Raises `UnknownUserError`."""
    return get_row(session, User, user_id, UnknownUserError)


def find_by_email(session: Session, email: str) -> User | None:
    """Return the user with this e-mail address in any case, or None.

    A row that holds it in another form, in upper case beyond A to Z or with blanks around it, is
    found where no other is.
    """
    if not is_storable(email):
        return None
    wanted = normal(email)
    found = session.scalars(_FIND_BY_EMAIL, {"email": wanted}).one_or_none()
    if found is not None:
        return found
    for stored, user_id in session.execute(_FIND_ODD):
        if normal_of(stored) == wanted:
            return session.get(User, user_id)
    return None


def list_(session: Session) -> list[User]:
    """List all users by e-mail address, those without one first."""
    order = (without_case(User.email).nulls_first(), User.id)
    return list(session.scalars(sa.select(User).order_by(*order)))


def update(session: Session, user_id: str, **changes: Unpack[UserChanges]) -> User:
    """Change what is given of a user.

    A password makes the user active, unless a status is given too. Sign-ins stay in force;
    `sign_ins.revoke_all` ends them after a change of password. Raises as `create` does, and
    `UnknownUserError`.
    """
    user = get(session, user_id)
    if "email" in changes:
        changes["email"] = _free_email(session, changes["email"], user)
    if "password_hash" in changes:
        changes["password_hash"] = _checked_hash(changes["password_hash"])
        if changes["password_hash"] is not None:
            changes.setdefault("status", ACTIVE)
    if "status" in changes:
        changes["status"] = _checked_status(changes["status"])
    for column, value in changes.items():
        setattr(user, column, value)
    session.flush()
    return user


def delete(session: Session, user_id: str, *, now: datetime | None = None) -> None:
    """Delete a user with the memberships, and end the sign-ins.

    Raises `UnknownUserError`, and `LastOwnerError` where a tenant would be left without an owner.
    """
    user = get(session, user_id)
    memberships.require_no_last_ownership(session, user_id)
    sign_ins.revoke_all(session, user_id, now=now)
    session.delete(user)
    session.flush()


def authenticate(databases: Databases, email: str, password: str) -> User | None:
    """Return the user with this address and password, or None; both take the same time.

    A pending user is None too; no other status keeps anybody out. The user is detached from any
    session, and none is open while the password is hashed. `totp.refusal` tells whether a second
    factor is due.
    """
    with databases.global_session(read_only=True) as session:
        user = find_by_email(session, email)
        if user is not None:
            session.expunge(user)
    is_right = passwords.verify(password, None if user is None else user.password_hash)
    return user if user is not None and is_right and user.status != PENDING else None


def _free_email(session: Session, email: str, owner: User | None = None) -> str:
    wanted = require_email(email)
    found = find_by_email(session, wanted)
    if found is not None and found is not owner:
        raise EmailTakenError(wanted, found.id)
    return wanted


def _checked_status(status: str) -> str:
    if status not in (ACTIVE, PENDING):
        expected = "the status active or pending"
        raise StoredValueError(expected, status)
    return status


def _checked_hash(password_hash: str | None) -> str | None:
    """Refuse a password that was not hashed, before it reaches a file."""
    if password_hash is not None and not passwords.is_hash(password_hash):
        raise PasswordHashError
    return password_hash

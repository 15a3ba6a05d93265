"""Links by e-mail that let people in once: those that they asked for, and invitations.

The link carries a token of 32 random bytes in base64url; stored is its SHA-256 in hex. All
functions take a session on the global database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import StoredValueError, TooManyLinksError
from streamhub_orm.global_db import PLATFORM_TENANT, MagicToken, Role, User
from streamhub_orm.schema import (
    TimeRange,
    as_stored,
    comparable,
    utc_from_text,
    utc_now,
    without_case,
)
from streamhub_orm.services import memberships, passwords, tenants, totp, users
from streamhub_orm.services.bearers import hash_of, new_secret
from streamhub_orm.services.core import table_of
from streamhub_orm.services.emails import is_odd, normal, normal_of, raw, require_email

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.services.totp import TotpKey

__all__ = [
    "LIFETIMES",
    "WINDOWS",
    "CountedBy",
    "LinkClaim",
    "LinkKind",
    "LinkRefusal",
    "MagicLink",
    "RateWindow",
    "claim",
    "issue",
    "purge",
    "request",
    "use_up",
]


class LinkKind(StrEnum):
    """Purpose of a link. A claim makes no difference."""

    LOGIN = "login"
    INVITE = "invite"


LIFETIMES: Final = {LinkKind.LOGIN: timedelta(minutes=15), LinkKind.INVITE: timedelta(hours=72)}


class CountedBy(StrEnum):
    """The column that a window counts by."""

    EMAIL = "email"
    """In any form in which it may be stored."""
    IP = "ip"
    """Not counted where no address is known."""


@dataclass(frozen=True, slots=True)
class RateWindow:
    """At most `limit` links that somebody asked for within a time; invitations do not count."""

    by: CountedBy
    limit: int
    within: timedelta


WINDOWS: Final = (
    RateWindow(CountedBy.EMAIL, 1, timedelta(seconds=60)),
    RateWindow(CountedBy.EMAIL, 3, timedelta(minutes=15)),
    RateWindow(CountedBy.IP, 10, timedelta(minutes=15)),
)
"""The Node core's. A link whose e-mail could not be sent counts too."""


@dataclass(frozen=True, slots=True)
class MagicLink:
    """A new link. Its token is here and nowhere else; repr() does not show it."""

    id: int
    email: str
    kind: LinkKind
    expires_at: datetime
    token: str = field(repr=False)


class LinkRefusal(StrEnum):
    """The reason why a link lets nobody in.

    The first three are for the log: a person is told to ask for a new link. After the others the
    same link can be claimed again, with a code.
    """

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    TOTP_REQUIRED = "totp_required"
    TOTP_INVALID = "totp_invalid"


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """The outcome of a claim: true for the one that lets its bearer in."""

    refusal: LinkRefusal | None
    email: str | None = None
    """Whose mailbox the link was sent to."""
    user_id: str | None = None
    """Whom the link signs in; `sign_ins.create` is to follow."""

    def __bool__(self) -> bool:
        """Tell whether the link lets its bearer in."""
        return self.refusal is None


_LINKS: Final = table_of(MagicToken)
_FIND: Final = sa.select(
    *_LINKS.c["id", "email", "used"],
    as_stored(_LINKS.c.expires_at).label("expires_at"),
).where(_LINKS.c.token_hash == sa.bindparam("hash"))


def request(
    session: Session,
    email: str,
    *,
    ip: str | None = None,
    windows: Sequence[RateWindow] = WINDOWS,
    now: datetime | None = None,
) -> MagicLink:
    """Make a link to be sent to `email`, on behalf of somebody at the address `ip`.

    Whether anybody has this e-mail address is not looked at: who asks must not learn it. Raises
    `EmailError`, and `TooManyLinksError`, with nothing stored, where a window is full: who asks
    again after the time that it tells is let in, unless others asked meanwhile.
    """
    moment = now or utc_now()
    wanted = require_email(email)
    full = [
        (wait, window)
        for window in windows
        if (wait := _wait_seconds(session, window, wanted, ip, moment))
    ]
    if full:
        wait, window = max(full, key=itemgetter(0))
        raise TooManyLinksError(window.by, window.limit, wait)
    return issue(session, wanted, LinkKind.LOGIN, ip=ip, now=moment)


def issue(
    session: Session,
    email: str,
    kind: LinkKind,
    *,
    ip: str | None = None,
    now: datetime | None = None,
) -> MagicLink:
    """Make a link without regard to any window. Raises `EmailError`."""
    moment = now or utc_now()
    token = new_secret()
    link = MagicToken(
        token_hash=hash_of(token),
        email=require_email(email),
        request_ip=ip,
        created_at=moment,
        expires_at=moment + LIFETIMES[kind],
        kind=kind,
    )
    session.add(link)
    session.flush()
    return MagicLink(link.id, link.email, kind, link.expires_at, token)


def claim(  # noqa: PLR0913 - what a sign-in depends on
    session: Session,
    token: str,
    *,
    code: str | None = None,
    key: TotpKey | None = None,
    superadmin_email: str | None = None,
    now: datetime | None = None,
) -> LinkClaim:
    """Use a link up, of whatever kind. However many claim it at once, one of them is let in.

    Where a second factor is due, `code` is looked at before the link is used (`key` as in `totp`).
    A pending user becomes active, a new address gets a user, and whoever has no team gets one. The
    mailbox `superadmin_email` is that of the user `admin`. Raises `TotpSecretError`.
    """
    moment = now or utc_now()
    values = {"hash": hash_of(token.strip())}
    found = session.connection().execute(_FIND, values).one_or_none()
    if found is None:
        return LinkClaim(LinkRefusal.UNKNOWN)
    refusal = _refusal(found.expires_at, moment, used=found.used)
    if refusal is not None:
        return LinkClaim(refusal, found.email)
    is_admin = superadmin_email is not None and normal(found.email) == normal(superadmin_email)
    holder = users.find_by_email(session, found.email)
    for user in (holder, session.get(User, tenants.ADMIN) if is_admin else None):
        due = None if user is None else totp.refusal(user, code, key=key, now=moment)
        if due is not None:
            return LinkClaim(LinkRefusal(due.value), found.email)
    # Once more, for a database whose sessions do not exclude each other.
    open_one = (_LINKS.c.id == found.id) & (_LINKS.c.used == sa.false())
    if _mark_used(session, open_one, moment) == 0:
        return LinkClaim(LinkRefusal.USED, found.email)
    if is_admin:
        user = tenants.ensure_admin(session, normal(found.email))
        memberships.add(session, PLATFORM_TENANT, user.id, Role.OWNER)
    else:
        user = _welcomed(session, found.email, holder)
    return LinkClaim(None, found.email, user.id)


def use_up(session: Session, email: str, kind: LinkKind, *, now: datetime | None = None) -> int:
    """Mark the open links of a kind to an e-mail address as used; return how many."""
    wanted = normal(email)
    is_open = (_LINKS.c.kind == kind) & (_LINKS.c.used == sa.false())
    may_be = _may_be(wanted) & is_open
    rows = session.connection().execute(sa.select(_LINKS.c.id, raw(_LINKS.c.email)).where(may_be))
    ids = [link_id for link_id, stored in rows if normal_of(stored) == wanted]
    return _mark_used(session, _LINKS.c.id.in_(ids), now or utc_now())


def purge(session: Session, *, before: datetime) -> int:
    """Delete the links that were asked for before a time, used or not; return how many.

    The rate windows count what is stored, so leave those of the longest window.
    """
    old = TimeRange(until=before).within(_LINKS.c.created_at)
    return session.connection().execute(sa.delete(_LINKS).where(old)).rowcount


def _welcomed(session: Session, email: str, holder: User | None) -> User:
    """Return the user of a mailbox, who can act from now on."""
    # NULL for a password would let others sign up for the account.
    user = holder or users.create(session, email, password_hash=passwords.unknown_hash())
    if user.status == users.PENDING:
        user.status = users.ACTIVE
    tenants.ensure_team(session, user)
    return user


def _refusal(expires_at: str, now: datetime, *, used: bool) -> LinkRefusal | None:
    """Return why a link is no good any more; an end that is no time has come."""
    try:
        has_ended = utc_from_text(expires_at) <= now
    except StoredValueError:
        has_ended = True
    return LinkRefusal.USED if used else LinkRefusal.EXPIRED if has_ended else None


def _mark_used(session: Session, which: sa.ColumnElement[bool], now: datetime) -> int:
    statement = sa.update(_LINKS).where(which).values(used=True, used_at=now)
    return session.connection().execute(statement).rowcount


def _may_be(email: str) -> sa.ColumnElement[bool]:
    """Return the condition that a link may be one to an e-mail address."""
    return (without_case(_LINKS.c.email) == without_case(sa.literal(email))) | is_odd(
        _LINKS.c.email
    )


def _wait_seconds(
    session: Session, window: RateWindow, email: str, ip: str | None, now: datetime
) -> int:
    """Return whole seconds after which the window surely has room again; 0 where it has now."""
    if window.by is CountedBy.IP and ip is None:
        return 0
    key = _may_be(email) if window.by is CountedBy.EMAIL else _LINKS.c.request_ip == ip
    rows = session.connection().execute(_made_within(window, key, now))
    made = [at for at, stored in rows if window.by is CountedBy.IP or normal_of(stored) == email]
    if len(made) < window.limit:
        return 0
    frees_up_at = utc_from_text(made[-window.limit]) + window.within if window.limit else None
    wait = frees_up_at - now if frees_up_at else window.within
    return math.floor(wait.total_seconds()) + 1  # its end still counts


def _made_within(
    window: RateWindow, key: sa.ColumnElement[bool], now: datetime
) -> sa.Select[str, bytes]:
    """Return the statement that lists when the links of a window were asked for, oldest first."""
    recent = TimeRange(since=now - window.within).within(_LINKS.c.created_at)
    return (
        sa.select(as_stored(_LINKS.c.created_at), raw(_LINKS.c.email))
        .where(recent, _LINKS.c.kind == LinkKind.LOGIN, key)
        .order_by(comparable(_LINKS.c.created_at))
    )

"""Links by e-mail that let people in once.

The link carries a token of 32 random bytes in base64url; stored is its SHA-256 in hex. All
functions take a session on the global database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import TooManyLinksError
from streamhub_orm.global_db import MagicToken
from streamhub_orm.schema import TimeRange, comparable, utc_from_text, utc_now
from streamhub_orm.services.bearers import hash_of, new_secret
from streamhub_orm.services.core import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "LIFETIME",
    "LOGIN",
    "WINDOWS",
    "CountedBy",
    "LinkClaim",
    "LinkRefusal",
    "MagicLink",
    "RateWindow",
    "claim",
    "purge",
    "request",
]

LIFETIME: Final = timedelta(minutes=15)
LOGIN: Final = "login"
"""The kind of link that signs people in."""


class CountedBy(StrEnum):
    """The column that a window counts by."""

    EMAIL = "email"
    """Without case, as far as A to Z go."""
    IP = "ip"
    """Not counted where no address is known."""


@dataclass(frozen=True, slots=True)
class RateWindow:
    """At most `limit` links, of all kinds, within a time."""

    by: CountedBy
    limit: int
    within: timedelta


WINDOWS: Final = (
    RateWindow(CountedBy.EMAIL, 5, timedelta(minutes=15)),
    RateWindow(CountedBy.IP, 20, timedelta(hours=1)),
)
"""Enough for people who mistype, too few to flood a mailbox."""


@dataclass(frozen=True, slots=True)
class MagicLink:
    """A new link. Its token is here and nowhere else; repr() does not show it."""

    id: int
    email: str
    kind: str
    expires_at: datetime
    token: str = field(repr=False)


class LinkRefusal(StrEnum):
    """The reason why a link lets nobody in, for the log. A person is told to ask for a new one."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """The outcome of a claim: true for the one that lets its bearer in."""

    refusal: LinkRefusal | None
    email: str | None = None
    """Whose mailbox the link was sent to."""

    def __bool__(self) -> bool:
        """Tell whether the link lets its bearer in."""
        return self.refusal is None


_LINKS: Final = table_of(MagicToken)
_BY: Final = {
    CountedBy.EMAIL: _LINKS.c.email.collate("NOCASE"),
    CountedBy.IP: _LINKS.c.request_ip,
}
_MINE: Final = (_LINKS.c.token_hash == sa.bindparam("hash")) & (
    _LINKS.c.kind == sa.bindparam("link_kind")
)
_EXPIRES_AT: Final = sa.type_coerce(_LINKS.c.expires_at, sa.Text)
# A stored text that is no time never counts as the future; SQLite takes plain numbers for times.
_LIVE: Final = sa.and_(
    TimeRange(since=datetime(1970, 1, 1, tzinfo=UTC)).within(_LINKS.c.expires_at),
    _EXPIRES_AT.op("GLOB")(sa.literal_column("'????-??-??[T ]*'")),
    sa.func.julianday(_EXPIRES_AT).is_not(None),
)
_CLAIM: Final = (
    sa.update(_LINKS)
    .where(_MINE, _LINKS.c.used == sa.literal_column("0"), _LIVE)
    .values(used=sa.literal_column("1"), used_at=sa.bindparam("present"))
)
"""One statement looks and marks, so of two claims the second one finds nothing to mark."""
_LOOK: Final = sa.select(_LINKS.c.email, _LINKS.c.used).where(_MINE)


def request(  # noqa: PLR0913 - each is a choice of the caller
    session: Session,
    email: str,
    *,
    ip: str | None = None,
    kind: str = LOGIN,
    lifetime: timedelta = LIFETIME,
    windows: Sequence[RateWindow] = WINDOWS,
    now: datetime | None = None,
) -> MagicLink:
    """Make a link to be sent to `email`, on behalf of somebody at the address `ip`.

    Whether anybody has this e-mail address is not looked at: who asks must not learn it. Raises
    `TooManyLinksError`, and nothing is stored, where a window is full: who asks again after the
    time that it tells is let in, unless others asked meanwhile.
    """
    moment = now or utc_now()
    wanted = email.strip()
    keys = {CountedBy.EMAIL: wanted, CountedBy.IP: ip}
    full = [
        (wait, window)
        for window in windows
        if (wait := _wait_seconds(session, window, keys[window.by], moment))
    ]
    if full:
        wait, window = max(full, key=itemgetter(0))
        raise TooManyLinksError(window.by, window.limit, wait)
    token = new_secret()
    link = MagicToken(
        token_hash=hash_of(token),
        email=wanted,
        request_ip=ip,
        created_at=moment,
        expires_at=moment + lifetime,
        kind=kind,
    )
    session.add(link)
    session.flush()
    return MagicLink(link.id, wanted, kind, moment + lifetime, token)


def claim(
    session: Session, token: str, *, kind: str = LOGIN, now: datetime | None = None
) -> LinkClaim:
    """Use a link up. However many claim it at the same time, one of them is let in.

    A link of another kind is unknown here, and stays as it is.
    """
    moment = now or utc_now()
    mine = {"hash": hash_of(token), "link_kind": kind}
    live = TimeRange(since=moment).parameters(_LINKS.c.expires_at)
    connection = session.connection()
    claimed = connection.execute(_CLAIM, {**mine, **live, "present": moment}).rowcount > 0
    found = connection.execute(_LOOK, mine).one_or_none()
    if found is None:
        return LinkClaim(LinkRefusal.UNKNOWN)
    if claimed:
        return LinkClaim(None, found.email)
    return LinkClaim(LinkRefusal.USED if found.used else LinkRefusal.EXPIRED, found.email)


def purge(session: Session, *, before: datetime) -> int:
    """Delete the links that were asked for before a time, used or not; return how many.

    The rate windows count what is stored, so leave those of the longest window.
    """
    old = TimeRange(until=before).within(_LINKS.c.created_at)
    return session.connection().execute(sa.delete(_LINKS).where(old)).rowcount


def _wait_seconds(session: Session, window: RateWindow, key: str | None, now: datetime) -> int:
    """Return whole seconds after which the window surely has room again; 0 where it has now."""
    if key is None:
        return 0
    made = session.connection().scalars(_made_within(window, key, now)).all()
    if len(made) < window.limit:
        return 0
    frees_up_at = utc_from_text(made[-window.limit]) + window.within if window.limit else None
    wait = frees_up_at - now if frees_up_at else window.within
    return math.floor(wait.total_seconds()) + 1  # its end still counts


def _made_within(window: RateWindow, key: str, now: datetime) -> sa.Select[str]:
    """Return the statement that lists when the links of a window were asked for, oldest first."""
    recent = TimeRange(since=now - window.within).within(_LINKS.c.created_at)
    made_at = sa.type_coerce(_LINKS.c.created_at, sa.Text)
    return (
        sa.select(made_at)
        .where(recent, _BY[window.by] == key)
        .order_by(comparable(_LINKS.c.created_at))
    )

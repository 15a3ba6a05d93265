"""Bans of single addresses for what they did of late, longer with each ban.

All functions take a session on the global database. An IPv4 address is the same whether it comes
as `192.0.2.7` or as `::ffff:192.0.2.7`, and whichever of the two is stored.

A Node core that runs beside holds the active bans in memory. One that is made here keeps nobody
out there until it is restarted. One that is changed or lifted here it writes back within a minute:
lift it by the core's API, or while the core is stopped.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.global_db import IpAction, IpBan
from streamhub_orm.schema import TimeRange, utc_now
from streamhub_orm.services import ip_rules
from streamhub_orm.services.addresses import is_private, parse_address
from streamhub_orm.services.core import connection_of
from streamhub_orm.settings import AccessSettings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.services.addresses import Address
    from streamhub_orm.services.ip_rules import IpRules

__all__ = [
    "FIRST",
    "HISTORY",
    "LONGEST",
    "Offence",
    "Offences",
    "ban",
    "find",
    "find_end",
    "lift",
    "list_",
    "purge",
]

FIRST: Final = AccessSettings().first_ban
"""The time of a first ban."""
LONGEST: Final = timedelta(days=7)
"""The longest time of a ban."""
HISTORY: Final = timedelta(days=7)
"""The time for which a ban that has ended is kept: a next one within it is longer."""
_MOST_ADDRESSES: Final = 10_000
_MOST_DOUBLINGS: Final = 20

_OF_ADDRESS: Final = IpBan.ip.in_([sa.bindparam("plain"), sa.bindparam("mapped")])
_FIND: Final = sa.select(IpBan).where(_OF_ADDRESS)
_FIND_END: Final = sa.select(IpBan.banned_until).where(_OF_ADDRESS)


class Offence(StrEnum):
    """Offence of an address, as the Node core words it."""

    LOGIN_FAILED = "login_failed"
    MAGIC_VERIFY_FAILED = "magic_verify_failed"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a word
    RATE_LIMITED = "rate_limited"
    NOT_FOUND = "not_found"
    """Counted only where `AccessSettings.counts_not_found` says so."""


class Offences:
    """The offences of late, by address; several threads may use one object.

    They are in memory alone, as in the Node core, and of 10,000 addresses at most: those that
    offended first are forgotten first.
    """

    def __init__(self, settings: AccessSettings) -> None:
        """Count nothing yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._times: OrderedDict[Address, deque[datetime]] = OrderedDict()

    def record(
        self,
        session: Session,
        ip: str,
        offence: Offence,
        *,
        rules: IpRules | None = None,
        now: datetime | None = None,
    ) -> IpBan | None:
        """Record an offence; return the ban that it led to, and None for most.

        No statement is run, so no lock taken, until an address has offended often enough. Nothing
        is recorded where `settings.autoban` is off, nor of a private address. Done again after a
        conflict of sessions, it counts once more, which changes nothing. Raises `AddressError`.
        """
        moment = now or utc_now()
        address = parse_address(ip)
        is_counted = offence is not Offence.NOT_FOUND or self._settings.counts_not_found
        if not (self._settings.autoban and is_counted) or is_private(address):
            return None
        count = self._count(address, moment)
        if count < self._settings.offences or find(session, ip, now=moment) is not None:
            return None
        made = ban(
            session,
            ip,
            offence,
            offences=count,
            first_ban=self._settings.first_ban,
            rules=rules,
            now=moment,
        )
        if made is not None:
            self.forget(ip)
        return made

    def forget(self, ip: str) -> None:
        """Forget what an address did of late, as after `lift`. Raises `AddressError`."""
        with self._lock:
            self._times.pop(parse_address(ip), None)

    def _count(self, address: Address, now: datetime) -> int:
        """Add an offence, and return how many the address has within the window."""
        with self._lock:
            if address not in self._times and len(self._times) >= _MOST_ADDRESSES:
                self._times.popitem(last=False)
            # A ban takes no more than so many, and an address that is never banned may go on.
            times = self._times.setdefault(address, deque(maxlen=self._settings.offences))
            times.append(now)
            while now - times[0] >= self._settings.window:
                times.popleft()
            return len(times)


def ban(  # noqa: PLR0913 - the columns of a ban
    session: Session,
    ip: str,
    reason: str,
    *,
    offences: int = 1,
    first_ban: timedelta = FIRST,
    rules: IpRules | None = None,
    now: datetime | None = None,
) -> IpBan | None:
    """Ban an address for `first_ban`, and for twice as long each further time, 7 days at most.

    A private address, and one of an allow rule, is never banned: None. Raises `AddressError`.
    """
    moment = now or utc_now()
    address = parse_address(ip)
    if is_private(address):
        return None
    rule = (rules or ip_rules.load(session)).find(address)
    if rule is not None and rule[0] is IpAction.ALLOW:
        return None
    earlier = session.scalars(_FIND, _spellings(address)).all()
    level = max((row.escalation_level + 1 for row in earlier), default=0)
    row = next((row for row in earlier if row.ip == str(address)), None)
    if row is None:
        row = IpBan(
            ip=str(address), first_seen=min((it.first_seen for it in earlier), default=moment)
        )
        session.add(row)
    row.reason = reason
    row.offense_count = offences
    row.escalation_level = level
    until = moment + min(first_ban * 2 ** min(level, _MOST_DOUBLINGS), LONGEST)
    row.banned_until = max([until, *(it.banned_until for it in earlier)])
    session.flush()
    return row


def find(session: Session, ip: str, *, now: datetime | None = None) -> IpBan | None:
    """Return the ban of an address that holds now; None for none, and for one that has ended.

    Raises `AddressError`.
    """
    moment = now or utc_now()
    bans = session.scalars(_FIND, _spellings(parse_address(ip)))
    return next((row for row in bans if row.banned_until > moment), None)


def find_end(session: Session, address: Address) -> datetime | None:
    """Return when the ban of an address ends, or ended; None where it was never banned."""
    found = connection_of(session).execute(_FIND_END, _spellings(address)).scalars()
    return max(found, default=None)


def list_(session: Session, *, now: datetime | None = None) -> list[IpBan]:
    """List the bans that hold now, the one that ends first first."""
    moment = now or utc_now()
    held = TimeRange(since=moment).within(IpBan.banned_until)
    bans = session.scalars(sa.select(IpBan).where(held))
    return sorted(
        (row for row in bans if row.banned_until > moment), key=lambda row: row.banned_until
    )


def lift(session: Session, ip: str) -> bool:
    """Forget an address's bans, so that a next one is its first; tell whether there was one.

    A running Node core that holds the ban in memory keeps the address out, and writes the row back
    within 60 s. It is gone for good where the core is stopped, where the ban has ended, or where
    another than the core made it since the core was started. Raises `AddressError`.
    """
    bans = session.scalars(_FIND, _spellings(parse_address(ip))).all()
    for row in bans:
        session.delete(row)
    session.flush()
    return bool(bans)


def purge(session: Session, *, now: datetime | None = None) -> int:
    """Delete the bans that ended more than seven days ago; return how many."""
    old = TimeRange(until=(now or utc_now()) - HISTORY).within(IpBan.banned_until)
    return connection_of(session).execute(sa.delete(IpBan).where(old)).rowcount


def _spellings(address: Address) -> dict[str, str]:
    """Return how an address may stand in ip_bans: older services stored what their socket gave."""
    mapped = f"::ffff:{address}" if address.version == 4 else str(address)  # noqa: PLR2004 - IPv4
    return {"plain": str(address), "mapped": mapped}

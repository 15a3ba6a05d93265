"""Bans of single addresses for what they did, longer with each offence.

All functions take a session on the global database. An IPv4 address is the same whether it comes
as `192.0.2.7` or as `::ffff:192.0.2.7`, and whichever of the two is stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.global_db import IpBan
from streamhub_orm.schema import TimeRange, utc_now
from streamhub_orm.services.addresses import parse_address
from streamhub_orm.services.core import connection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from streamhub_orm.services.addresses import Address

__all__ = ["DURATIONS", "find", "find_end", "lift", "list_", "record"]

DURATIONS: Final = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=7),
)
"""Durations of the ban for each further offence; the last one holds for all that follow."""

_OF_ADDRESS: Final = IpBan.ip.in_([sa.bindparam("plain"), sa.bindparam("mapped")])
_FIND: Final = sa.select(IpBan).where(_OF_ADDRESS)
_FIND_END: Final = sa.select(IpBan.banned_until).where(_OF_ADDRESS)


def record(
    session: Session,
    ip: str,
    reason: str,
    *,
    durations: Sequence[timedelta] = DURATIONS,
    now: datetime | None = None,
) -> IpBan:
    """Record an offence of an address, and ban it: each further one keeps it out for longer.

    The first takes the first of `durations`, the next one the next, the last one stays. A ban is
    never made shorter by another offence. Raises `AddressError`.
    """
    moment = now or utc_now()
    address = parse_address(ip)
    ban = session.scalars(_FIND, _spellings(address)).first()
    if ban is None:
        ban = IpBan(ip=str(address), first_seen=moment, offense_count=0, escalation_level=-1)
        session.add(ban)
    ban.reason = reason
    ban.offense_count += 1
    ban.escalation_level = min(ban.escalation_level + 1, len(durations) - 1)
    until = moment + durations[ban.escalation_level]
    ban.banned_until = until if ban.offense_count == 1 else max(until, ban.banned_until)
    session.flush()
    return ban


def find(session: Session, ip: str, *, now: datetime | None = None) -> IpBan | None:
    """Return the ban that keeps an address out now; None for none, and for one that has ended.

    Raises `AddressError`.
    """
    moment = now or utc_now()
    bans = session.scalars(_FIND, _spellings(parse_address(ip)))
    return next((ban for ban in bans if ban.banned_until > moment), None)


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
        (ban for ban in bans if ban.banned_until > moment), key=lambda ban: ban.banned_until
    )


def lift(session: Session, ip: str) -> bool:
    """Forget an address's ban and its offences; tell whether there was one.

    Raises `AddressError`.
    """
    bans = session.scalars(_FIND, _spellings(parse_address(ip))).all()
    for ban in bans:
        session.delete(ban)
    session.flush()
    return bool(bans)


def _spellings(address: Address) -> dict[str, str]:
    """Return how an address may stand in ip_bans: the Node core stores what its socket gave."""
    mapped = f"::ffff:{address}" if address.version == 4 else str(address)  # noqa: PLR2004 - IPv4
    return {"plain": str(address), "mapped": mapped}

"""Who is kept out by address: the operator's rules about networks, and bans of single addresses.

Every function takes a global session. An IPv4 address is the same whether it comes as
`192.0.2.7` or as `::ffff:192.0.2.7`, and whichever of the two is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import AddressError
from streamhub_orm.global_db import IpAction, IpBan, IpRule
from streamhub_orm.schema import TimeRange, utc_now
from streamhub_orm.services.addresses import parse_address, parse_network
from streamhub_orm.services.core import connection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from streamhub_orm.services.addresses import Address, Network

RULES: Final = sa.select(IpRule.cidr, IpRule.action).order_by(IpRule.id)
BANNED: Final = sa.select(IpBan.banned_until).where(
    IpBan.ip.in_([sa.bindparam("plain"), sa.bindparam("mapped")])
)
_BAN: Final = sa.select(IpBan).where(IpBan.ip.in_([sa.bindparam("plain"), sa.bindparam("mapped")]))

BAN_DURATIONS: Final = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=7),
)
"""How long each further offence keeps an address out; the last one holds for all that follow."""


class Reason(StrEnum):
    """Why an address is let in or kept out."""

    ALLOW_RULE = "allow-rule"
    BLOCK_RULE = "block-rule"
    BAN = "ban"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Decision:
    """Whether an address is let in, and why."""

    allowed: bool
    reason: Reason
    cidr: str | None = None
    """The network of the rule that decided."""
    banned_until: datetime | None = None


@dataclass(frozen=True)
class IpRules:
    """The rules, read once, to decide about many addresses."""

    networks: tuple[tuple[Network, IpAction], ...]
    malformed: tuple[str, ...] = ()
    """Stored networks that are none; they match nothing, and an operator should correct them."""

    def find(self, address: Address) -> tuple[Network, IpAction] | None:
        """Return the rule for an address: of the smallest network, and of two such, the block."""
        matching = [rule for rule in self.networks if address in rule[0]]
        return max(matching, key=_weight, default=None)


def decide(
    session: Session, ip: str, *, rules: IpRules | None = None, now: datetime | None = None
) -> Decision:
    """Decide about an address: the rule for it comes first, then a ban, else it is let in.

    An address that a rule allows is let in even while it is banned. `rules` saves reading them
    each time. Raises `AddressError` for what is no address.
    """
    address = parse_address(ip)
    rule = (rules or load_rules(session)).find(address)
    if rule is not None:
        network, action = rule
        if action is IpAction.ALLOW:
            return Decision(allowed=True, reason=Reason.ALLOW_RULE, cidr=str(network))
        return Decision(allowed=False, reason=Reason.BLOCK_RULE, cidr=str(network))
    found = connection_of(session).execute(BANNED, _spellings(address)).scalars()
    until = max(found, default=None)
    if until is not None and until > (now or utc_now()):
        return Decision(allowed=False, reason=Reason.BAN, banned_until=until)
    return Decision(allowed=True, reason=Reason.NOTHING)


def load_rules(session: Session) -> IpRules:
    """Read all rules."""
    networks, malformed = [], []
    for cidr, action in connection_of(session).execute(RULES):
        try:
            networks.append((parse_network(cidr), action))
        except AddressError:
            malformed.append(cidr)
    return IpRules(tuple(networks), tuple(malformed))


def add_rule(
    session: Session,
    cidr: str,
    action: IpAction,
    *,
    note: str | None = None,
    created_by: str | None = None,
) -> IpRule:
    """Add a rule about a network or a single address; raises `AddressError`."""
    network = str(parse_network(cidr))
    rule = IpRule(cidr=network, action=action, note=note, created_by=created_by)
    session.add(rule)
    session.flush()
    return rule


def list_rules(session: Session) -> Sequence[IpRule]:
    """Return all rules, oldest first."""
    return session.scalars(sa.select(IpRule).order_by(IpRule.id)).all()


def remove_rule(session: Session, rule_id: int) -> bool:
    """Remove a rule; tell whether there was one."""
    rule = session.get(IpRule, rule_id)
    if rule is not None:
        session.delete(rule)
        session.flush()
    return rule is not None


def record_offense(
    session: Session,
    ip: str,
    reason: str,
    *,
    durations: Sequence[timedelta] = BAN_DURATIONS,
    now: datetime | None = None,
) -> IpBan:
    """Ban an address for what it did; each further offence keeps it out for longer.

    The first takes the first of `durations`, the next one the next, the last one stays. A ban is
    never made shorter by another offence. Raises `AddressError`.
    """
    moment = now or utc_now()
    address = parse_address(ip)
    ban = session.scalars(_BAN, _spellings(address)).first()
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


def find_ban(session: Session, ip: str, *, now: datetime | None = None) -> IpBan | None:
    """Return the ban that keeps an address out now; None for none, and for one that has ended."""
    moment = now or utc_now()
    bans = session.scalars(_BAN, _spellings(parse_address(ip)))
    return next((ban for ban in bans if ban.banned_until > moment), None)


def list_bans(session: Session, *, now: datetime | None = None) -> Sequence[IpBan]:
    """Return the bans that hold now, the one that ends first first."""
    moment = now or utc_now()
    held = TimeRange(since=moment).within(IpBan.banned_until)
    bans = session.scalars(sa.select(IpBan).where(held))
    return sorted(
        (ban for ban in bans if ban.banned_until > moment), key=lambda ban: ban.banned_until
    )


def lift_ban(session: Session, ip: str) -> bool:
    """Forget an address's ban and its offences; tell whether there was one."""
    bans = session.scalars(_BAN, _spellings(parse_address(ip))).all()
    for ban in bans:
        session.delete(ban)
    session.flush()
    return bool(bans)


def _spellings(address: Address) -> dict[str, str]:
    """Return how an address may stand in ip_bans: the Node core stores what its socket gave."""
    mapped = f"::ffff:{address}" if address.version == 4 else str(address)  # noqa: PLR2004 - IPv4
    return {"plain": str(address), "mapped": mapped}


def _weight(rule: tuple[Network, IpAction]) -> tuple[int, bool]:
    network, action = rule
    return network.prefixlen, action is IpAction.BLOCK

"""Rules about networks, and the decision whether an address is let in, by its rule and its ban.

All functions take a session on the global database.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import AddressError, UnknownIpRuleError
from streamhub_orm.global_db import IpAction, IpRule
from streamhub_orm.schema import utc_now
from streamhub_orm.services import ip_bans
from streamhub_orm.services.addresses import parse_address, parse_network
from streamhub_orm.services.core import connection_of, get_row, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.services.addresses import Address, Network

__all__ = [
    "Decision",
    "IpRules",
    "Reason",
    "create",
    "decide",
    "delete",
    "list_",
    "load",
]

_RULES: Final = table_of(IpRule)
_LOAD: Final = sa.select(*_RULES.c["cidr", "action"]).order_by(_RULES.c.id)


class Reason(StrEnum):
    """The reason why an address is let in or kept out."""

    ALLOW_RULE = "allow-rule"
    BLOCK_RULE = "block-rule"
    BAN = "ban"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about an address, with its reason."""

    allowed: bool
    reason: Reason
    cidr: str | None = None
    """The network of the rule that decided."""
    banned_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IpRules:
    """The rules, read once, to decide about many addresses."""

    networks: tuple[tuple[Network, IpAction], ...]
    malformed: tuple[str, ...] = ()
    """Stored texts that are no network; they match nothing, and an operator should correct them."""

    def find(self, address: Address) -> tuple[Network, IpAction] | None:
        """Return the rule for an address: of the smallest network, and of two such, the block."""
        matching = [rule for rule in self.networks if address in rule[0]]
        return max(matching, key=_weight, default=None)


def decide(
    session: Session, ip: str, *, rules: IpRules | None = None, now: datetime | None = None
) -> Decision:
    """Decide about an address: the rule for it comes first, then a ban, else it is let in.

    An address that a rule allows is let in even while it is banned. `rules` saves reading them
    each time. Raises `AddressError` for a text that is no address.
    """
    address = parse_address(ip)
    rule = (rules or load(session)).find(address)
    if rule is not None:
        network, action = rule
        if action is IpAction.ALLOW:
            return Decision(allowed=True, reason=Reason.ALLOW_RULE, cidr=str(network))
        return Decision(allowed=False, reason=Reason.BLOCK_RULE, cidr=str(network))
    until = ip_bans.find_end(session, address)
    if until is not None and until > (now or utc_now()):
        return Decision(allowed=False, reason=Reason.BAN, banned_until=until)
    return Decision(allowed=True, reason=Reason.NOTHING)


def load(session: Session) -> IpRules:
    """Read all rules, for several calls of `decide`."""
    networks, malformed = [], []
    for cidr, action in connection_of(session).execute(_LOAD):
        try:
            networks.append((parse_network(cidr), action))
        except AddressError:
            malformed.append(cidr)
    return IpRules(tuple(networks), tuple(malformed))


def create(
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


def list_(session: Session) -> list[IpRule]:
    """List all rules, oldest first."""
    return list(session.scalars(sa.select(IpRule).order_by(IpRule.id)))


def delete(session: Session, rule_id: int) -> None:
    """Delete a rule. Raises `UnknownIpRuleError`."""
    session.delete(get_row(session, IpRule, rule_id, UnknownIpRuleError))
    session.flush()


def _weight(rule: tuple[Network, IpAction]) -> tuple[int, bool]:
    network, action = rule
    return network.prefixlen, action is IpAction.BLOCK

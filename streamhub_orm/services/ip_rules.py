"""Rules about networks, whose addresses are let in or kept out whatever they did.

All functions take a session on the global database. A running Node core holds the rules in memory:
it knows of one that is made or deleted here when it is restarted, or when a rule is changed by its
API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.errors import AddressError, IpRuleExistsError, UnknownIpRuleError
from streamhub_orm.global_db import IpAction, IpRule
from streamhub_orm.services.addresses import parse_network, typed_network
from streamhub_orm.services.core import connection_of, get_row, table_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.services.addresses import Address, Network

__all__ = ["IpRules", "create", "delete", "list_", "load"]

_RULES: Final = table_of(IpRule)
_LOAD: Final = sa.select(*_RULES.c["cidr", "action"]).order_by(_RULES.c.id)


@dataclass(frozen=True, slots=True)
class IpRules:
    """The rules, read once, to decide about many addresses."""

    networks: tuple[tuple[Network, IpAction, str], ...]
    """Network, action and stored text of each rule, the allow rules first."""
    malformed: tuple[str, ...] = ()
    """Stored texts that are no network; they match nothing, and an operator should correct them."""

    def find(self, address: Address) -> tuple[IpAction, str] | None:
        """Return action and text of the rule for an address: an allow wins over any block."""
        for network, action, cidr in self.networks:
            if address in network:
                return action, cidr
        return None


def load(session: Session) -> IpRules:
    """Read all rules, for several decisions."""
    networks, malformed = [], []
    for cidr, action in connection_of(session).execute(_LOAD):
        try:
            networks.append((parse_network(cidr), action, cidr))
        except AddressError:
            malformed.append(cidr)
    networks.sort(key=lambda rule: rule[1] is not IpAction.ALLOW)
    return IpRules(tuple(networks), tuple(malformed))


def create(
    session: Session,
    cidr: str,
    action: IpAction,
    *,
    note: str | None = None,
    created_by: str | None = None,
) -> IpRule:
    """Add a rule about a network or a single address, stored as `<address as typed>/<bits>`.

    Raises `AddressError`, and `IpRuleExistsError` for the same text and action.
    """
    typed = typed_network(cidr)
    same = sa.select(IpRule.id).where(IpRule.cidr == typed, IpRule.action == action)
    found = session.scalars(same.limit(1)).first()
    if found is not None:
        raise IpRuleExistsError(typed, action, found)
    rule = IpRule(cidr=typed, action=action, note=note, created_by=created_by)
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

"""Rules about networks: the one that decides, in every spelling, before any ban."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import AddressError, UnknownIpRuleError
from streamhub_orm.global_db import IpAction
from streamhub_orm.services import ip_bans, ip_rules
from streamhub_orm.services.ip_rules import Decision, Reason

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
ALLOW, BLOCK = IpAction.ALLOW, IpAction.BLOCK
IN = Decision(allowed=True, reason=Reason.NOTHING)


def by(action: IpAction, cidr: str) -> Decision:
    reason = Reason.ALLOW_RULE if action is ALLOW else Reason.BLOCK_RULE
    return Decision(allowed=action is ALLOW, reason=reason, cidr=cidr)


@pytest.mark.parametrize(
    ("rules", "ip", "expected"),
    [
        ([], "192.0.2.7", IN),
        ([(BLOCK, "192.0.2.0/24")], "192.0.2.7", by(BLOCK, "192.0.2.0/24")),
        ([(BLOCK, "192.0.2.0/24")], "::ffff:192.0.2.7", by(BLOCK, "192.0.2.0/24")),
        ([(BLOCK, "::ffff:192.0.2.0/120")], "192.0.2.7", by(BLOCK, "192.0.2.0/24")),
        ([(BLOCK, "192.0.2.9/24")], "192.0.3.7", IN),
        ([(BLOCK, "2001:db8::/32")], "2001:db8::7", by(BLOCK, "2001:db8::/32")),
        ([(BLOCK, "::/0")], "192.0.2.7", IN),
        ([(BLOCK, "0.0.0.0/0"), (ALLOW, "10.1.0.0/16")], "10.1.2.3", by(ALLOW, "10.1.0.0/16")),
        ([(ALLOW, "10.0.0.0/8"), (BLOCK, "10.6.6.6")], "10.6.6.6", by(BLOCK, "10.6.6.6/32")),
        ([(BLOCK, "10.6.6.6"), (ALLOW, "10.0.0.0/8")], "10.6.6.6", by(BLOCK, "10.6.6.6/32")),
        ([(ALLOW, "10.0.0.0/8"), (BLOCK, "10.0.0.0/8")], "10.1.1.1", by(BLOCK, "10.0.0.0/8")),
        ([(BLOCK, "10.0.0.0/8"), (ALLOW, "10.0.0.0/8")], "10.1.1.1", by(BLOCK, "10.0.0.0/8")),
    ],
)
def test_rule_of_the_smallest_network_decides_and_a_block_wins_a_tie(
    global_session: Session, rules: list[tuple[IpAction, str]], ip: str, expected: Decision
) -> None:
    for action, cidr in rules:
        ip_rules.create(global_session, cidr, action)
    assert ip_rules.decide(global_session, ip, now=NOW) == expected


def test_rule_is_stored_in_its_plain_form_and_can_be_removed(global_session: Session) -> None:
    rule = ip_rules.create(
        global_session, " ::ffff:10.1.2.3/104", BLOCK, note="scan", created_by="ops"
    )
    (found,) = ip_rules.list_(global_session)
    assert (found.cidr, found.action, found.note, found.created_by) == (
        "10.0.0.0/8",
        BLOCK,
        "scan",
        "ops",
    )
    ip_rules.delete(global_session, rule.id)
    with pytest.raises(UnknownIpRuleError, match="in the table ip_rules"):
        ip_rules.delete(global_session, rule.id)
    assert ip_rules.decide(global_session, "10.1.1.1") == IN


def test_malformed_rule_in_the_table_matches_nothing_and_is_named(global_session: Session) -> None:
    for cidr in ("everyone", "10.0.0.0/8"):
        insert = "INSERT INTO ip_rules (cidr, action) VALUES (:cidr, 'block')"
        global_session.execute(sa.text(insert), {"cidr": cidr})
    rules = ip_rules.load(global_session)
    assert rules.malformed == ("everyone",)
    assert not ip_rules.decide(global_session, "10.1.1.1", rules=rules).allowed
    assert ip_rules.decide(global_session, "11.1.1.1", rules=rules).allowed


def test_what_is_no_address_or_network_is_refused_in_words(global_session: Session) -> None:
    with pytest.raises(AddressError):
        ip_rules.decide(global_session, "unknown")
    with pytest.raises(AddressError):
        ip_bans.record(global_session, "", "scan")
    with pytest.raises(AddressError):
        ip_rules.create(global_session, "10.0.0.0/64", BLOCK)
    assert ip_rules.list_(global_session) == []


def test_allow_rule_lets_a_banned_address_in(global_session: Session) -> None:
    ip_bans.record(global_session, "10.1.1.1", "scan", now=NOW)
    ip_rules.create(global_session, "10.0.0.0/8", ALLOW)
    assert ip_rules.decide(global_session, "10.1.1.1", now=NOW) == by(ALLOW, "10.0.0.0/8")
    assert ip_bans.find(global_session, "10.1.1.1", now=NOW) is not None

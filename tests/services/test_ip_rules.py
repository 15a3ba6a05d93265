"""Rules about networks: stored as they are typed, once, and read in every spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import AddressError, IpRuleExistsError, UnknownIpRuleError
from streamhub_orm.global_db import IpAction
from streamhub_orm.services import ip_bans, ip_rules
from streamhub_orm.services.addresses import parse_address

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ALLOW, BLOCK = IpAction.ALLOW, IpAction.BLOCK


def action_for(session: Session, ip: str) -> IpAction | None:
    found = ip_rules.load(session).find(parse_address(ip))
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("rules", "ip", "expected"),
    [
        ([], "192.0.2.7", None),
        ([(BLOCK, "192.0.2.0/24")], "192.0.2.7", BLOCK),
        ([(BLOCK, "192.0.2.0/24")], "::ffff:192.0.2.7", BLOCK),
        ([(BLOCK, "::ffff:192.0.2.0/120")], "192.0.2.7", BLOCK),
        ([(BLOCK, "192.0.2.9/24")], "192.0.3.7", None),
        ([(BLOCK, "2001:db8::/32")], "2001:db8::7", BLOCK),
        ([(BLOCK, "::/0")], "192.0.2.7", None),
        ([(BLOCK, "0.0.0.0/0"), (ALLOW, "192.0.0.0/16")], "192.0.2.3", ALLOW),
        ([(ALLOW, "192.0.0.0/8"), (BLOCK, "192.0.2.6")], "192.0.2.6", ALLOW),
        ([(BLOCK, "192.0.2.6"), (ALLOW, "192.0.0.0/8")], "192.0.2.6", ALLOW),
        ([(ALLOW, "192.0.0.0/8"), (BLOCK, "192.0.0.0/8")], "192.0.2.1", ALLOW),
    ],
)
def test_any_matching_allow_wins(
    global_session: Session, rules: list[tuple[IpAction, str]], ip: str, expected: IpAction | None
) -> None:
    """Reference, Access: any matching allow wins over block."""
    for action, cidr in rules:
        ip_rules.create(global_session, cidr, action)
    assert action_for(global_session, ip) is expected


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.9/24 ", "192.0.2.9/24"),
        ("192.0.2.9/024", "192.0.2.9/24"),
        ("2001:DB8:0::1/32", "2001:DB8:0::1/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("fe80::1%eth0", "fe80::1/128"),
        ("::FFFF:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7/24", "192.0.2.7/24"),
        ("::ffff:c000:207/128", "192.0.2.7/32"),
    ],
)
def test_rule_is_stored_as_typed_with_its_bits(
    global_session: Session, typed: str, stored: str
) -> None:
    """Reference, Access: `<ip as typed>/<bits>`, host bits not cleared."""
    assert ip_rules.create(global_session, typed, BLOCK).cidr == stored


def test_same_text_and_action_is_refused_and_nothing_stored(global_session: Session) -> None:
    """Reference, Access: same text + action is refused."""
    first = ip_rules.create(global_session, "192.0.2.7", BLOCK)
    with pytest.raises(IpRuleExistsError, match=r"block 192\.0\.2\.7/32") as caught:
        ip_rules.create(global_session, "192.0.2.7/32", BLOCK)
    assert caught.value.rule_id == first.id
    ip_rules.create(global_session, "192.0.2.7", ALLOW)
    ip_rules.create(global_session, "192.0.2.9/24", BLOCK)
    ip_rules.create(global_session, "192.0.2.0/24", BLOCK)
    assert len(ip_rules.list_(global_session)) == 4


def test_rule_keeps_its_note_and_can_be_removed(global_session: Session) -> None:
    rule = ip_rules.create(global_session, "192.0.2.0/24", BLOCK, note="scan", created_by="ops")
    (found,) = ip_rules.list_(global_session)
    assert (found.action, found.note, found.created_by) == (BLOCK, "scan", "ops")
    ip_rules.delete(global_session, rule.id)
    with pytest.raises(UnknownIpRuleError, match="in the table ip_rules"):
        ip_rules.delete(global_session, rule.id)
    assert action_for(global_session, "192.0.2.1") is None


def test_malformed_rule_in_the_table_matches_nothing_and_is_named(global_session: Session) -> None:
    for cidr in ("everyone", "10.0.0.0/255.0.0.0", "192.0.2.0/24"):
        insert = "INSERT INTO ip_rules (cidr, action) VALUES (:cidr, 'block')"
        global_session.execute(sa.text(insert), {"cidr": cidr})
    assert ip_rules.load(global_session).malformed == ("everyone", "10.0.0.0/255.0.0.0")
    assert action_for(global_session, "192.0.2.1") is BLOCK
    assert action_for(global_session, "10.1.1.1") is None


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/64", "10.0.0.0/255.0.0.0", "10.0.0.0/", "::ffff:1.2.3.4/64"]
)
def test_what_is_no_network_is_refused_in_words(global_session: Session, cidr: str) -> None:
    with pytest.raises(AddressError) as caught:
        ip_rules.create(global_session, cidr, BLOCK)
    assert caught.value.text == cidr
    with pytest.raises(AddressError):
        ip_bans.ban(global_session, "", "scan")
    assert ip_rules.list_(global_session) == []

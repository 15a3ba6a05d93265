"""Rules and bans: which one decides, in every spelling of an address, and when a ban ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import AddressError
from streamhub_orm.global_db import IpAction, IpBan
from streamhub_orm.services.ip_access import (
    BAN_DURATIONS,
    BANNED,
    Decision,
    Reason,
    add_rule,
    decide,
    find_ban,
    lift_ban,
    list_bans,
    list_rules,
    load_rules,
    record_offense,
    remove_rule,
)
from tests.services.plans import plan_of, plans_of

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
        add_rule(global_session, cidr, action)
    assert decide(global_session, ip, now=NOW) == expected


def test_rule_is_stored_in_its_plain_form_and_can_be_removed(global_session: Session) -> None:
    rule = add_rule(global_session, " ::ffff:10.1.2.3/104", BLOCK, note="scan", created_by="ops")
    (found,) = list_rules(global_session)
    assert (found.cidr, found.action, found.note, found.created_by) == (
        "10.0.0.0/8",
        BLOCK,
        "scan",
        "ops",
    )
    assert remove_rule(global_session, rule.id)
    assert not remove_rule(global_session, rule.id)
    assert decide(global_session, "10.1.1.1") == IN


def test_malformed_rule_in_the_table_matches_nothing_and_is_named(global_session: Session) -> None:
    for cidr in ("everyone", "10.0.0.0/8"):
        insert = "INSERT INTO ip_rules (cidr, action) VALUES (:cidr, 'block')"
        global_session.execute(sa.text(insert), {"cidr": cidr})
    rules = load_rules(global_session)
    assert rules.malformed == ("everyone",)
    assert not decide(global_session, "10.1.1.1", rules=rules).allowed
    assert decide(global_session, "11.1.1.1", rules=rules).allowed


def test_what_is_no_address_or_network_is_refused_in_words(global_session: Session) -> None:
    with pytest.raises(AddressError):
        decide(global_session, "unknown")
    with pytest.raises(AddressError):
        record_offense(global_session, "", "scan")
    with pytest.raises(AddressError):
        add_rule(global_session, "10.0.0.0/64", BLOCK)
    assert list_rules(global_session) == []


def test_each_offense_keeps_an_address_out_for_longer(global_session: Session) -> None:
    moment = NOW
    expected = [*BAN_DURATIONS, BAN_DURATIONS[-1]]
    for number, duration in enumerate(expected, 1):
        ban = record_offense(global_session, "192.0.2.7", f"scan {number}", now=moment)
        assert ban.banned_until == moment + duration
        assert (ban.offense_count, ban.reason) == (number, f"scan {number}")
        assert ban.escalation_level == min(number, len(BAN_DURATIONS)) - 1
        moment = ban.banned_until + timedelta(minutes=1)
    assert ban.first_seen == NOW


def test_ban_is_never_made_shorter_by_another_offense(global_session: Session) -> None:
    long, short = timedelta(days=30), timedelta(minutes=1)
    first = record_offense(global_session, "192.0.2.7", "scan", durations=[long], now=NOW)
    again = record_offense(global_session, "192.0.2.7", "scan", durations=[short], now=NOW)
    assert again.banned_until == first.banned_until == NOW + long
    assert again.offense_count == 2


def test_ban_is_written_as_the_node_core_compares_it(global_session: Session) -> None:
    record_offense(global_session, "::ffff:192.0.2.7", "scan", now=NOW)
    row: Any = global_session.execute(sa.text("SELECT * FROM ip_bans")).one()
    assert (row.ip, row.first_seen) == ("192.0.2.7", "2026-01-31T12:00:00.500Z")
    assert row.banned_until == "2026-01-31T12:15:00.500Z"


@pytest.mark.parametrize("written", ["2026-01-31T12:00:00.500Z", "2026-01-31 12:00:01"])
def test_ban_ends_at_its_time_in_either_stored_format(
    global_session: Session, written: str
) -> None:
    """As text, the SQL format of any time of the day sorts before the ISO format of all times."""
    insert = "INSERT INTO ip_bans (ip, reason, first_seen, banned_until) VALUES (?, 'x', ?, ?)"
    global_session.connection().exec_driver_sql(insert, ("192.0.2.7", written, written))
    end = NOW if "T" in written else NOW.replace(second=1, microsecond=0)
    before = end - timedelta(milliseconds=1)
    assert decide(global_session, "192.0.2.7", now=before).reason is Reason.BAN
    assert decide(global_session, "192.0.2.7", now=end) == IN
    for moment, held in ((before, 1), (end, 0)):
        assert len(list_bans(global_session, now=moment)) == held
        assert (find_ban(global_session, "192.0.2.7", now=moment) is not None) is bool(held)


@pytest.mark.parametrize("ip", ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:207"])
@pytest.mark.parametrize("kept", ["192.0.2.7", "::ffff:192.0.2.7"])
def test_ban_is_found_raised_and_lifted_in_each_spelling(
    global_session: Session, ip: str, kept: str
) -> None:
    until = NOW + timedelta(minutes=5)
    global_session.add(IpBan(ip=kept, reason="scan", first_seen=NOW, banned_until=until))
    global_session.flush()
    decision = decide(global_session, ip, now=NOW)
    assert decision == Decision(allowed=False, reason=Reason.BAN, banned_until=until)
    assert record_offense(global_session, ip, "again", now=NOW).ip == kept
    assert lift_ban(global_session, ip)
    assert not lift_ban(global_session, ip)
    assert decide(global_session, ip, now=NOW) == IN


def test_allow_rule_lets_a_banned_address_in(global_session: Session) -> None:
    record_offense(global_session, "10.1.1.1", "scan", now=NOW)
    add_rule(global_session, "10.0.0.0/8", ALLOW)
    assert decide(global_session, "10.1.1.1", now=NOW) == by(ALLOW, "10.0.0.0/8")
    assert find_ban(global_session, "10.1.1.1", now=NOW) is not None


def test_bans_that_hold_are_listed_in_order_of_their_end(global_session: Session) -> None:
    for number, hours in ((1, 3), (2, -1), (3, 2)):
        until = NOW + timedelta(hours=hours)
        ip = f"192.0.2.{number}"
        global_session.add(IpBan(ip=ip, reason="x", first_seen=NOW, banned_until=until))
    global_session.flush()
    assert [ban.ip for ban in list_bans(global_session, now=NOW)] == ["192.0.2.3", "192.0.2.1"]


def test_ban_is_looked_up_by_key_and_listed_by_index(global_session: Session) -> None:
    values = {"plain": "192.0.2.7", "mapped": "::ffff:192.0.2.7"}
    plan = plan_of(global_session, BANNED, values)
    assert "SEARCH ip_bans USING INDEX sqlite_autoindex_ip_bans_1 (ip=?)" in plan
    (plan,) = plans_of(global_session, lambda: list_bans(global_session, now=NOW))
    assert "SEARCH ip_bans USING INDEX idx_ip_bans_until (banned_until>?)" in plan

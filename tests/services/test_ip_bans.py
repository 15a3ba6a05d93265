"""Rules about networks: the one that decides, in every spelling, before any ban."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.global_db import IpBan
from streamhub_orm.services import ip_bans, ip_rules
from streamhub_orm.services.ip_rules import Decision, Reason
from streamhub_orm.testing.checks import plan_of, plans_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
IN = Decision(allowed=True, reason=Reason.NOTHING)


def test_each_offense_keeps_an_address_out_for_longer(global_session: Session) -> None:
    moment = NOW
    expected = [*ip_bans.DURATIONS, ip_bans.DURATIONS[-1]]
    for number, duration in enumerate(expected, 1):
        ban = ip_bans.record(global_session, "192.0.2.7", f"scan {number}", now=moment)
        assert ban.banned_until == moment + duration
        assert (ban.offense_count, ban.reason) == (number, f"scan {number}")
        assert ban.escalation_level == min(number, len(ip_bans.DURATIONS)) - 1
        moment = ban.banned_until + timedelta(minutes=1)
    assert ban.first_seen == NOW


def test_ban_is_never_made_shorter_by_another_offense(global_session: Session) -> None:
    long, short = timedelta(days=30), timedelta(minutes=1)
    first = ip_bans.record(global_session, "192.0.2.7", "scan", durations=[long], now=NOW)
    again = ip_bans.record(global_session, "192.0.2.7", "scan", durations=[short], now=NOW)
    assert again.banned_until == first.banned_until == NOW + long
    assert again.offense_count == 2


def test_ban_is_written_as_the_node_core_compares_it(global_session: Session) -> None:
    ip_bans.record(global_session, "::ffff:192.0.2.7", "scan", now=NOW)
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
    assert ip_rules.decide(global_session, "192.0.2.7", now=before).reason is Reason.BAN
    assert ip_rules.decide(global_session, "192.0.2.7", now=end) == IN
    for moment, held in ((before, 1), (end, 0)):
        assert len(ip_bans.list_(global_session, now=moment)) == held
        assert (ip_bans.find(global_session, "192.0.2.7", now=moment) is not None) is bool(held)


@pytest.mark.parametrize("ip", ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:207"])
@pytest.mark.parametrize("kept", ["192.0.2.7", "::ffff:192.0.2.7"])
def test_ban_is_found_raised_and_lifted_in_each_spelling(
    global_session: Session, ip: str, kept: str
) -> None:
    until = NOW + timedelta(minutes=5)
    global_session.add(IpBan(ip=kept, reason="scan", first_seen=NOW, banned_until=until))
    global_session.flush()
    decision = ip_rules.decide(global_session, ip, now=NOW)
    assert decision == Decision(allowed=False, reason=Reason.BAN, banned_until=until)
    assert ip_bans.record(global_session, ip, "again", now=NOW).ip == kept
    assert ip_bans.lift(global_session, ip)
    assert not ip_bans.lift(global_session, ip)
    assert ip_rules.decide(global_session, ip, now=NOW) == IN


def test_bans_that_hold_are_listed_in_order_of_their_end(global_session: Session) -> None:
    for number, hours in ((1, 3), (2, -1), (3, 2)):
        until = NOW + timedelta(hours=hours)
        ip = f"192.0.2.{number}"
        global_session.add(IpBan(ip=ip, reason="x", first_seen=NOW, banned_until=until))
    global_session.flush()
    assert [ban.ip for ban in ip_bans.list_(global_session, now=NOW)] == ["192.0.2.3", "192.0.2.1"]


def test_ban_is_looked_up_by_key_and_listed_by_index(global_session: Session) -> None:
    values = {"plain": "192.0.2.7", "mapped": "::ffff:192.0.2.7"}
    plan = plan_of(global_session, ip_bans._FIND_END, values)
    assert "SEARCH ip_bans USING INDEX sqlite_autoindex_ip_bans_1 (ip=?)" in plan
    (plan,) = plans_of(global_session, lambda: ip_bans.list_(global_session, now=NOW))
    assert "SEARCH ip_bans USING INDEX idx_ip_bans_until (banned_until>?)" in plan

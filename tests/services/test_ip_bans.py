"""Bans: offences counted, bans that grow, and addresses that are never banned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm.global_db import IpAction, IpBan
from streamhub_orm.services import ip_bans, ip_rules
from streamhub_orm.services.ip_bans import Offence, Offences
from streamhub_orm.settings import AccessSettings
from streamhub_orm.testing.checks import assert_uses_index, plans_of
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
IP = "192.0.2.7"
ON = AccessSettings(autoban=True)


def rows(session: Session) -> list[dict[str, Any]]:
    return stored.rows_of(session, IpBan)


def store(session: Session, ip: str, *, level: int = 0, until: datetime = NOW) -> None:
    first = NOW - timedelta(days=3)
    session.add(
        IpBan(ip=ip, reason="x", first_seen=first, banned_until=until, escalation_level=level)
    )
    session.flush()


def test_ban_is_made_by_the_tenth_offence_within_five_minutes(global_session: Session) -> None:
    """Reference, Access: 10 offenses in 300 s, 900 s, level 0, reason = last kind."""
    offences = Offences(ON)
    for number in range(9):
        moment = NOW + timedelta(seconds=33 * number)
        assert offences.record(global_session, IP, Offence.LOGIN_FAILED, now=moment) is None
    moment = NOW + timedelta(seconds=299)
    made = offences.record(global_session, f"::ffff:{IP}", Offence.INVALID_TOKEN, now=moment)
    assert made is not None
    assert rows(global_session) == [
        {
            "ip": IP,
            "reason": "invalid_token",
            "first_seen": "2026-01-31T12:04:59.500Z",
            "offense_count": 10,
            "banned_until": "2026-01-31T12:19:59.500Z",
            "escalation_level": 0,
        }
    ]


def test_offences_of_more_than_five_minutes_are_no_ban(global_session: Session) -> None:
    offences = Offences(ON)
    for number in range(50):
        moment = NOW + timedelta(seconds=34 * number)
        assert offences.record(global_session, IP, Offence.LOGIN_FAILED, now=moment) is None
    assert rows(global_session) == []


def test_offences_after_a_ban_count_from_nothing(global_session: Session) -> None:
    offences = Offences(ON)
    made = [offences.record(global_session, IP, Offence.RATE_LIMITED, now=NOW) for _ in range(30)]
    assert [number for number, ban in enumerate(made) if ban] == [9]
    later = NOW + timedelta(minutes=16)
    made = [offences.record(global_session, IP, Offence.RATE_LIMITED, now=later) for _ in range(10)]
    assert [ban is not None for ban in made] == [False] * 9 + [True]
    (row,) = rows(global_session)
    assert (row["escalation_level"], row["first_seen"]) == (1, "2026-01-31T12:00:00.500Z")


def test_no_statement_is_sent_before_a_ban_is_due(global_session: Session) -> None:
    """So an offence takes no write lock."""
    offences = Offences(ON)

    def offend() -> None:
        for _ in range(9):
            offences.record(global_session, IP, Offence.LOGIN_FAILED, now=NOW)

    assert plans_of(global_session, offend) == []


def test_nothing_counts_while_autoban_is_off_and_404s_only_where_it_is_asked_for(
    global_session: Session,
) -> None:
    for settings, offence in (
        (AccessSettings(), Offence.LOGIN_FAILED),
        (ON, Offence.NOT_FOUND),
    ):
        offences = Offences(settings)
        assert not any(offences.record(global_session, IP, offence, now=NOW) for _ in range(20))
    offences = Offences(AccessSettings(autoban=True, counts_not_found=True, offences=2))
    made = [offences.record(global_session, IP, Offence.NOT_FOUND, now=NOW) for _ in range(2)]
    assert made[1] is not None


def test_addresses_that_are_remembered_are_bounded(
    global_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ip_bans, "_MOST_ADDRESSES", 3)
    offences = Offences(AccessSettings(autoban=True, offences=2))
    for number in range(5):
        offences.record(global_session, f"192.0.2.{number}", Offence.LOGIN_FAILED, now=NOW)
    assert len(offences._times) == 3
    assert offences.record(global_session, "192.0.2.0", Offence.LOGIN_FAILED, now=NOW) is None
    assert offences.record(global_session, "192.0.2.4", Offence.LOGIN_FAILED, now=NOW) is not None


def test_offences_of_several_threads_are_one_ban(databases: Databases) -> None:
    offences = Offences(ON)

    def offend(_: int) -> bool:
        record = databases.global_session().run
        return record(offences.record, IP, Offence.LOGIN_FAILED, now=NOW) is not None

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(offend, range(40))) == 1


@pytest.mark.parametrize("ip", ["10.0.0.7", "::1", "fd00::1", "::ffff:192.168.0.1", "198.51.100.9"])
def test_private_and_allowed_addresses_are_never_banned(global_session: Session, ip: str) -> None:
    """Reference, Access: private and allowed IPs are never banned."""
    ip_rules.create(global_session, "198.51.100.0/24", IpAction.ALLOW)
    offences = Offences(ON)
    for _ in range(20):
        assert offences.record(global_session, ip, Offence.LOGIN_FAILED, now=NOW) is None
    assert ip_bans.ban(global_session, ip, "by hand", now=NOW) is None
    assert rows(global_session) == []


def test_each_ban_is_twice_as_long_up_to_seven_days(global_session: Session) -> None:
    """Reference, Access: 900 s x 2^level, at most 7 days; level = earlier row's + 1."""
    moment, durations = NOW, []
    for level in range(12):
        ban = ip_bans.ban(global_session, IP, f"scan {level}", offences=level, now=moment)
        assert ban is not None
        assert (ban.escalation_level, ban.offense_count) == (level, level)
        assert (ban.reason, ban.first_seen) == (f"scan {level}", NOW)
        durations.append(ban.banned_until - moment)
        moment = ban.banned_until + timedelta(minutes=1)
    expected = [min(timedelta(seconds=900 * 2**level), timedelta(7)) for level in range(12)]
    assert durations == expected


@pytest.mark.parametrize("level", [0, 5, 40, 2**40])
def test_level_of_the_earlier_row_is_never_lowered(global_session: Session, level: int) -> None:
    """The core's levels go beyond those whose time still grows."""
    store(global_session, IP, level=level)
    ban = ip_bans.ban(global_session, IP, "login_failed", now=NOW)
    assert ban is not None
    assert ban.escalation_level == level + 1
    assert ban.banned_until <= NOW + timedelta(days=7)
    assert ban.first_seen == NOW - timedelta(days=3)


def test_ban_is_never_made_shorter(global_session: Session) -> None:
    store(global_session, IP, until=NOW + timedelta(days=30))
    ban = ip_bans.ban(global_session, IP, "login_failed", now=NOW)
    assert ban is not None
    assert ban.banned_until == NOW + timedelta(days=30)


@pytest.mark.parametrize("ip", [IP, f"::ffff:{IP}", "::FFFF:c000:207"])
@pytest.mark.parametrize("kept", [IP, f"::ffff:{IP}"])
def test_ban_is_found_raised_and_lifted_in_each_spelling(
    global_session: Session, ip: str, kept: str
) -> None:
    """A new row has the plain text, which is the one that the core looks for."""
    until = NOW + timedelta(minutes=5)
    store(global_session, kept, level=2, until=until)
    found = ip_bans.find(global_session, ip, now=NOW)
    assert found is not None
    assert found.banned_until == until
    ban = ip_bans.ban(global_session, ip, "again", now=NOW)
    assert ban is not None
    assert (ban.ip, ban.escalation_level) == (IP, 3)
    assert ban.first_seen == NOW - timedelta(days=3)
    assert ip_bans.lift(global_session, ip)
    assert not ip_bans.lift(global_session, ip)
    assert rows(global_session) == []


def test_ban_after_a_lift_is_a_first_one(global_session: Session) -> None:
    """Reference, Access: unban deletes."""
    for _ in range(3):
        ip_bans.ban(global_session, IP, "scan", now=NOW)
    ip_bans.lift(global_session, IP)
    ban = ip_bans.ban(global_session, IP, "scan", now=NOW)
    assert ban is not None
    assert ban.escalation_level == 0


def test_bans_go_seven_days_after_their_end(global_session: Session) -> None:
    """Reference, Access: rows go 7 days after banned_until."""
    week = timedelta(days=7)
    store(global_session, "192.0.2.1", until=NOW - week - timedelta(milliseconds=1))
    store(global_session, "192.0.2.2", until=NOW - week)
    store(global_session, "192.0.2.3", until=NOW + week)
    assert ip_bans.purge(global_session, now=NOW) == 1
    assert [row["ip"] for row in rows(global_session)] == ["192.0.2.2", "192.0.2.3"]


def test_bans_that_hold_are_listed_in_order_of_their_end(global_session: Session) -> None:
    for number, hours in ((1, 3), (2, -1), (3, 2)):
        store(global_session, f"192.0.2.{number}", until=NOW + timedelta(hours=hours))
    assert [ban.ip for ban in ip_bans.list_(global_session, now=NOW)] == ["192.0.2.3", "192.0.2.1"]


def test_ban_is_looked_up_by_key_and_listed_by_index(global_session: Session) -> None:
    values = {"plain": IP, "mapped": f"::ffff:{IP}"}
    assert_uses_index(global_session, ip_bans._FIND_END, "pk_ip_bans", values)
    for call in (
        lambda: ip_bans.list_(global_session, now=NOW),
        lambda: ip_bans.purge(global_session, now=NOW),
    ):
        assert_uses_index(global_session, call, "idx_ip_bans_until")

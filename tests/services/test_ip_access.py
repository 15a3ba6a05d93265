"""The decision about an address: its order, its modes, and what a client is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import AddressError
from streamhub_orm.global_db import IpAction, IpBan
from streamhub_orm.services import ip_access, ip_bans, ip_rules
from streamhub_orm.services.ip_access import Decision, Reason, Verdict
from streamhub_orm.settings import AccessMode, AccessSettings
from streamhub_orm.testing.checks import plans_of
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
ALLOW, BLOCK = IpAction.ALLOW, IpAction.BLOCK
ENFORCE = AccessSettings(mode=AccessMode.ENFORCE, autoban=True)
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.1.1",
    "::1",
    "fc00::1",
    "fdff::1",
    "fe80::1%eth0",
    "febf::1",
    "::ffff:10.1.2.3",
]


def decide(session: Session, ip: str, settings: AccessSettings = ENFORCE) -> Decision:
    return ip_access.decide(session, ip, settings, now=NOW)


def store_ban(session: Session, ip: str) -> None:
    until = NOW + timedelta(hours=1)
    session.add(IpBan(ip=ip, reason="login_failed", first_seen=NOW, banned_until=until))
    session.flush()


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_address_always_passes(global_session: Session, ip: str) -> None:
    """Reference, Access: private (127/8 ... fe80::/10) passes, whatever is stored of it."""
    for cidr in ("0.0.0.0/0", "::/0"):
        ip_rules.create(global_session, cidr, BLOCK)
    store_ban(global_session, ip.removeprefix("::ffff:").partition("%")[0])
    only = AccessSettings(mode=AccessMode.ENFORCE, allowlist_only=True, autoban=True)
    for settings in (ENFORCE, only):
        assert decide(global_session, ip, settings) == Decision(Verdict.PASSES, Reason.PRIVATE)


@pytest.mark.parametrize("ip", ["172.15.0.1", "172.32.0.1", "169.253.0.1", "fec0::1", "fbff::1"])
def test_address_beside_a_private_network_is_refused(global_session: Session, ip: str) -> None:
    for cidr in ("0.0.0.0/0", "::/0"):
        ip_rules.create(global_session, cidr, BLOCK)
    assert decide(global_session, ip).verdict is Verdict.BLOCKED


def test_any_allow_rule_wins_over_blocks_and_bans(global_session: Session) -> None:
    """Reference, Access: any matching allow wins over block; allow passes before a ban is asked."""
    ip_rules.create(global_session, "192.0.2.7", BLOCK)
    ip_rules.create(global_session, "192.0.2.7/24", ALLOW)
    store_ban(global_session, "192.0.2.7")
    found = decide(global_session, "::ffff:192.0.2.7")
    assert found == Decision(Verdict.PASSES, Reason.ALLOW_RULE, "192.0.2.7/24")
    assert (found.allowed, found.status) == (True, None)


def test_ban_comes_before_a_block_and_is_429(global_session: Session) -> None:
    ip_rules.create(global_session, "192.0.2.0/24", BLOCK)
    store_ban(global_session, "192.0.2.7")
    banned, blocked = (decide(global_session, ip) for ip in ("192.0.2.7", "192.0.2.8"))
    assert (banned.verdict, banned.status) == (Verdict.BANNED, 429)
    assert banned.banned_until == NOW + timedelta(hours=1)
    assert (blocked.verdict, blocked.status) == (Verdict.BLOCKED, 403)
    assert (blocked.reason, blocked.cidr) == (Reason.BLOCK_RULE, "192.0.2.0/24")
    assert not banned.allowed
    assert not blocked.allowed


def test_ban_holds_in_every_mode_where_autoban_is_on_and_in_none_where_it_is_off(
    global_session: Session,
) -> None:
    store_ban(global_session, "192.0.2.7")
    for mode in AccessMode:
        on, off = (AccessSettings(mode=mode, autoban=autoban) for autoban in (True, False))
        assert decide(global_session, "192.0.2.7", on).verdict is Verdict.BANNED
        assert decide(global_session, "192.0.2.7", off).verdict is Verdict.PASSES


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        (AccessMode.OFF, Verdict.PASSES),
        (AccessMode.LOG, Verdict.WOULD_BE_BLOCKED),
        (AccessMode.ENFORCE, Verdict.BLOCKED),
    ],
)
def test_rule_and_allowlist_refuse_in_the_mode_enforce_only(
    global_session: Session, mode: AccessMode, verdict: Verdict
) -> None:
    """Reference, Access: 403, only logged in mode log; mode off is the default."""
    ip_rules.create(global_session, "192.0.2.0/24", BLOCK)
    ip_rules.create(global_session, "2001:db8::/32", ALLOW)
    settings = AccessSettings(mode=mode, allowlist_only=True)
    by_rule, by_default = (
        decide(global_session, ip, settings) for ip in ("192.0.2.7", "198.51.100.1")
    )
    assert {by_rule.verdict, by_default.verdict} == {verdict}
    assert by_rule.allowed is (verdict is not Verdict.BLOCKED)
    if mode is not AccessMode.OFF:
        assert (by_rule.reason, by_default.reason) == (Reason.BLOCK_RULE, Reason.ALLOWLIST_ONLY)
    assert decide(global_session, "2001:db8::1", settings).verdict is Verdict.PASSES
    without = AccessSettings(mode=mode)
    assert decide(global_session, "198.51.100.1", without).verdict is Verdict.PASSES


def test_nothing_is_read_where_everything_is_off_or_the_address_is_private(
    global_session: Session,
) -> None:
    def decide_both() -> None:
        assert decide(global_session, "192.0.2.7", AccessSettings()).allowed
        assert decide(global_session, "10.0.0.1", ENFORCE).allowed

    assert plans_of(global_session, decide_both) == []


def test_rules_that_were_read_before_are_not_read_again(global_session: Session) -> None:
    ip_rules.create(global_session, "192.0.2.0/24", BLOCK)
    rules = ip_rules.load(global_session)
    global_session.execute(sa.text("DELETE FROM ip_rules"))
    found = ip_access.decide(global_session, "192.0.2.7", ENFORCE, rules=rules)
    assert found.verdict is Verdict.BLOCKED


def test_text_that_is_no_address_is_refused_in_words(global_session: Session) -> None:
    with pytest.raises(AddressError):
        decide(global_session, "unknown")


@pytest.mark.parametrize("written", ["2026-01-31T12:00:00.500Z", "2026-01-31 12:00:01"])
def test_ban_ends_at_its_time_in_either_stored_format(
    global_session: Session, written: str
) -> None:
    """As text, the SQL format of any time of the day sorts before the ISO format of all times."""
    values = {"ip": "192.0.2.7", "reason": "x", "first_seen": written, "banned_until": written}
    stored.insert(global_session, IpBan, **values)
    end = NOW if "T" in written else NOW.replace(second=1, microsecond=0)
    before = end - timedelta(milliseconds=1)
    for moment, held in ((before, True), (end, False)):
        found = ip_access.decide(global_session, "192.0.2.7", ENFORCE, now=moment)
        assert found.allowed is not held
        assert len(ip_bans.list_(global_session, now=moment)) == held
        assert (ip_bans.find(global_session, "192.0.2.7", now=moment) is not None) is held

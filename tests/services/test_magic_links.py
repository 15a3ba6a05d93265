"""Magic links: used once whoever else tries, in time, and not too many of them."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import EmailError, TooManyLinksError, TotpSecretError
from streamhub_orm.global_db import MagicToken, Role
from streamhub_orm.services import magic_links, memberships, passwords, tenants, totp, users
from streamhub_orm.services.magic_links import CountedBy, LinkKind, LinkRefusal, RateWindow
from streamhub_orm.services.totp import TotpKey
from streamhub_orm.testing.checks import assert_uses_index
from tests.services import stored
from tests.services.racing import race

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 1, 31, 12, 0, 30, 250_000, tzinfo=UTC)
EMAIL = "ann@example.org"
KEY = TotpKey.load({"STREAMHUB_JWT_SECRET": "of the server"})


def ask(session: Session, **options: object) -> magic_links.MagicLink:
    wanted = {"now": NOW, "ip": "192.0.2.7", **options}
    return magic_links.request(session, " Ann@example.org", **wanted)  # type: ignore[arg-type]


def claim(session: Session, token: str, now: datetime = NOW) -> magic_links.LinkClaim:
    return magic_links.claim(session, token, now=now)


def row_of(session: Session, link_id: int) -> dict[str, object]:
    return stored.row_of(session, MagicToken, id=link_id)


def store(session: Session, **values: object) -> None:
    """Write values into every link as another program would, past the column types."""
    stored.store(session, MagicToken, {}, **values)


def test_link_is_stored_as_a_hash_in_the_formats_of_the_field(global_session: Session) -> None:
    link = ask(global_session)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", link.token)
    row = row_of(global_session, link.id)
    assert row == {
        "id": link.id,
        "token_hash": hashlib.sha256(link.token.encode()).hexdigest(),
        "email": EMAIL,
        "request_ip": "192.0.2.7",
        "created_at": "2026-01-31T12:00:30.250Z",
        "expires_at": "2026-01-31T12:15:30.250Z",
        "used": 0,
        "used_at": None,
        "kind": "login",
    }
    assert link.token not in repr(link)


def test_link_lets_its_bearer_in_once(global_session: Session) -> None:
    link = ask(global_session)
    first = claim(global_session, link.token)
    again = claim(global_session, link.token)
    assert first
    assert (first.refusal, first.email) == (None, EMAIL)
    assert not again
    assert (again.refusal, again.email) == (LinkRefusal.USED, EMAIL)
    row = row_of(global_session, link.id)
    assert (row["used"], row["used_at"]) == (1, "2026-01-31 12:00:30")


@pytest.mark.parametrize("token", ["", "nope", "\ud83d"])
def test_unknown_link_lets_nobody_in(global_session: Session, token: str) -> None:
    ask(global_session)
    found = claim(global_session, token)
    assert (found.refusal, found.email) == (LinkRefusal.UNKNOWN, None)


def test_stored_hash_is_no_token(global_session: Session) -> None:
    link = ask(global_session)
    token_hash = str(row_of(global_session, link.id)["token_hash"])
    assert claim(global_session, token_hash).refusal is LinkRefusal.UNKNOWN


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000Z"])
@pytest.mark.parametrize("seconds", [1, 3600, -1, -3600])
def test_link_expires_in_either_format(global_session: Session, form: str, seconds: int) -> None:
    """As text, the SQL format of later the same day sorts before the present in ISO format."""
    link = ask(global_session)
    store(global_session, expires_at=(NOW + timedelta(seconds=seconds)).strftime(form))
    expected = LinkRefusal.EXPIRED if seconds < 0 else None
    assert claim(global_session, link.token).refusal is expected
    assert row_of(global_session, link.id)["used"] == (expected is None)


def test_link_expires_to_the_millisecond(global_session: Session) -> None:
    """Reference, Access: kind login lives 15 min; at its end it is expired."""
    link = ask(global_session)
    end = NOW + timedelta(minutes=15)
    assert claim(global_session, link.token, end).refusal is LinkRefusal.EXPIRED
    assert claim(global_session, link.token, end - timedelta(milliseconds=1))


@pytest.mark.files
@pytest.mark.parametrize("text", ["", "never", "9999", "~", "2027-13-40T00:00:00.000Z"])
def test_link_with_a_malformed_expiry_is_expired(global_session: Session, text: str) -> None:
    link = ask(global_session)
    store(global_session, expires_at=text)
    assert claim(global_session, link.token).refusal is LinkRefusal.EXPIRED


def test_link_of_the_node_core_is_claimed(global_session: Session) -> None:
    global_session.execute(
        sa.text(
            "INSERT INTO magic_tokens (token_hash, email, created_at, expires_at)"
            " VALUES (:hash, 'x@y', '2026-01-31T12:00:00.000Z', '2026-01-31T12:15:00.000Z')"
        ),
        {"hash": hashlib.sha256(b"from the core").hexdigest()},
    )
    assert claim(global_session, "from the core").email == "x@y"


CLAIM = """
from streamhub_orm.services import magic_links
print("in" if databases.global_session().run(magic_links.claim, arguments[0]) else "out")
"""


def test_link_claimed_by_several_processes_lets_one_in(databases: Databases) -> None:
    with databases.global_session() as session:
        token = magic_links.request(session, EMAIL).token
    assert race(CLAIM, databases, token) == ["in", "out", "out", "out"]


def test_link_claimed_by_many_threads_lets_one_in(databases: Databases) -> None:
    with databases.global_session() as session:
        tokens = [ask(session, windows=()).token for _ in range(5)]
    gate = threading.Barrier(8)

    def claim_all(_: int) -> list[bool]:
        gate.wait(timeout=30)
        return [bool(databases.global_session().run(claim, token)) for token in tokens]

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(claim_all, range(8)))
    assert [sum(won) for won in zip(*outcomes, strict=True)] == [1] * 5


def test_claim_searches_the_index_of_the_hash(global_session: Session) -> None:
    index = "uq_magic_tokens_token_hash"
    assert_uses_index(global_session, magic_links._FIND, index, {"hash": "x"})


def refused(session: Session, **options: object) -> TooManyLinksError:
    with pytest.raises(TooManyLinksError) as caught:
        ask(session, **options)
    return caught.value


def test_second_link_within_a_minute_is_refused_and_not_stored(global_session: Session) -> None:
    """Reference, Access: 60 s apart per e-mail, in whatever case it is written."""
    ask(global_session)
    with pytest.raises(TooManyLinksError) as caught:
        magic_links.request(global_session, "ANN@EXAMPLE.ORG ", now=NOW + timedelta(seconds=20))
    assert (caught.value.key, caught.value.limit) == ("email", 1)
    assert caught.value.retry_after_seconds == 41
    assert global_session.scalar(sa.text("SELECT count(*) FROM magic_tokens")) == 1
    magic_links.request(global_session, "bob@example.org", now=NOW)
    ask(global_session, now=NOW + timedelta(seconds=61))


def test_fourth_link_within_a_quarter_of_an_hour_is_refused(global_session: Session) -> None:
    """Reference, Access: per 15 min 3 per e-mail, from wherever they are asked for."""
    for n in range(3):
        ask(global_session, ip=f"192.0.2.{n}", now=NOW + timedelta(minutes=2 * n))
    error = refused(global_session, ip="192.0.2.9", now=NOW + timedelta(minutes=6))
    assert (error.key, error.limit, error.retry_after_seconds) == ("email", 3, 541)
    ask(global_session, now=NOW + timedelta(minutes=15, milliseconds=1))
    refused(global_session, now=NOW + timedelta(minutes=16.9))


def test_eleventh_link_for_one_ip_is_refused(global_session: Session) -> None:
    """Reference, Access: 10 per IP in 15 min."""

    def ask_for(n: int, ip: str | None = "192.0.2.7", minutes: float = 0) -> None:
        moment = NOW + timedelta(minutes=minutes)
        magic_links.request(global_session, f"{n}@example.org", ip=ip, now=moment)

    for n in range(10):
        ask_for(n)
    with pytest.raises(TooManyLinksError, match="by this ip"):
        ask_for(20, minutes=14.9)
    ask_for(20, "192.0.2.8")
    ask_for(21, minutes=15.1)
    for n in range(30, 50):
        ask_for(n, None)


def test_only_login_rows_count(global_session: Session) -> None:
    """Reference, Access: only login rows count, used ones too."""
    for _ in range(20):
        magic_links.issue(global_session, EMAIL, LinkKind.INVITE, ip="192.0.2.7", now=NOW)
    link = ask(global_session)
    claim(global_session, link.token)
    refused(global_session, now=NOW + timedelta(seconds=30))


@pytest.mark.parametrize("email", ["ANN@example.org", " ann@example.org", "ann@example.org\t"])
def test_cooldown_counts_rows_of_any_form(global_session: Session, email: str) -> None:
    ask(global_session)
    store(global_session, email=email)
    refused(global_session, now=NOW + timedelta(seconds=30))


def test_cooldown_counts_upper_case_beyond_ascii_and_is_not_stopped_by_bad_rows(
    global_session: Session,
) -> None:
    magic_links.request(global_session, "é@x.example", now=NOW)
    store(global_session, email="É@x.example")
    copy = (
        "INSERT INTO magic_tokens (token_hash, email, created_at, expires_at)"
        " SELECT 'x', CAST(x'e940ff' AS TEXT), created_at, expires_at FROM magic_tokens"
    )
    global_session.execute(sa.text(copy))
    with pytest.raises(TooManyLinksError):
        magic_links.request(global_session, "É@x.example", now=NOW)
    magic_links.request(global_session, "è@x.example", now=NOW)


@pytest.mark.parametrize("email", ["", "ann", "a b@x.example", "@"])
def test_link_to_what_is_no_address_is_refused(global_session: Session, email: str) -> None:
    with pytest.raises(EmailError):
        magic_links.request(global_session, email)
    assert global_session.scalar(sa.text("SELECT count(*) FROM magic_tokens")) == 0


# --- who is let in --------------------------------------------------------------------------


def test_new_address_gets_a_user_with_a_team(global_session: Session) -> None:
    """Reference, Access: a user without one gets a team at magic sign-in. Its password is nobody's.

    The core would let others sign up for an account whose hash is NULL.
    """
    found = claim(global_session, ask(global_session).token)
    user = users.find_by_email(global_session, EMAIL)
    assert user is not None
    assert (found.user_id, user.status) == (user.id, "active")
    assert passwords.is_hash(str(user.password_hash))
    primary = memberships.find_primary(global_session, user.id)
    assert primary is not None
    assert primary.role is Role.OWNER
    assert tenants.get(global_session, primary.tenant_id).plan == "free"
    later = NOW + timedelta(hours=1)
    again = claim(global_session, ask(global_session, now=later).token, later)
    assert again.user_id == user.id
    assert len(tenants.list_(global_session)) == 2


def test_pending_user_becomes_active_by_either_kind(global_session: Session) -> None:
    """Reference, Access: claim is alike for both; a pending user becomes active."""
    for number, kind in enumerate(LinkKind):
        email = f"{number}@example.org"
        user = users.create(global_session, email, status=users.PENDING)
        link = magic_links.issue(global_session, email, kind, now=NOW)
        assert claim(global_session, link.token).user_id == user.id
        assert user.status == "active"


def test_row_of_another_form_is_whom_the_link_signs_in(global_session: Session) -> None:
    insert = "INSERT INTO users (id, email) VALUES ('odd', 'É@x.example')"
    global_session.execute(sa.text(insert))
    link = magic_links.request(global_session, "é@x.example", now=NOW)
    assert claim(global_session, link.token).user_id == "odd"


def test_second_factor_is_asked_for_before_the_link_is_used(global_session: Session) -> None:
    """Reference, Access: TOTP checked, then used 0 to 1."""
    user = users.create(global_session, EMAIL)
    secret = totp.set_up(global_session, user.id, key=KEY).secret
    code = totp._code(base64.b32decode(secret), int(NOW.timestamp()) // 30)
    totp.enable(global_session, user.id, code, key=KEY, now=NOW)
    link = ask(global_session)

    def outcome(given: str | None) -> LinkRefusal | None:
        return magic_links.claim(global_session, link.token, code=given, key=KEY, now=NOW).refusal

    assert outcome(None) is outcome(" ") is LinkRefusal.TOTP_REQUIRED
    wrong = "000000" if code != "000000" else "000001"
    assert outcome(wrong) is LinkRefusal.TOTP_INVALID
    assert row_of(global_session, link.id)["used"] == 0
    assert outcome(code) is None
    assert outcome(code) is LinkRefusal.USED


def test_link_stays_open_where_the_second_factor_cannot_be_read(databases: Databases) -> None:
    with databases.global_session() as session:
        user = users.create(session, EMAIL)
        user.totp_secret, user.totp_enabled = "JBSWY3DPEHPK3PXP", True
        link = ask(session)
    with pytest.raises(TotpSecretError), databases.global_session() as session:
        magic_links.claim(session, link.token, code="123456", key=KEY, now=NOW)
    with databases.global_session(read_only=True) as session:
        assert row_of(session, link.id)["used"] == 0


def test_mailbox_of_the_superadmin_is_the_admin_and_owner_of_the_platform(
    global_session: Session,
) -> None:
    """Reference, Access: the magic link of STREAMHUB_SUPERADMIN_EMAIL is `admin` too."""
    admin = tenants.ensure_admin(global_session, "root")
    memberships.add(global_session, "platform", users.create(global_session, "b@x").id, Role.OWNER)
    memberships.add(global_session, "platform", admin.id, Role.VIEWER)
    link = ask(global_session)
    found = magic_links.claim(
        global_session, link.token, superadmin_email=" ANN@Example.org", now=NOW
    )
    assert found.user_id == "admin"
    assert (admin.email, admin.is_superadmin) == (EMAIL, True)
    assert memberships.find_role(global_session, "platform", "admin") is Role.OWNER


def test_second_factor_of_the_admin_holds_for_the_superadmins_mailbox(
    global_session: Session,
) -> None:
    """Though the user `admin` has another address yet."""
    admin = tenants.ensure_admin(global_session, "root")
    admin.totp_secret, admin.totp_enabled = "x", True
    link = ask(global_session)
    found = magic_links.claim(global_session, link.token, superadmin_email=EMAIL, now=NOW)
    assert found.refusal is LinkRefusal.TOTP_REQUIRED


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000Z"])
@pytest.mark.parametrize(("minutes", "full"), [(14, True), (16, False), (600, False)])
def test_window_counts_rows_of_either_format(
    global_session: Session, form: str, minutes: int, *, full: bool
) -> None:
    ask(global_session)
    store(global_session, created_at=(NOW - timedelta(minutes=minutes)).strftime(form))
    windows = [RateWindow(CountedBy.EMAIL, 1, timedelta(minutes=15))]
    if full:
        with pytest.raises(TooManyLinksError) as caught:
            ask(global_session, windows=windows)
        assert 59 < caught.value.retry_after_seconds < 61
    else:
        ask(global_session, windows=windows)


def test_window_of_nothing_is_always_full(global_session: Session) -> None:
    with pytest.raises(TooManyLinksError):
        ask(global_session, windows=[RateWindow(CountedBy.IP, 0, timedelta(minutes=1))])


ASK = """
from streamhub_orm.errors import TooManyLinksError
from streamhub_orm.services import magic_links
made = 0
for _ in range(3):
    try:
        databases.global_session().run(magic_links.request, "ann@example.org")
        made += 1
    except TooManyLinksError:
        pass
print(made)
"""


def test_window_holds_against_several_processes(databases: Databases) -> None:
    assert sum(map(int, race(ASK, databases))) == 1


@pytest.mark.parametrize("by", CountedBy)
def test_window_searches_the_index_of_the_time(global_session: Session, by: CountedBy) -> None:
    window = RateWindow(by, 5, timedelta(minutes=15))
    made_within = magic_links._made_within(window, sa.true(), NOW)
    assert_uses_index(global_session, made_within, "idx_magic_tokens_created")


def test_delete_removes_what_is_older_in_either_format(global_session: Session) -> None:
    for made in ("2026-01-30T00:00:00.000Z", "2026-01-31 11:00:00", "2026-01-31T13:00:00.000Z"):
        link = ask(global_session, windows=())
        stored.store(global_session, MagicToken, {"id": link.id}, created_at=made)
    assert magic_links.purge(global_session, before=NOW) == 2
    left = [row["created_at"] for row in stored.rows_of(global_session, MagicToken)]
    assert left == ["2026-01-31T13:00:00.000Z"]


@pytest.mark.parametrize("made", ["00:00:00.000", "00:00:00.250", "00:00:00.999", "00:00:07.001"])
def test_who_keeps_to_the_told_time_is_let_in(global_session: Session, made: str) -> None:
    first = datetime.fromisoformat(f"2026-05-01T{made}+00:00")
    magic_links.request(global_session, "ann@example.org", ip="192.0.2.1", now=first)
    now = first + timedelta(seconds=30.4)
    with pytest.raises(TooManyLinksError) as caught:
        magic_links.request(global_session, "ann@example.org", ip="192.0.2.1", now=now)
    seconds = caught.value.retry_after_seconds
    assert f"Ask again in {seconds:g} s." in str(caught.value)
    assert seconds == int(seconds)
    magic_links.request(
        global_session, "ann@example.org", ip="192.0.2.1", now=now + timedelta(seconds=seconds)
    )


def test_the_longest_wait_of_several_windows_is_told(global_session: Session) -> None:
    windows = (
        RateWindow(CountedBy.EMAIL, 1, timedelta(minutes=1)),
        RateWindow(CountedBy.IP, 1, timedelta(hours=1)),
    )
    now = datetime(2026, 5, 1, tzinfo=UTC)
    magic_links.request(global_session, "ann@example.org", ip="192.0.2.1", windows=windows, now=now)
    with pytest.raises(TooManyLinksError, match="by this ip") as caught:
        magic_links.request(
            global_session, "ann@example.org", ip="192.0.2.1", windows=windows, now=now
        )
    later = now + timedelta(seconds=caught.value.retry_after_seconds)
    magic_links.request(
        global_session, "ann@example.org", ip="192.0.2.1", windows=windows, now=later
    )

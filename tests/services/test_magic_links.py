"""Magic links: used once whoever else tries, in time, and not too many of them."""

from __future__ import annotations

import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import TooManyLinksError
from streamhub_orm.services import magic_links
from streamhub_orm.services.magic_links import CountedBy, LinkRefusal, RateWindow
from streamhub_orm.testing.checks import plan_of, plans_of
from tests.services.racing import race

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 1, 31, 12, 0, 30, 250_000, tzinfo=UTC)
EMAIL = "Ann@example.org"


def ask(session: Session, **options: object) -> magic_links.MagicLink:
    wanted = {"now": NOW, "ip": "192.0.2.7", **options}
    return magic_links.request(session, EMAIL, **wanted)  # type: ignore[arg-type]


def claim(session: Session, token: str, now: datetime = NOW) -> magic_links.LinkClaim:
    return magic_links.claim(session, token, now=now)


def row_of(session: Session, link_id: int) -> dict[str, object]:
    query = sa.text("SELECT * FROM magic_tokens WHERE id = :id")
    return dict(session.execute(query, {"id": link_id}).mappings().one())


def store(session: Session, **values: object) -> None:
    """Write values into every link as another program would, past the column types."""
    for column, value in values.items():
        session.execute(sa.text(f"UPDATE magic_tokens SET {column} = :value"), {"value": value})


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
    stored = str(row_of(global_session, link.id)["token_hash"])
    assert claim(global_session, stored).refusal is LinkRefusal.UNKNOWN


def test_link_of_another_kind_is_unknown_and_stays(global_session: Session) -> None:
    link = ask(global_session, kind="invite")
    assert claim(global_session, link.token).refusal is LinkRefusal.UNKNOWN
    assert magic_links.claim(global_session, link.token, kind="invite", now=NOW)


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
    link = ask(global_session, lifetime=timedelta(milliseconds=1))
    later = NOW + timedelta(milliseconds=2)
    assert claim(global_session, link.token, later).refusal is LinkRefusal.EXPIRED
    assert claim(global_session, link.token, NOW + timedelta(milliseconds=1))


@pytest.mark.parametrize("stored", ["", "never", "9999", "~", "2027-13-40T00:00:00.000Z"])
def test_link_with_a_malformed_expiry_is_expired(global_session: Session, stored: str) -> None:
    link = ask(global_session)
    store(global_session, expires_at=stored)
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
with databases.global_session() as session:
    print("in" if magic_links.claim(session, arguments[0]) else "out")
"""


def test_link_claimed_by_several_processes_lets_one_in(databases: Databases) -> None:
    with databases.global_session() as session:
        token = magic_links.request(session, EMAIL).token
    assert race(CLAIM, databases.place.root, token) == ["in", "out", "out", "out"]


def test_link_claimed_by_many_threads_lets_one_in(databases: Databases) -> None:
    with databases.global_session() as session:
        tokens = [ask(session, windows=()).token for _ in range(5)]
    gate = threading.Barrier(8)

    def claim_all(_: int) -> list[bool]:
        gate.wait(timeout=30)
        won = []
        for token in tokens:
            with databases.global_session() as session:
                won.append(bool(claim(session, token)))
        return won

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(claim_all, range(8)))
    assert [sum(won) for won in zip(*outcomes, strict=True)] == [1] * 5


def test_claim_searches_the_index_of_the_hash(global_session: Session) -> None:
    link = ask(global_session)
    plans = plans_of(global_session, lambda: claim(global_session, link.token))
    index = "sqlite_autoindex_magic_tokens_1 (token_hash=?)"
    assert plans == [f"SEARCH magic_tokens USING INDEX {index}"] * 2


def test_sixth_link_to_one_address_is_refused_and_not_stored(global_session: Session) -> None:
    """In whatever case it is written, and from wherever it is asked for."""
    for n in range(5):
        ask(global_session, ip=f"192.0.2.{n}", now=NOW + timedelta(minutes=n))
    with pytest.raises(TooManyLinksError) as caught:
        magic_links.request(global_session, "ANN@EXAMPLE.ORG ", now=NOW + timedelta(minutes=5))
    assert (caught.value.key, caught.value.limit) == ("email", 5)
    assert caught.value.retry_after_seconds == 601
    assert global_session.scalar(sa.text("SELECT count(*) FROM magic_tokens")) == 5
    magic_links.request(global_session, "bob@example.org", now=NOW)


def test_link_is_made_again_when_the_window_has_moved_on(global_session: Session) -> None:
    for n in range(5):
        ask(global_session, now=NOW + timedelta(minutes=n))
    for minutes in (15.01, 16.01):
        ask(global_session, now=NOW + timedelta(minutes=minutes))
    with pytest.raises(TooManyLinksError):
        ask(global_session, now=NOW + timedelta(minutes=16.02))


def test_twenty_first_link_for_one_ip_is_refused(global_session: Session) -> None:
    def ask_for(n: int, ip: str | None = "192.0.2.7") -> None:
        magic_links.request(global_session, f"{n}@example.org", ip=ip, now=NOW)

    for n in range(20):
        ask_for(n)
    with pytest.raises(TooManyLinksError, match="by this ip"):
        ask_for(20)
    ask_for(20, "192.0.2.8")
    for n in range(30, 60):
        ask_for(n, None)


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
        with databases.global_session() as session:
            magic_links.request(session, "ann@example.org")
        made += 1
    except TooManyLinksError:
        pass
print(made)
"""


def test_window_holds_against_several_processes(databases: Databases) -> None:
    assert sum(map(int, race(ASK, databases.place.root))) == 5


@pytest.mark.parametrize("by", CountedBy)
def test_window_searches_the_index_of_the_time(global_session: Session, by: CountedBy) -> None:
    window = RateWindow(by, 5, timedelta(minutes=15))
    plan = plan_of(global_session, magic_links._made_within(window, "x", NOW))
    assert "SEARCH magic_tokens USING INDEX idx_magic_tokens_created (created_at>?)" in plan


def test_delete_removes_what_is_older_in_either_format(global_session: Session) -> None:
    for stored in ("2026-01-30T00:00:00.000Z", "2026-01-31 11:00:00", "2026-01-31T13:00:00.000Z"):
        link = ask(global_session, windows=())
        statement = sa.text("UPDATE magic_tokens SET created_at = :at WHERE id = :id")
        global_session.execute(statement, {"at": stored, "id": link.id})
    assert magic_links.purge(global_session, before=NOW) == 2
    left = global_session.scalars(sa.text("SELECT created_at FROM magic_tokens")).all()
    assert left == ["2026-01-31T13:00:00.000Z"]


@pytest.mark.parametrize("made", ["00:00:00.000", "00:00:00.250", "00:00:00.999", "00:00:07.001"])
def test_who_keeps_to_the_told_time_is_let_in(global_session: Session, made: str) -> None:
    first = datetime.fromisoformat(f"2026-05-01T{made}+00:00")
    for number in range(5):
        magic_links.request(
            global_session, "ann@example.org", ip="192.0.2.1", now=first + timedelta(seconds=number)
        )
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

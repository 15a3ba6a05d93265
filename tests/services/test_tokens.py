"""API tokens: plain text once, a hash in the file, refusals that can be told apart."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    AddressError,
    ControlPlaneMissingError,
    TokenFormError,
    UnknownAppError,
    UnknownTokenError,
)
from streamhub_orm.global_db import ApiToken, App, TokenScope
from streamhub_orm.services import tokens
from streamhub_orm.services.tokens import TokenRefusal
from streamhub_orm.testing.checks import assert_uses_index
from tests.services import stored
from tests.services.node import ask_node

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

NOW = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)


def check(
    session: Session, token: str, app: str | None = None, address: str | None = "192.0.2.7"
) -> tokens.TokenCheck:
    return tokens.verify(session, token, address=address, app=app, now=NOW)


def row_of(session: Session, token_id: int) -> dict[str, object]:
    return stored.row_of(session, ApiToken, id=token_id)


def store(session: Session, token_id: int, **values: object) -> None:
    stored.store(session, ApiToken, {"id": token_id}, **values)


def test_issue_gives_a_token_of_the_form_of_the_field(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    assert re.fullmatch(r"sk_[A-Za-z0-9_-]{43}", made.plaintext)
    assert tokens.issue(global_session, "automation").plaintext != made.plaintext


def test_issue_stores_the_hash_of_the_whole_token_and_not_the_token(
    global_session: Session,
) -> None:
    made = tokens.issue(global_session, "automation", allowed_ips=["10.0.0.0/8", "::1"])
    row = row_of(global_session, made.id)
    assert row["token_hash"] == hashlib.sha256(made.plaintext.encode()).hexdigest()
    assert row["allowed_ips_json"] == '["10.0.0.0/8","::1"]'
    assert (row["scope"], row["app_id"], row["tenant_id"]) == ("global", None, "platform")
    assert (row["revoked"], row["last_used_at"]) == (0, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", str(row["created_at"]))
    assert made.plaintext not in str(row)


def test_issue_without_addresses_stores_null(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    assert row_of(global_session, made.id)["allowed_ips_json"] is None


def test_plaintext_is_in_no_repr_and_no_list(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    found = check(global_session, made.plaintext)
    (listed,) = tokens.list_(global_session)
    token_hash = hashlib.sha256(made.plaintext.encode()).hexdigest()
    for shown in (repr(made), repr(found), repr(listed), str(made)):
        assert made.plaintext not in shown
        assert token_hash not in shown


def test_token_of_an_app_belongs_to_the_tenant_of_the_app(acme: Databases) -> None:
    with acme.global_session() as session:
        of_acme = tokens.issue(session, "of tv-2", app="tv-2")
        of_platform = tokens.issue(session, "of live", app="live")
        session.execute(sa.update(App).where(App.name == "tv-3").values(tenant_id=None))
        of_nobody = tokens.issue(session, "of tv-3", app="tv-3")
        owners = [
            row_of(session, made.id)["tenant_id"] for made in (of_acme, of_platform, of_nobody)
        ]
    assert owners == ["acme", "platform", "platform"]


def test_issue_for_an_app_that_is_not_registered_is_refused(global_session: Session) -> None:
    with pytest.raises(UnknownAppError, match=r"streamhub\S*: found no app 'nope' in"):
        tokens.issue(global_session, "x", app="nope")


@pytest.mark.parametrize("entries", [["nonsense"], ["10.0.0.0/8", "10.0.0.0/99"], "10.0.0.0/8"])
def test_issue_with_an_address_that_is_none_is_refused(
    global_session: Session, entries: list[str]
) -> None:
    with pytest.raises(AddressError):
        tokens.issue(global_session, "x", allowed_ips=entries)
    assert tokens.list_(global_session) == []


def test_global_token_opens_everything(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    for app in (None, "live", "tv-2"):
        found = check(global_session, made.plaintext, app)
        assert found
        assert (found.refusal, found.token_id, found.app) == (None, made.id, None)
        assert (found.name, found.scope, found.tenant_id) == ("automation", "global", "platform")


def test_token_of_an_app_opens_this_app_only(acme: Databases) -> None:
    with acme.global_session() as session:
        made = tokens.issue(session, "of tv-2", app="tv-2")
        found = check(session, made.plaintext, "tv-2")
        assert found
        assert (found.app, found.tenant_id) == ("tv-2", "acme")
        for app in (None, "live", "tv-3", ""):
            refused = check(session, made.plaintext, app)
            assert not refused
            assert refused.refusal is TokenRefusal.SCOPE


@pytest.mark.parametrize("app", [None, "", "live"])
def test_token_of_no_app_opens_nothing(global_session: Session, app: str | None) -> None:
    """The scope says app, but the row names none."""
    made = tokens.issue(global_session, "x", app="live")
    store(global_session, made.id, app_id=None)
    assert check(global_session, made.plaintext, app).refusal is TokenRefusal.SCOPE


def test_unknown_token_is_refused(global_session: Session) -> None:
    found = check(global_session, "sk_" + "A" * 43)
    assert (found.refusal, found.token_id) == (TokenRefusal.UNKNOWN, None)
    assert not found.is_authenticated


@pytest.mark.parametrize("token", ["", "sk", "Bearer sk_x", " sk_x", "SK_x", "sk_" + "x" * 1000])
def test_text_that_is_no_token_is_refused_unread(global_session: Session, token: str) -> None:
    assert check(global_session, token).refusal is TokenRefusal.MALFORMED


@pytest.mark.parametrize("token", ["sk_", "sk_\0", "sk_\ud83d", "sk_ü", "sk_' OR 1=1 --"])
def test_odd_characters_are_just_an_unknown_token(global_session: Session, token: str) -> None:
    assert check(global_session, token).refusal is TokenRefusal.UNKNOWN


def test_revoked_token_opens_nothing(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    tokens.revoke(global_session, made.id)
    found = check(global_session, made.plaintext)
    assert (found.refusal, found.token_id) == (TokenRefusal.REVOKED, made.id)
    assert not found.is_authenticated
    assert row_of(global_session, made.id)["revoked"] == 1


def test_revoked_token_stays_revoked_where_its_hash_stands_twice(global_session: Session) -> None:
    """The column is not unique; a second row must not bring the token back."""
    made = tokens.issue(global_session, "automation")
    token_hash = row_of(global_session, made.id)["token_hash"]
    stored.insert(
        global_session, ApiToken, name="x", token_hash=token_hash, scope="global", revoked=1
    )
    assert check(global_session, made.plaintext).refusal is TokenRefusal.REVOKED


def test_revoke_twice_is_done_and_of_an_unknown_token_refused(global_session: Session) -> None:
    made = tokens.issue(global_session, "automation")
    tokens.revoke(global_session, made.id)
    tokens.revoke(global_session, made.id)
    with pytest.raises(UnknownTokenError, match="found no API token 99"):
        tokens.revoke(global_session, 99)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.0/24"], "192.0.2.255"),
        (["10.0.0.0/8", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7"], "::ffff:192.0.2.7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["::ffff:192.0.2.0/120"], "192.0.2.9"),
        (["2001:db8::/32"], "2001:db8:1::5"),
        (["2001:DB8:0::1"], "2001:db8::1"),
        ([], None),
        ([], "no address"),
    ],
)
def test_address_of_the_allow_list_is_let_in(
    global_session: Session, allowed: list[str], address: str | None
) -> None:
    made = tokens.issue(global_session, "x", allowed_ips=allowed)
    assert check(global_session, made.plaintext, address=address)


@pytest.mark.parametrize("address", ["192.0.2.8", "2001:db8::1", "::ffff:192.0.2.8", "x", "", None])
def test_address_outside_the_allow_list_is_refused(
    global_session: Session, address: str | None
) -> None:
    made = tokens.issue(global_session, "x", allowed_ips=["192.0.2.7", "2001:db8:1::/48"])
    found = check(global_session, made.plaintext, address=address)
    assert found.refusal is TokenRefusal.ADDRESS
    assert found.is_authenticated


def test_address_is_looked_at_before_the_scope(global_session: Session) -> None:
    """Whoever stole a token does not learn what it opens."""
    made = tokens.issue(global_session, "x", app="live", allowed_ips=["192.0.2.1"])
    assert check(global_session, made.plaintext, "tv-2").refusal is TokenRefusal.ADDRESS


@pytest.mark.parametrize("text", ["[]", None, "null"])
def test_empty_allow_list_of_the_node_core_is_no_restriction(
    global_session: Session, text: str | None
) -> None:
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, allowed_ips_json=text)
    assert check(global_session, made.plaintext)


NO_LIST = ['"192.0.2.7"', '{"0": "192.0.2.7"}', "true", "0"]
NO_ADDRESS = ['["x"]', "[3221225991]", '[""]', "[null]"]
NO_JSON = ["", "[", "nonsense", "[" * 9999, b"\xff"]


@pytest.mark.parametrize(
    "text",
    [*NO_LIST, *NO_ADDRESS, *(pytest.param(it, marks=pytest.mark.files) for it in NO_JSON)],
)
def test_malformed_allow_list_is_closed(global_session: Session, text: object) -> None:
    """3221225991 is 192.0.2.7 to a library that takes numbers."""
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, allowed_ips_json=text)
    assert check(global_session, made.plaintext).refusal is TokenRefusal.ADDRESS


def test_malformed_entry_leaves_the_others_in_force(global_session: Session) -> None:
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, allowed_ips_json='["x", "192.0.2.7"]')
    assert check(global_session, made.plaintext)
    assert not check(global_session, made.plaintext, address="192.0.2.8")


NODE_ISSUES = """
const crypto = require("crypto");
const token = "sk_" + crypto.randomBytes(32).toString("base64url");
const hash = crypto.createHash("sha256").update(token).digest("hex");
process.stdout.write(JSON.stringify([token, hash, JSON.stringify(["10.0.0.0/8", "::1"])]));
"""


def test_token_issued_by_node_is_verified(global_session: Session) -> None:
    token, token_hash, allowed = json.loads(ask_node(NODE_ISSUES))
    global_session.execute(
        sa.text(
            "INSERT INTO api_tokens (name, token_hash, scope, app_id, allowed_ips_json)"
            " VALUES ('n', :hash, 'app', 1, :allowed)"
        ),
        {"hash": token_hash, "allowed": allowed},
    )
    assert check(global_session, token, "live", "::1")
    assert not check(global_session, token, "live", "::2")


def test_token_issued_here_has_the_hash_that_node_looks_for(global_session: Session) -> None:
    made = tokens.issue(global_session, "x")
    script = "const c = require('crypto').createHash('sha256').update(process.argv[1]);"
    found = ask_node(script + "process.stdout.write(c.digest('hex'))", made.plaintext)
    assert row_of(global_session, made.id)["token_hash"] == found


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.250Z"])
@pytest.mark.parametrize(
    ("age", "due"),
    [(1, False), (50, False), (61, True), (86_400, True), (-1, False), (-59, False), (-3600, True)],
)
def test_last_use_is_due_after_a_minute_in_either_format(
    global_session: Session, form: str, age: int, *, due: bool
) -> None:
    """A mark far ahead comes from a clock that was wrong, and is put right."""
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, last_used_at=(NOW - timedelta(seconds=age)).strftime(form))
    before = row_of(global_session, made.id)["last_used_at"]
    assert check(global_session, made.plaintext).touch_due is due
    assert tokens.touch(global_session, made.id, now=NOW) is due
    expected = "2026-01-31 12:00:30" if due else before
    assert row_of(global_session, made.id)["last_used_at"] == expected


@pytest.mark.parametrize(
    "text", [None, *(pytest.param(it, marks=pytest.mark.files) for it in ("", "nonsense"))]
)
def test_last_use_that_is_no_time_is_written(global_session: Session, text: str | None) -> None:
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, last_used_at=text)
    assert check(global_session, made.plaintext).touch_due
    assert tokens.touch(global_session, made.id, now=NOW)
    assert not check(global_session, made.plaintext).touch_due
    assert not tokens.touch(global_session, made.id, now=NOW)


def test_refused_token_is_not_touched(global_session: Session) -> None:
    made = tokens.issue(global_session, "x", app="live", allowed_ips=["192.0.2.7"])
    assert not check(global_session, made.plaintext, "tv-2").touch_due
    assert not check(global_session, made.plaintext, "live", "192.0.2.8").touch_due


def test_verify_is_done_in_a_read_only_session_while_another_writes(databases: Databases) -> None:
    """It waits for no lock, and takes none."""
    with databases.global_session() as session:
        made = tokens.issue(session, "x")
    with databases.global_session() as writer:
        writer.add(App(name="tv-9"))
        writer.flush()
        with databases.global_session(read_only=True) as session:
            assert tokens.verify(session, made.plaintext, address=None)


def test_check_request_writes_once_a_minute(databases: Databases) -> None:
    with databases.global_session() as session:
        made = tokens.issue(session, "x")
    for second, expected in ((0, 0), (30, 0), (59, 0), (61, 61), (90, 61), (125, 125)):
        now = NOW + timedelta(seconds=second)
        assert tokens.check_request(databases, made.plaintext, address=None, now=now)
        with databases.global_session(read_only=True) as session:
            (info,) = tokens.list_(session)
            assert info.last_used_at == NOW + timedelta(seconds=expected)


def test_check_request_without_a_token_is_refused(databases: Databases) -> None:
    """A request without the header is one more that is not authenticated."""
    found = tokens.check_request(databases, None, address=None)
    assert (found.refusal, found.is_authenticated) == (TokenRefusal.MALFORMED, False)


def test_check_request_with_a_fresh_mark_needs_no_write_lock(databases: Databases) -> None:
    with databases.global_session() as session:
        made = tokens.issue(session, "x")
        tokens.touch(session, made.id)
    with databases.global_session() as writer:
        writer.connection()
        assert tokens.check_request(databases, made.plaintext, address=None)


def test_touch_of_many_callers_writes_once(databases: Databases) -> None:
    with databases.global_session() as session:
        made = tokens.issue(session, "x")
    gate = threading.Barrier(4)

    def touch(_: int) -> bool:
        gate.wait(timeout=30)
        return databases.global_session().run(tokens.touch, made.id, now=NOW)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(touch, range(4))) == [False, False, False, True]


def test_check_request_of_many_at_once_lets_all_in_and_writes_once(databases: Databases) -> None:
    """On a server their marks conflict, which no caller notices."""
    with databases.global_session() as session:
        made = tokens.issue(session, "x")
    gate = threading.Barrier(8)

    def ask(_: int) -> bool:
        gate.wait(timeout=30)
        return bool(tokens.check_request(databases, made.plaintext, address=None, now=NOW))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [True] * 8
    with databases.global_session(read_only=True) as session:
        assert tokens.list_(session)[0].last_used_at == NOW


def test_verify_searches_the_index_of_the_hash(global_session: Session) -> None:
    for index in ("idx_api_tokens_hash", "pk_apps"):
        assert_uses_index(global_session, tokens._FIND.statement, index, {"hash": "x"})


def test_list_shows_all_of_one_app_or_of_one_tenant(acme: Databases) -> None:
    with acme.global_session() as session:
        made = [tokens.issue(session, app or "all", app=app) for app in (None, "live", "tv-2")]
        store(session, made[1].id, tenant_id=None)
        tokens.revoke(session, made[2].id)

        def names(**wanted: str) -> list[str]:
            return [info.name for info in tokens.list_(session, **wanted)]

        assert names() == ["all", "live", "tv-2"]
        assert names(app="tv-2") == names(tenant_id="acme") == ["tv-2"]
        assert names(tenant_id="platform") == ["all", "live"]
        assert names(tenant_id="nobody") == []
        assert names(app="live", tenant_id="acme") == []
        with pytest.raises(UnknownAppError):
            names(app="nope")
        info = tokens.list_(session)[2]
    assert (info.scope, info.app, info.tenant_id) == (TokenScope.APP, "tv-2", "acme")
    assert info.revoked is True
    assert info.allowed_ips == ()


def test_row_whose_allow_list_is_malformed_is_listed_and_revoked(global_session: Session) -> None:
    made = tokens.issue(global_session, "x")
    store(global_session, made.id, allowed_ips_json="true")
    assert tokens.list_(global_session)[0].allowed_ips is None
    tokens.revoke(global_session, made.id)
    assert tokens.list_(global_session)[0].revoked


NO_TABLE = r"no such table: api_tokens|\"api_tokens\" does not exist"
BOOTSTRAP = "sk_" + "b" * 43


@pytest.mark.parametrize("text", [BOOTSTRAP, BOOTSTRAP + "\n", f"\n  {BOOTSTRAP}\r\n"])
def test_seed_stores_the_token_once(global_session: Session, text: str) -> None:
    first = tokens.seed(global_session, io.StringIO(text))
    again = tokens.seed(global_session, io.StringIO(text))
    assert (first.is_new, again.is_new) == (True, False)
    assert first.id == again.id
    assert not again.is_revoked
    (info,) = tokens.list_(global_session)
    assert (info.name, info.scope) == ("bootstrap", TokenScope.GLOBAL)
    assert check(global_session, BOOTSTRAP)


def test_seed_beside_a_global_token_in_use_stores_nothing(acme: Databases) -> None:
    """Reference, Access: seeding only if no unrevoked global token exists (name bootstrap)."""
    with acme.global_session() as session:
        tokens.issue(session, "of an app", app="tv-2")
        revoked = tokens.issue(session, "revoked")
        tokens.revoke(session, revoked.id)
        first = tokens.seed(session, io.StringIO(BOOTSTRAP))
        other = tokens.seed(session, io.StringIO("sk_" + "c" * 43))
        assert (first.is_new, first.is_other) == (True, False)
        assert (other.id, other.is_new, other.is_other) == (first.id, False, True)
        assert not check(session, "sk_" + "c" * 43)
        assert [info.name for info in tokens.list_(session)] == [
            "of an app",
            "revoked",
            "bootstrap",
        ]
        tokens.revoke(session, first.id)
        assert tokens.seed(session, io.StringIO("sk_" + "c" * 43)).is_new


def test_seed_of_a_revoked_token_does_not_bring_it_back(global_session: Session) -> None:
    first = tokens.seed(global_session, io.StringIO(BOOTSTRAP))
    tokens.revoke(global_session, first.id)
    again = tokens.seed(global_session, io.StringIO(BOOTSTRAP))
    assert (again.is_new, again.is_revoked) == (False, True)
    assert not check(global_session, BOOTSTRAP)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "nothing"),
        (" \n", "nothing"),
        (f"{BOOTSTRAP}\n{BOOTSTRAP}", "several words or lines"),
        ("TOKEN=" + BOOTSTRAP, "52 characters of another form"),
        ("sk_short", "8 characters of another form"),
        ("sk_" + "é" * 43, "46 characters of another form"),
        ("sk_" + "b" * 100_000, "512 characters of another form"),
    ],
)
def test_seed_of_what_is_no_token_is_refused_without_showing_it(
    global_session: Session, text: str, found: str
) -> None:
    with pytest.raises(TokenFormError, match="expected one API token") as caught:
        tokens.seed(global_session, io.StringIO(text))
    assert caught.value.found == found
    assert not text.strip() or text.strip() not in str(caught.value)
    assert tokens.list_(global_session) == []


def test_seed_of_many_callers_stores_one_row(databases: Databases) -> None:
    gate = threading.Barrier(4)

    def seed_it(session: Session) -> bool:
        return tokens.seed(session, io.StringIO(BOOTSTRAP)).is_new

    def seed(_: int) -> bool:
        gate.wait(timeout=30)
        return databases.global_session().run(seed_it)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(seed, range(4))) == [False, False, False, True]


def test_token_goes_with_its_app(acme: Databases) -> None:
    with acme.global_session() as session:
        made = tokens.issue(session, "x", app="tv-2")
        session.execute(sa.delete(App).where(App.name == "tv-2"))
        assert session.scalar(sa.select(sa.func.count(ApiToken.id))) == 0
        assert check(session, made.plaintext, "tv-2").refusal is TokenRefusal.UNKNOWN


@pytest.mark.parametrize(
    ("given", "kept", "is_matched"),
    [
        (" 10.0.0.0/8 ", "10.0.0.0/8", True),
        ("10.1.2.3/8", "10.1.2.3/8", True),
        ("192.0.2.7/32", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24", True),
        ("2001:DB8:0::1", "2001:db8::1", True),
        ("2001:db8::1/128", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db8::/32", False),
    ],
)
def test_entry_is_stored_as_the_core_matches_it_and_warned_of_where_it_does_not(
    global_session: Session,
    caplog: pytest.LogCaptureFixture,
    given: str,
    kept: str,
    *,
    is_matched: bool,
) -> None:
    """Reference, Access: matching: exact text or IPv4 CIDR; IPv6 ranges never match."""
    made = tokens.issue(global_session, "x", allowed_ips=[given])
    assert json.loads(str(row_of(global_session, made.id)["allowed_ips_json"])) == [kept]
    assert made.unmatched == (() if is_matched else (kept,))
    warned = [record.getMessage() for record in caplog.records]
    expected = f"token {made.id}: the Node core matches no network of IPv6: {kept}"
    assert warned == ([] if is_matched else [expected])


def test_stored_allow_list_is_what_the_node_core_reads(global_session: Session) -> None:
    made = tokens.issue(global_session, "x", allowed_ips=[" 10.0.0.0/8 "])
    assert json.loads(str(row_of(global_session, made.id)["allowed_ips_json"])) == ["10.0.0.0/8"]


def test_error_of_the_database_comes_as_sqlalchemys_own_without_the_hash(
    databases: Databases,
) -> None:
    token = "sk_" + "A" * 43

    def look(session: Session) -> None:
        session.execute(sa.text("ALTER TABLE api_tokens RENAME TO elsewhere"))
        check(session, token)

    with pytest.raises((sa.exc.DBAPIError, ControlPlaneMissingError), match=NO_TABLE) as caught:
        databases.global_session().run(look)
    assert hashlib.sha256(token.encode()).hexdigest() not in str(caught.value)

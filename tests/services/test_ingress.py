"""ingress.Ingress credentials: the Node core's passwords, keys, and who may publish."""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import UnknownIngressError
from streamhub_orm.services import ingress
from streamhub_orm.testing.checks import plan_of
from tests.services.node import ask_node

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from streamhub_orm.services.core import PointQuery

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SALT: Final = "00ff10ab00ff10ab00ff10ab00ff10ab"
PASSWORDS: Final = ["correct horse", "pässwörd 王", "", "with\0nul", "🔑"]


def by_hashlib(password: str, salt: str = SALT) -> ingress.IngressPassword:
    """Hash as the format says, straight from hashlib."""
    hashed = hashlib.scrypt(password.encode(), salt=salt.encode(), n=16384, r=8, p=1, dklen=32)
    return ingress.IngressPassword(hashed.hex(), salt)


SECRET: Final = by_hashlib("secret")


NODE_HASHES: Final = """
const crypto = require("crypto");
const [salt, passwords] = JSON.parse(process.argv[1]);
const made = passwords.map((word) => crypto.scryptSync(word, salt, 32).toString("hex"));
process.stdout.write(JSON.stringify(made));
"""


def ingress_of(password: ingress.IngressPassword | None, **values: Any) -> ingress.Ingress:  # noqa: ANN401 - any column
    fields = {
        "ingress_id": "wsi_1",
        "app": "live",
        "room": None,
        "stream_key": "wsk_SECRET",
        "password_hash": password and password.hash,
        "password_salt": password and password.salt,
        "requires_password": password is not None,
        "validated_at": None,
        "created_at": NOON,
    }
    return ingress.Ingress(**(fields | values))


def register(session: Session, ingress_id: str = "wsi_1", **values: Any) -> None:  # noqa: ANN401 - any column
    ingress.register(session, ingress_id=ingress_id, app="live", now=NOON, **values)


def raw(session: Session, ingress_id: str = "wsi_1") -> dict[str, Any]:
    found = session.execute(
        sa.text("SELECT * FROM ingress_auth WHERE ingress_id = :id"), {"id": ingress_id}
    )
    return dict(found.mappings().one())


# --- passwords ------------------------------------------------------------------------------


def test_password_hashed_by_node_is_accepted() -> None:
    """With Node's defaults, and the hex text of the salt as the salt."""
    made = json.loads(ask_node(NODE_HASHES, json.dumps([SALT, PASSWORDS])))
    stored = [ingress_of(ingress.IngressPassword(hashed, SALT)) for hashed in made]
    assert all(row.accepts(word) for row, word in zip(stored, PASSWORDS, strict=True))
    assert not stored[0].accepts("another")


def test_password_hashed_here_is_what_node_makes_of_it() -> None:
    made = ingress.hash_password("pässwörd 王")
    assert json.loads(ask_node(NODE_HASHES, json.dumps([made.salt, ["pässwörd 王"]]))) == [
        made.hash
    ]


@pytest.mark.parametrize("password", PASSWORDS)
def test_password_hashed_by_hashlib_is_accepted(password: str) -> None:
    assert ingress_of(by_hashlib(password)).accepts(password)


def test_hash_has_the_form_of_the_field_and_a_salt_of_its_own() -> None:
    first, second = ingress.hash_password("secret"), ingress.hash_password("secret")
    assert first.salt != second.salt
    assert re.fullmatch(r"[0-9a-f]{64}", first.hash)
    assert re.fullmatch(r"[0-9a-f]{32}", first.salt)


@pytest.mark.parametrize("wrong", [None, "", "Secret", "secret ", "secre"])
def test_wrong_password_is_not_accepted(wrong: str | None) -> None:
    assert not ingress_of(SECRET).accepts(wrong)


@pytest.mark.parametrize(
    "stored",
    [
        {"password_hash": None},
        {"password_hash": ""},
        {"password_hash": SECRET.hash[:32]},
        {"password_hash": SECRET.hash + "00"},
        {"password_hash": "é" * 64},
        {"password_salt": None},
        {"password_salt": ""},
        {"password_salt": SALT.upper()},
    ],
    ids=str,
)
def test_malformed_credentials_accept_nothing(stored: dict[str, Any]) -> None:
    """Also where the row needs a password and has none."""
    assert not ingress_of(SECRET, **stored).accepts("secret")


def test_ingress_without_a_password_accepts_anything() -> None:
    assert ingress_of(None).accepts(None)
    assert ingress_of(None).accepts("whatever")


def test_secrets_stay_out_of_repr() -> None:
    keys = ingress.new_ws_keys()
    shown = repr([ingress_of(SECRET), SECRET, keys])
    for secret in (SECRET.hash, SALT, "wsk_SECRET", keys.stream_key):
        assert secret not in shown
    assert keys.ingress_id in shown


def test_ws_keys_have_the_form_of_the_field_and_are_never_the_same() -> None:
    made = [ingress.new_ws_keys() for _ in range(50)]
    for keys in made:
        assert re.fullmatch(r"wsi_[0-9a-f]{12}", keys.ingress_id)
        assert re.fullmatch(r"wsk_[A-Za-z0-9_-]{32}", keys.stream_key)  # 24 bytes
    assert len({keys.stream_key for keys in made}) == 50


# --- rows -----------------------------------------------------------------------------------


def test_registered_ingress_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    register(app_session, room="stage", stream_key="wsk_1", password=SECRET)
    assert raw(app_session) == {
        "ingress_id": "wsi_1",
        "app": "live",
        "room": "stage",
        "stream_key": "wsk_1",
        "password_hash": SECRET.hash,
        "password_salt": SALT,
        "requires_password": 1,
        "validated_at": None,
        "created_at": "2026-01-31 12:00:00",
    }


def test_ingress_without_a_password_is_authorised_at_once(app_session: Session) -> None:
    register(app_session)
    row = raw(app_session)
    assert (row["requires_password"], row["password_hash"], row["password_salt"]) == (0, None, None)
    assert ingress.is_authorised(app_session, "wsi_1")


def test_ingress_is_found_by_id_and_by_key(app_session: Session) -> None:
    register(app_session, stream_key="wsk_1", password=SECRET)
    register(app_session, "wsi_2")
    found = ingress.find_by_key(app_session, "wsk_1")
    assert found == ingress.find(app_session, "wsi_1")
    assert found is not None
    assert (found.password_hash, found.created_at) == (SECRET.hash, NOON)
    assert ingress.find_by_key(app_session, "wsk_2") is None
    assert ingress.find(app_session, "wsi_3") is None
    assert [row.ingress_id for row in ingress.list_(app_session)] == ["wsi_1", "wsi_2"]


def test_new_credentials_are_to_be_shown_anew(app_session: Session) -> None:
    """The ingress keeps the time it was first registered at."""
    register(app_session, password=SECRET)
    shown = ingress.find(app_session, "wsi_1")
    assert shown is not None
    assert ingress.mark_validated(app_session, shown)
    assert ingress.is_authorised(app_session, "wsi_1")
    ingress.register(
        app_session,
        ingress_id="wsi_1",
        app="live",
        password=by_hashlib("other"),
        now=NOON + timedelta(hours=1),
    )
    assert not ingress.is_authorised(app_session, "wsi_1")
    assert raw(app_session)["created_at"] == "2026-01-31 12:00:00"


def test_deleted_ingress_may_not_publish(app_session: Session) -> None:
    register(app_session)
    ingress.delete(app_session, "wsi_1")
    with pytest.raises(UnknownIngressError, match="no ingress 'wsi_1'"):
        ingress.delete(app_session, "wsi_1")
    assert not ingress.is_authorised(app_session, "wsi_1", strict=True)


def test_ingress_without_a_row_is_authorised_but_in_the_strict_mode(app_session: Session) -> None:
    """Reference, Access: authorized: no row."""
    assert ingress.is_authorised(app_session, "IN_1")
    assert ingress.admit(app_session, "IN_1")
    assert not ingress.is_authorised(app_session, "IN_1", strict=True)
    assert not ingress.admit(app_session, "IN_1", strict=True)


@pytest.mark.parametrize("strict", [False, True])
def test_row_of_an_ingress_that_is_refused_is_deleted(
    app_session: Session, *, strict: bool
) -> None:
    """Reference, Access: else the ingress and its row are deleted; the others stay."""
    for ingress_id in ("IN_1", "IN_2"):
        register(app_session, ingress_id, password=SECRET)
    register(app_session, "IN_3")
    shown = ingress.find(app_session, "IN_2")
    assert shown is not None
    ingress.mark_validated(app_session, shown, now=NOON - timedelta(days=4000))
    found = [ingress.admit(app_session, f"IN_{n}", strict=strict) for n in (1, 2, 3)]
    assert found == [False, True, True]
    assert [row.ingress_id for row in ingress.list_(app_session)] == ["IN_2", "IN_3"]


def test_registering_again_clears_validated_at(app_session: Session) -> None:
    """Reference, Access: with or without a password."""
    for password in (SECRET, None):
        register(app_session, password=password)
        app_session.execute(sa.text("UPDATE ingress_auth SET validated_at = '2026-01-31 12:00:00'"))
        register(app_session, password=password)
        assert raw(app_session)["validated_at"] is None


def test_key_is_good_for_its_room_or_for_any() -> None:
    """Reference, Access: room must match (NULL = any); identity wscam- + last 6 of the key."""
    assert ingress_of(None, room="stage").admits_to("stage")
    assert not ingress_of(None, room="stage").admits_to("hall")
    assert ingress_of(None, room=None).admits_to("hall")
    assert ingress_of(None, stream_key="wsk_0123456789").ws_identity == "wscam-456789"


def test_new_password_has_the_form_of_the_field() -> None:
    """Reference, Access: password 12 bytes base64url."""
    made = {ingress.new_password() for _ in range(20)}
    assert len(made) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", word) for word in made)


@pytest.mark.parametrize(
    ("query", "parameter", "index"),
    [
        (ingress._BY_KEY, "stream_key", "idx_ingress_auth_stream_key"),
        (ingress._BY_ID, "ingress_id", "sqlite_autoindex_ingress_auth_1"),
    ],
)
def test_look_up_searches_its_index(
    app_session: Session, query: PointQuery, parameter: str, index: str
) -> None:
    plan = plan_of(app_session, query.statement, {f"{parameter}_": "x"})
    assert plan == f"SEARCH ingress_auth USING INDEX {index} ({parameter}=?)"


# --- validation -----------------------------------------------------------------------------


def validate(databases: Databases, password: str | None, ingress_id: str = "wsi_1") -> bool:
    return ingress.validate(databases, "live", ingress_id, password, now=NOON)


def authorised(databases: Databases) -> bool:
    with databases.app_session("live", read_only=True) as session:
        return ingress.is_authorised(session, "wsi_1")


def test_right_password_authorises_and_a_wrong_one_does_not(databases: Databases) -> None:
    with databases.app_session("live") as session:
        register(session, password=SECRET)
    assert not validate(databases, "wrong")
    assert not authorised(databases)
    assert validate(databases, "secret")
    assert authorised(databases)
    with databases.app_session("live", read_only=True) as session:
        assert raw(session)["validated_at"] == "2026-01-31 12:00:00"


def test_wrong_password_takes_no_authorisation_away(databases: Databases) -> None:
    """Else whoever knows the id could cut a publisher off."""
    with databases.app_session("live") as session:
        register(session, password=SECRET)
    assert validate(databases, "secret")
    assert not validate(databases, "wrong")
    assert authorised(databases)


def test_unknown_ingress_is_not_valid(databases: Databases) -> None:
    assert not validate(databases, "secret", "wsi_9")


def test_ingress_without_a_password_is_valid(databases: Databases) -> None:
    with databases.app_session("live") as session:
        register(session)
    assert validate(databases, None)


def test_password_that_is_changed_meanwhile_authorises_nothing(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one was right when it was read, and is no more when that is written down."""
    with databases.app_session("live") as session:
        register(session, password=SECRET)
    real, other = hashlib.scrypt, by_hashlib("other")

    def changed_meanwhile(*arguments: Any, **options: Any) -> bytes:  # noqa: ANN401 - scrypt's
        with databases.app_session("live") as session:
            register(session, password=other)
        return real(*arguments, **options)

    monkeypatch.setattr(hashlib, "scrypt", changed_meanwhile)
    assert not validate(databases, "secret")
    assert not authorised(databases)


def test_no_lock_is_held_while_a_password_is_hashed(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread writes meanwhile; it would wait for ever if a session were open."""
    with databases.app_session("live") as session:
        register(session, password=SECRET)
    real = hashlib.scrypt

    def write() -> None:
        with databases.app_session("live") as session:
            register(session, "wsi_2")

    def write_meanwhile(*arguments: Any, **options: Any) -> bytes:  # noqa: ANN401 - scrypt's
        with ThreadPoolExecutor(1) as thread:
            thread.submit(write).result(timeout=4)
        return real(*arguments, **options)

    monkeypatch.setattr(hashlib, "scrypt", write_meanwhile)
    assert validate(databases, "secret")

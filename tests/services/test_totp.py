"""Second factors: the figures of RFC 6238, and secrets that Node and this package can both read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from streamhub_orm.errors import (
    EnvironmentSettingError,
    TotpCodeError,
    TotpSecretError,
    TotpStateError,
    UnknownUserError,
)
from streamhub_orm.services import totp, users
from streamhub_orm.services.totp import TotpKey, TotpRefusal
from tests.services.node import ask_node

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from streamhub_orm.global_db import User

NOW = datetime(2026, 1, 31, 12, 0, 15, tzinfo=UTC)
MASTER: Final = "wörd of the server"
KEY: Final = TotpKey.load({"STREAMHUB_JWT_SECRET": MASTER})
OTHER: Final = TotpKey.load({"STREAMHUB_JWT_SECRET": "another"})
SECRET: Final = "JBSWY3DPEHPK3PXP"  # noqa: S105 - everybody's example


def code_of(secret: str, moment: datetime = NOW) -> str:
    return totp._code(base64.b32decode(secret), int(moment.timestamp()) // 30)


@pytest.fixture
def ann(global_session: Session) -> User:
    return users.create(global_session, "ann@example.org")


@pytest.fixture
def secret(global_session: Session, ann: User) -> str:
    """Turn Ann's second factor on, and return its secret."""
    made = totp.set_up(global_session, ann.id, key=KEY).secret
    totp.enable(global_session, ann.id, code_of(made), key=KEY, now=NOW)
    return made


# --- codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_code_is_that_of_the_rfc(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, by SHA-1; six digits are the last six of its eight."""
    assert totp._code(b"12345678901234567890", seconds // 30) == code[-6:]


NODE_CODES: Final = """
const crypto = require("crypto");
const [secret, steps] = JSON.parse(process.argv[1]);
const made = steps.map((step) => {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = crypto.createHmac("sha1", Buffer.from(secret, "hex")).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1000000).padStart(6, "0");
});
process.stdout.write(JSON.stringify(made));
"""


def test_code_is_that_of_node() -> None:
    steps = list(range(50_000_000, 50_000_200))
    raw = base64.b32decode(SECRET)
    by_node = json.loads(ask_node(NODE_CODES, json.dumps([raw.hex(), steps])))
    assert [totp._code(raw, step) for step in steps] == by_node


@pytest.mark.parametrize(
    ("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_code_is_good_for_one_step_before_and_after(
    ann: User, secret: str, steps: int, *, good: bool
) -> None:
    """Reference, Access: 30 s, window +-1."""
    begin = NOW.replace(second=0)
    code = code_of(secret, begin + timedelta(seconds=30 * steps))
    for moment in (begin, begin + timedelta(seconds=29.9)):
        assert totp.verify(ann, code, key=KEY, now=moment) is good


@pytest.mark.parametrize("odd", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "1_2345"])
def test_text_that_is_no_code_is_false(ann: User, secret: str, odd: str) -> None:
    assert not totp.verify(ann, odd, key=KEY, now=NOW)


def test_white_space_in_a_code_does_not_count(ann: User, secret: str) -> None:
    code = code_of(secret)
    assert totp.verify(ann, f" {code[:3]} {code[3:]}\n", key=KEY, now=NOW)


# --- secrets --------------------------------------------------------------------------------


NODE_SEALS: Final = """
const crypto = require("crypto");
const [master, secret] = JSON.parse(process.argv[1]);
const key = crypto.createHash("sha256").update("streamhub-totp:" + master, "utf8").digest();
const iv = crypto.randomBytes(12);
const cipher = crypto.createCipheriv("aes-256-gcm", key, iv);
const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
const parts = [iv, cipher.getAuthTag(), sealed].map((part) => part.toString("base64url"));
process.stdout.write(["aesgcm", ...parts].join("$"));
"""
NODE_OPENS: Final = """
const crypto = require("crypto");
const [master, stored] = JSON.parse(process.argv[1]);
const [iv, tag, sealed] = stored.split("$").slice(1).map((it) => Buffer.from(it, "base64url"));
const key = crypto.createHash("sha256").update("streamhub-totp:" + master, "utf8").digest();
const cipher = crypto.createDecipheriv("aes-256-gcm", key, iv);
cipher.setAuthTag(tag);
process.stdout.write(Buffer.concat([cipher.update(sealed), cipher.final()]).toString("utf8"));
"""


def test_secret_that_node_encrypted_is_read(ann: User) -> None:
    ann.totp_secret = ask_node(NODE_SEALS, json.dumps([MASTER, SECRET]))
    ann.totp_enabled = True
    assert totp.verify(ann, code_of(SECRET), key=KEY, now=NOW)


def test_secret_encrypted_here_is_read_by_node() -> None:
    stored = totp._sealed(SECRET, KEY)
    assert ask_node(NODE_OPENS, json.dumps([MASTER, stored])) == SECRET


def test_key_is_the_hash_that_the_format_says() -> None:
    assert KEY.value == hashlib.sha256(f"streamhub-totp:{MASTER}".encode()).digest()


def test_secret_has_the_form_of_the_field_and_its_own_iv(
    global_session: Session, ann: User
) -> None:
    """Reference, Access: 16-character base32; aesgcm$<iv>$<tag>$<cipher>, unpadded."""
    made, stored = set(), set()
    for _ in range(3):
        setup = totp.set_up(global_session, ann.id, key=KEY)
        assert re.fullmatch("[A-Z2-7]{16}", setup.secret)
        assert re.fullmatch(r"aesgcm(\$[A-Za-z0-9_-]+){3}", str(ann.totp_pending_secret))
        assert setup.secret not in repr(setup) + str(ann.totp_pending_secret)
        made.add(setup.secret)
        stored.add(str(ann.totp_pending_secret).split("$")[1])
    assert len(made) == len(stored) == 3


def test_uri_sets_an_app_up(global_session: Session) -> None:
    user = users.create(global_session, "ann+tv&co@example.org")
    setup = totp.set_up(global_session, user.id, key=KEY)
    uri = urlsplit(setup.uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/StreamHub:ann+tv&co@example.org"
    assert parse_qs(uri.query) == {
        "secret": [setup.secret],
        "period": ["30"],
        "digits": ["6"],
        "algorithm": ["SHA1"],
        "issuer": ["StreamHub"],
    }


GOOD: Final = totp._sealed(SECRET, KEY)
MALFORMED: Final = {
    "plain": SECRET,
    "words": "no secret",
    "other scheme": GOOD.replace("aesgcm", "aescbc"),
    "too few parts": GOOD.rpartition("$")[0],
    "too many parts": GOOD + "$x",
    "short iv": GOOD.replace(GOOD.split("$")[1], "AAAA"),
    "short tag": GOOD.replace(GOOD.split("$")[2], "AAAA"),
    "no cipher": GOOD.rpartition("$")[0] + "$",
    "odd cipher": GOOD.rpartition("$")[0] + "$A",
    "padded": GOOD + "=",
    "changed": GOOD[:-8] + ("AAAAAAAA" if not GOOD.endswith("AAAAAAAA") else "BBBBBBBB"),
    "line": GOOD + "\n",
    "no base32": totp._sealed("no base32 at all 1", KEY),
}


@pytest.mark.parametrize("stored", MALFORMED.values(), ids=MALFORMED)
def test_malformed_secret_is_a_clear_error_that_changes_nothing(
    databases: Databases, stored: str
) -> None:
    """And shows no secret, nor what was decrypted."""
    with databases.global_session() as session:
        user = users.create(session, "ann@example.org")
        user.totp_secret, user.totp_enabled = stored, True
    for call in (
        lambda session: totp.verify(users.get(session, user.id), "123456", key=KEY),
        lambda session: totp.disable(session, user.id, "123456", key=KEY),
    ):
        with (
            pytest.raises(TotpSecretError, match="STREAMHUB_JWT_SECRET") as caught,
            databases.global_session() as session,
        ):
            call(session)
        assert caught.value.user_id == user.id
        assert stored not in str(caught.value)
        assert "base32 at all" not in f"{caught.value!r} {caught.value.__cause__!r}"
    with databases.global_session(read_only=True) as session:
        left = users.get(session, user.id)
        assert (left.totp_secret, left.totp_enabled) == (stored, True)


def test_secret_under_another_key_is_a_clear_error_that_changes_nothing(
    global_session: Session, ann: User, secret: str
) -> None:
    stored = ann.totp_secret
    with pytest.raises(TotpSecretError, match="encrypted under another key"):
        totp.verify(ann, code_of(secret), key=OTHER, now=NOW)
    with pytest.raises(TotpSecretError):
        totp.disable(global_session, ann.id, code_of(secret), key=OTHER, now=NOW)
    assert (ann.totp_secret, ann.totp_enabled) == (stored, True)


def test_server_without_its_secret_says_so_where_one_is_needed(
    global_session: Session, ann: User, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMHUB_JWT_SECRET", raising=False)
    with pytest.raises(EnvironmentSettingError, match="STREAMHUB_JWT_SECRET: found nothing"):
        totp.refusal(ann, "123456")
    bob = users.create(global_session, "bob@example.org")
    with pytest.raises(EnvironmentSettingError):
        totp.set_up(global_session, bob.id)
    assert bob.totp_pending_secret is None
    assert totp.refusal(bob, None) is None
    monkeypatch.setenv("STREAMHUB_JWT_SECRET", MASTER)
    assert totp.refusal(ann, code_of(secret), now=NOW) is None
    assert "bytes" not in repr(KEY)
    assert str(KEY.value) not in repr(KEY)


# --- states ---------------------------------------------------------------------------------


def test_second_factor_is_on_after_a_code_of_the_pending_secret(
    global_session: Session, ann: User
) -> None:
    """Reference, Access: setup writes the pending one, enable moves it; on = flag and secret."""
    first = totp.set_up(global_session, ann.id, key=KEY).secret
    second = totp.set_up(global_session, ann.id, key=KEY).secret
    pending = ann.totp_pending_secret
    assert not totp.is_on(ann)
    with pytest.raises(TotpCodeError):
        totp.enable(global_session, ann.id, code_of(first), key=KEY, now=NOW)
    assert (ann.totp_pending_secret, ann.totp_secret, totp.is_on(ann)) == (pending, None, False)
    totp.enable(global_session, ann.id, code_of(second), key=KEY, now=NOW)
    assert (ann.totp_pending_secret, ann.totp_secret, totp.is_on(ann)) == (None, pending, True)


def test_second_factor_that_is_on_is_neither_set_up_nor_enabled(
    global_session: Session, ann: User, secret: str
) -> None:
    before = ann.totp_secret
    for call in (
        lambda: totp.set_up(global_session, ann.id, key=KEY),
        lambda: totp.enable(global_session, ann.id, code_of(secret), key=KEY, now=NOW),
    ):
        with pytest.raises(TotpStateError, match="a second factor that is on"):
            call()
    assert (ann.totp_secret, ann.totp_pending_secret) == (before, None)


def test_disable_takes_a_code_and_clears_all(
    global_session: Session, ann: User, secret: str
) -> None:
    """Reference, Access: disable clears all."""
    wrong = "000000" if code_of(secret) != "000000" else "000001"
    with pytest.raises(TotpCodeError):
        totp.disable(global_session, ann.id, wrong, key=KEY, now=NOW)
    assert totp.is_on(ann)
    ann.totp_pending_secret = "x"  # noqa: S105 - left by another program
    totp.disable(global_session, ann.id, code_of(secret), key=KEY, now=NOW)
    global_session.refresh(ann)
    assert [ann.totp_secret, ann.totp_pending_secret, ann.totp_enabled] == [None, None, False]
    with pytest.raises(TotpStateError, match="no second factor"):
        totp.disable(global_session, ann.id, code_of(secret), key=KEY, now=NOW)


def test_enable_without_setup_and_of_nobody_is_refused(global_session: Session, ann: User) -> None:
    with pytest.raises(TotpStateError, match="Set it up first"):
        totp.enable(global_session, ann.id, "123456", key=KEY)
    for call in (totp.reset, totp.set_up):
        with pytest.raises(UnknownUserError):
            call(global_session, "nobody")


def test_operator_resets_what_nobody_can_read(global_session: Session, ann: User) -> None:
    ann.totp_secret, ann.totp_enabled = "unreadable", True
    totp.reset(global_session, ann.id)
    assert [ann.totp_secret, ann.totp_enabled, totp.is_on(ann)] == [None, False, False]


@pytest.mark.parametrize(
    ("flag", "stored"), [(True, None), (True, ""), (False, GOOD)], ids=["none", "empty", "off"]
)
def test_second_factor_is_off_without_flag_or_secret(
    ann: User, stored: str | None, *, flag: bool
) -> None:
    ann.totp_enabled, ann.totp_secret = flag, stored
    assert totp.refusal(ann, None, key=KEY) is None
    assert not totp.verify(ann, code_of(SECRET), key=KEY, now=NOW)


def test_sign_in_is_told_what_it_lacks(ann: User, secret: str) -> None:
    assert totp.refusal(ann, None, key=KEY) is TotpRefusal.REQUIRED
    assert totp.refusal(ann, " ", key=KEY) is TotpRefusal.REQUIRED
    assert totp.refusal(ann, "12345", key=KEY) is TotpRefusal.INVALID
    assert totp.refusal(ann, code_of(secret), key=KEY, now=NOW) is None


def test_cryptography_is_imported_where_it_is_used_only() -> None:
    """It takes longer to import than the command takes to start."""
    code = (
        "import sys; import streamhub_orm.services.magic_links, streamhub_orm.cli.main;"
        " assert not [name for name in sys.modules if name.startswith('cryptography')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

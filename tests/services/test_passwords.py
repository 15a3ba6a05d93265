"""Passwords: the Node core's strings, made and checked by Node itself; what is malformed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

import pytest

from streamhub_orm.errors import PasswordLengthError
from streamhub_orm.services import passwords
from streamhub_orm.services.passwords import ScryptCost
from tests.services.node import ask_node

SALT: Final = bytes(range(16))
PASSWORDS: Final = ["correct horse", "pässwörd 王", "", "with\0nul", "x" * 200, "🔑"]


def stored_by_hashlib(password: str, *, n: int = 32768, r: int = 8, p: int = 1) -> str:
    """Write the string as the format says, straight from hashlib."""
    hashed = hashlib.scrypt(
        password.encode(), salt=SALT, n=n, r=r, p=p, dklen=64, maxmem=256 * 2**20
    )
    return f"scrypt${n}${r}${p}${SALT.hex()}${hashed.hex()}"


GOOD: Final = stored_by_hashlib("secret")
HEAD, _, HASH = GOOD.rpartition("$")


NODE_HASHES: Final = """
const crypto = require("crypto");
const made = JSON.parse(process.argv[1]).map((password) => {
  const salt = crypto.randomBytes(16);
  const hash = crypto.scryptSync(password, salt, 64, { N: 32768, r: 8, p: 1, maxmem: 2 ** 27 });
  return `scrypt$32768$8$1$${salt.toString("hex")}$${hash.toString("hex")}`;
});
process.stdout.write(JSON.stringify(made));
"""
NODE_CHECKS: Final = """
const crypto = require("crypto");
const [password, stored] = JSON.parse(process.argv[1]);
const [, N, r, p, salt, hash] = stored.split("$");
const options = { N: Number(N), r: Number(r), p: Number(p), maxmem: 2 ** 27 };
const made = crypto.scryptSync(password, Buffer.from(salt, "hex"), 64, options);
process.stdout.write(String(crypto.timingSafeEqual(made, Buffer.from(hash, "hex"))));
"""


def test_password_hashed_by_node_is_verified() -> None:
    """Also with half a surrogate pair, which Node's strings may hold and UTF-8 cannot."""
    plain = [*PASSWORDS, "half \ud83d pair"]
    made = json.loads(ask_node(NODE_HASHES, json.dumps(plain)))
    right = [passwords.verify(*pair) for pair in zip(plain, made, strict=True)]
    assert right == [True] * len(plain)
    assert not passwords.verify("another", made[0])


def test_password_hashed_here_is_verified_by_node() -> None:
    for password in ("pässwörd 王", "half \ud83d pair", "🔑" * 4):
        pair = json.dumps([password, passwords.hash_(password)])
        assert ask_node(NODE_CHECKS, pair) == "true"


@pytest.mark.parametrize("password", PASSWORDS)
def test_password_hashed_by_hashlib_is_verified(password: str) -> None:
    assert passwords.verify(password, stored_by_hashlib(password))


def test_hash_has_the_form_of_the_field_and_a_salt_of_its_own() -> None:
    made = {passwords.hash_("secret word") for _ in range(2)}
    assert len(made) == 2
    for stored in made:
        assert re.fullmatch(r"scrypt\$32768\$8\$1\$[0-9a-f]{32}\$[0-9a-f]{128}", stored)
        assert passwords.verify("secret word", stored)


@pytest.mark.parametrize("wrong", ["", "Secret", "secret ", "secre", "secret\n"])
def test_wrong_password_is_false(wrong: str) -> None:
    assert not passwords.verify(wrong, GOOD)


def test_numbers_of_another_time_are_read_from_the_string() -> None:
    assert passwords.verify("secret", stored_by_hashlib("secret", n=16384, p=2))
    assert passwords.verify("secret", stored_by_hashlib("secret", n=32768, r=4, p=4))


NODE_VERIFIES: Final = """
const crypto = require("crypto");
const made = JSON.parse(process.argv[1]).map(([N, r, p]) => {
  try {
    crypto.scryptSync("secret", "salt", 64, { N, r, p, maxmem: 64 * 2 ** 20 });
    return true;
  } catch { return false; }
});
process.stdout.write(JSON.stringify(made));
"""
COSTS: Final = [(32768, 8, 1), (65536, 8, 1), (65536, 7, 1), (65536, 4, 1), (32768, 15, 1)]
COSTS_OVER: Final = [(65536, 8, 2), (131072, 4, 1), (131072, 3, 1), (32768, 16, 1), (16384, 31, 1)]


def test_what_needs_more_than_64_mib_never_verifies() -> None:
    """Reference, Access: over 64 MiB never verifies, as Node counts it."""
    costs = COSTS + COSTS_OVER
    by_node = json.loads(ask_node(NODE_VERIFIES, json.dumps(costs)))
    assert [ScryptCost(*cost).is_affordable for cost in costs] == by_node
    for n, r, p in ((65536, 8, 1), (131072, 8, 1)):
        assert not passwords.verify("secret", stored_by_hashlib("secret", n=n, r=r, p=p))


@pytest.mark.parametrize(
    ("password", "length"), [("x" * 7, 7), ("", 0), ("x" * 201, 201), ("🔑" * 101, 202)]
)
def test_password_of_another_length_is_refused_unshown(password: str, length: int) -> None:
    """Reference, Access: 8..200 characters, which JavaScript counts by halves of pairs."""
    with pytest.raises(PasswordLengthError, match=f"of {length} characters; expected 8 to 200"):
        passwords.hash_(password)
    for fits in ("x" * 8, "x" * 200, "🔑" * 4):
        assert passwords.is_hash(passwords.hash_(fits))


def test_unknown_hash_has_the_form_and_is_never_the_same() -> None:
    first, second = passwords.unknown_hash(), passwords.unknown_hash()
    assert first != second
    assert re.fullmatch(r"scrypt\$32768\$8\$1\$[0-9a-f]{32}\$[0-9a-f]{128}", first)
    assert not passwords.verify("", first)


MALFORMED: Final = {
    "none": None,
    "empty": "",
    "words": "no hash at all",
    "other scheme": GOOD.replace("scrypt", "bcrypt"),
    "too few parts": HEAD,
    "too many parts": GOOD + "$00",
    "new line at the end": GOOD + "\n",
    "blank before": " " + GOOD,
    "no hash": HEAD + "$",
    "half the hash": f"{HEAD}${HASH[:64]}",
    "odd number of digits": GOOD[:-1],
    "not hexadecimal": GOOD[:-1] + "g",
    "no salt": f"scrypt$32768$8$1$${HASH}",
    "digits of another script": GOOD.replace("32768", "٣٢٧٦٨"),
    "n zero": GOOD.replace("32768", "0"),
    "n one": GOOD.replace("32768", "1"),
    "n no power of two": GOOD.replace("32768", "32767"),
    "n negative": GOOD.replace("32768", "-32768"),
    "n too large": GOOD.replace("32768", "1048576"),
    "n far too large": GOOD.replace("32768", "9" * 400),
    "r zero": GOOD.replace("$8$", "$0$"),
    "r too large": GOOD.replace("$8$", "$99$"),
    "p zero": GOOD.replace("$1$", "$0$"),
    "p too large": GOOD.replace("$1$", "$99$"),
}


@pytest.mark.parametrize("stored", MALFORMED.values(), ids=MALFORMED)
def test_malformed_string_is_false(stored: str | None) -> None:
    assert passwords.verify("secret", stored) is False


def test_zero_hash_that_nobody_is_compared_with_opens_nothing() -> None:
    """The stand-in for an unknown user is no account, whatever is typed."""
    nobody = f"scrypt$32768$8$1${'00' * 16}${'00' * 64}"
    assert not passwords.verify("", nobody)
    assert not passwords.verify("", None)


@pytest.mark.parametrize("stored", [None, "", "malformed", GOOD.replace("32768", "1048576")])
def test_unknown_user_costs_what_a_wrong_password_costs(
    stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call of scrypt, with the same numbers; so a hostile string costs no more either."""
    calls: list[dict[str, int]] = []
    real = hashlib.scrypt

    def counted(password: bytes, *, salt: bytes, n: int, r: int, p: int, **rest: int) -> bytes:
        calls.append({"n": n, "r": r, "p": p, **rest})
        return real(password, salt=salt, n=n, r=r, p=p, **rest)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert not passwords.verify("wrong", GOOD)
    assert not passwords.verify("wrong", stored)
    assert len(calls) == 2
    assert calls[0] == calls[1]


def test_scrypt_of_an_unaffordable_cost_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        passwords.scrypt("secret", SALT, ScryptCost(2**20), length_bytes=64)


def test_scrypt_takes_the_defaults_of_node() -> None:
    """What ingress passwords are hashed with."""
    expected = hashlib.scrypt(b"secret", salt=b"00ff", n=16384, r=8, p=1, dklen=32)
    assert passwords.scrypt("secret", b"00ff", ScryptCost(16384), length_bytes=32) == expected
    assert ScryptCost(32768, 8, 1) == passwords._USER_COST

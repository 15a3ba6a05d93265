"""Passwords of users, hashed by scrypt as the Node core does it, and scrypt itself.

Hashing takes about 0.1 s and 32 MiB on purpose, so it is done outside of sessions: inside one it
would keep every other writer of the database waiting.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from streamhub_orm.errors import PasswordLengthError

__all__ = ["ScryptCost", "hash_", "is_hash", "scrypt", "unknown_hash", "verify"]

_STORED: Final = re.compile(
    r"scrypt\$(?P<n>\d{1,7})\$(?P<r>\d{1,2})\$(?P<p>\d{1,2})"
    r"\$(?P<salt>(?:[0-9a-f]{2}){8,64})\$(?P<hash>[0-9a-f]{128})",
    re.ASCII | re.IGNORECASE,
)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 64
_MOST_MEMORY: Final = 64 * 2**20
"""Bytes that the Node core gives to scrypt: what asks for more never verifies."""
_MOST_WORK: Final = 2**20
"""The largest n * r * p that a stored string may ask for, four times the usual work."""
_SHORTEST: Final = 8
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """The cost of one hash: 128 * n * r bytes of memory, p times over. `n` is a power of two."""

    n: int
    r: int = 8
    p: int = 1

    @property
    def is_affordable(self) -> bool:
        """Tell whether scrypt takes these numbers, and a server can be asked to."""
        power_of_two = self.n > 1 and self.n & (self.n - 1) == 0
        in_bounds = power_of_two and self.r > 0 and 0 < self.n * self.r * self.p <= _MOST_WORK
        return in_bounds and self.memory_bytes <= _MOST_MEMORY

    @property
    def memory_bytes(self) -> int:
        """Bytes that OpenSSL, and so Node, counts for these numbers."""
        return 128 * self.r * (self.n + self.p + 2)


_USER_COST: Final = ScryptCost(32768)
"""The cost of a user's password in the Node core."""


@dataclass(frozen=True, slots=True)
class _Stored:
    cost: ScryptCost
    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)


_NOBODY: Final = _Stored(_USER_COST, bytes(_SALT_BYTES), bytes(_HASH_BYTES))


def scrypt(password: str, salt: bytes, cost: ScryptCost, *, length_bytes: int) -> bytes:
    """Return the scrypt hash of a password, which is hashed as UTF-8 just as Node does.

    Raises ValueError for a cost that is not affordable.
    """
    if not cost.is_affordable:
        message = (
            f"found {cost}; expected a power of two, n * r * p at most {_MOST_WORK} and 64 MiB"
        )
        raise ValueError(message)
    return hashlib.scrypt(
        _LONE_SURROGATE.sub("\ufffd", password).encode(),  # what Node's Buffer makes of one
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=_MOST_MEMORY,  # the default of 32 MiB is just too small
        dklen=length_bytes,
    )


def hash_(password: str) -> str:
    """Return `scrypt$32768$8$1$<salt hex>$<hash hex>` with a fresh salt, for `User.password_hash`.

    Two hashes of one password differ. Raises `PasswordLengthError` for less than 8 or more than 200
    characters, counted as JavaScript does.
    """
    length = len(password.encode("utf-16-le", "surrogatepass")) // 2
    if not _SHORTEST <= length <= _LONGEST:
        raise PasswordLengthError(length)
    salt = secrets.token_bytes(_SALT_BYTES)
    hashed = scrypt(password, salt, _USER_COST, length_bytes=_HASH_BYTES)
    return _stored_text(salt, hashed)


def unknown_hash() -> str:
    """Return a hash that no password is known for, for an account without one; it costs nothing.

    The Node core would let a stranger sign up for an account whose hash is NULL.
    """
    return _stored_text(secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES))


def is_hash(text: str) -> bool:
    """Tell whether the text is a string that `verify` can check a password against."""
    return _parsed(text) is not None


def verify(password: str, stored: str | None) -> bool:
    """Tell, in constant time, whether the password is the one that was hashed into `stored`.

    None (no such user, or one without a password) and a malformed string are False after the same
    work as a wrong password, so the time tells nobody which accounts exist. A string that asks for
    more than 64 MiB, or more than four times the usual work, counts as malformed.
    """
    found = _parsed(stored)
    against = found or _NOBODY
    hashed = scrypt(password, against.salt, against.cost, length_bytes=_HASH_BYTES)
    return hmac.compare_digest(hashed, against.hash) and found is not None


def _stored_text(salt: bytes, hashed: bytes) -> str:
    numbers = f"{_USER_COST.n}${_USER_COST.r}${_USER_COST.p}"
    return f"scrypt${numbers}${salt.hex()}${hashed.hex()}"


def _parsed(stored: str | None) -> _Stored | None:
    match = _STORED.fullmatch(stored) if stored else None
    if match is None:
        return None
    cost = ScryptCost(int(match["n"]), int(match["r"]), int(match["p"]))
    if not cost.is_affordable:
        return None
    return _Stored(cost, bytes.fromhex(match["salt"]), bytes.fromhex(match["hash"]))

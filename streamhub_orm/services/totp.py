"""Second factors: six digits of an authenticator app (TOTP, RFC 6238), after a password or a link.

The secret that app and server share lies in `users` as `aesgcm$<iv>$<tag>$<cipher>`, encrypted
under a key made of STREAMHUB_JWT_SECRET. All functions take a session on the global database, or a
user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from streamhub_orm.errors import (
    EnvironmentSettingError,
    TotpCodeError,
    TotpSecretError,
    TotpStateError,
)
from streamhub_orm.schema import utc_now
from streamhub_orm.services import users

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.global_db import User

__all__ = [
    "TotpKey",
    "TotpRefusal",
    "TotpSetup",
    "disable",
    "enable",
    "is_on",
    "refusal",
    "reset",
    "set_up",
    "verify",
]

_VARIABLE: Final = "STREAMHUB_JWT_SECRET"
_STORED: Final = re.compile(
    r"aesgcm\$(?P<iv>[\w-]{16})\$(?P<tag>[\w-]{22})\$(?P<cipher>[\w-]+)", re.ASCII
)
_IV_BYTES: Final = 12
_SECRET_BYTES: Final = 10
_STEP_SECONDS: Final = 30
_WINDOW: Final = 1
"""Steps before and after the present one whose codes are good too, for clocks that differ."""
_DIGITS: Final = 6
_CODE: Final = re.compile(rf"[0-9]{{{_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class TotpKey:
    """The key that secrets are encrypted under."""

    value: bytes = field(repr=False)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> TotpKey:
        """Make the key of STREAMHUB_JWT_SECRET. Raises `EnvironmentSettingError` without one."""
        value = (os.environ if environment is None else environment).get(_VARIABLE)
        if not value:
            expected = "the secret that the server signs sign-ins with"
            raise EnvironmentSettingError(_VARIABLE, "nothing", expected)
        return cls(hashlib.sha256(f"streamhub-totp:{value}".encode()).digest())


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """Setup of an authenticator app. It is here once; repr() does not show it."""

    secret: str = field(repr=False)
    """16 characters in base32, to be typed."""
    uri: str = field(repr=False)
    """The same as `otpauth://…`, to be shown as a QR code."""


class TotpRefusal(StrEnum):
    """The reason why a second factor keeps somebody out, as the Node core words it."""

    REQUIRED = "totp_required"
    INVALID = "totp_invalid"


def is_on(user: User) -> bool:
    """Tell whether a user has a second factor: its flag and its secret are set."""
    return user.totp_enabled and bool(user.totp_secret)


def set_up(session: Session, user_id: str, *, key: TotpKey | None = None) -> TotpSetup:
    """Store a new secret, which `enable` turns on; one that was not turned on is replaced.

    `key` is `TotpKey.load()` by default, here and below. Raises `UnknownUserError`, and
    `TotpStateError` where the second factor is on already.
    """
    user = _user_without(session, user_id)
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    user.totp_pending_secret = _sealed(secret, key or TotpKey.load())
    session.flush()
    label = quote(f"StreamHub:{user.email or user.id}", safe="")
    query = f"secret={secret}&period={_STEP_SECONDS}&digits={_DIGITS}&algorithm=SHA1"
    return TotpSetup(secret, f"otpauth://totp/{label}?{query}&issuer=StreamHub")


def enable(
    session: Session,
    user_id: str,
    code: str,
    *,
    key: TotpKey | None = None,
    now: datetime | None = None,
) -> None:
    """Turn the second factor on by a code of the app that was set up.

    Raises `TotpStateError` where it is on already or was not set up, `TotpCodeError`,
    `TotpSecretError` and `UnknownUserError`.
    """
    user = _user_without(session, user_id)
    if not user.totp_pending_secret:
        found, todo = "no second factor that was set up", "Set it up first."
        raise TotpStateError(user_id, found, "one that waits for its first code", todo)
    _require_code(user, user.totp_pending_secret, code, key, now)
    user.totp_secret, user.totp_pending_secret = user.totp_pending_secret, None
    user.totp_enabled = True
    session.flush()


def disable(
    session: Session,
    user_id: str,
    code: str,
    *,
    key: TotpKey | None = None,
    now: datetime | None = None,
) -> None:
    """Take the second factor away, by a code that shows that its owner asks for it.

    Raises `TotpStateError` where there is none, `TotpCodeError`, `TotpSecretError` and
    `UnknownUserError`.
    """
    user = users.get(session, user_id)
    if not is_on(user) or user.totp_secret is None:
        raise TotpStateError(user_id, "no second factor", "one that is on", "There is none to end.")
    _require_code(user, user.totp_secret, code, key, now)
    reset(session, user_id)


def reset(session: Session, user_id: str) -> None:
    """Take the second factor away without a code: for the operator, when a device is lost.

    Raises `UnknownUserError`.
    """
    user = users.get(session, user_id)
    user.totp_secret = user.totp_pending_secret = None
    user.totp_enabled = False
    session.flush()


def verify(
    user: User, code: str, *, key: TotpKey | None = None, now: datetime | None = None
) -> bool:
    """Tell whether a code is good now: that of the present half minute, or of one beside it.

    White space in it does not count. False where the second factor is off. Raises
    `TotpSecretError`.
    """
    if not is_on(user) or user.totp_secret is None:
        return False
    return _is_code(_opened(user.id, user.totp_secret, key or TotpKey.load()), code, now)


def refusal(
    user: User, code: str | None, *, key: TotpKey | None = None, now: datetime | None = None
) -> TotpRefusal | None:
    """Return why a sign-in must not go on: None where no second factor is due, or the code is good.

    The environment is looked at for a key only where one is due. Raises `TotpSecretError`.
    """
    if not is_on(user):
        return None
    if code is None or not code.strip():
        return TotpRefusal.REQUIRED
    return None if verify(user, code, key=key, now=now) else TotpRefusal.INVALID


def _user_without(session: Session, user_id: str) -> User:
    user = users.get(session, user_id)
    if is_on(user):
        found, todo = "a second factor that is on", "Disable it first, by a code of it."
        raise TotpStateError(user_id, found, "none", todo)
    return user


def _require_code(
    user: User, stored: str, code: str, key: TotpKey | None, now: datetime | None
) -> None:
    if not _is_code(_opened(user.id, stored, key or TotpKey.load()), code, now):
        raise TotpCodeError(user.id)


def _is_code(secret: bytes, code: str, now: datetime | None) -> bool:
    digits = "".join(code.split())
    if _CODE.fullmatch(digits) is None:
        return False
    present = int((now or utc_now()).timestamp()) // _STEP_SECONDS
    good = [_code(secret, present + step) for step in range(-_WINDOW, _WINDOW + 1)]
    return any(hmac.compare_digest(digits, it) for it in good)


def _code(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226, by SHA-1)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def _sealed(secret: str, key: TotpKey) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - it is slow

    iv = secrets.token_bytes(_IV_BYTES)
    sealed = AESGCM(key.value).encrypt(iv, secret.encode(), None)
    cipher, tag = sealed[:-16], sealed[-16:]
    return "$".join(["aesgcm", *(_base64url(part) for part in (iv, tag, cipher))])


def _opened(user_id: str, stored: str, key: TotpKey) -> bytes:
    """Return the bytes of a stored secret."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - it is slow
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    match = _STORED.fullmatch(stored)
    if match is None:
        raise TotpSecretError(user_id, "a stored secret of another form")
    try:
        iv, tag, cipher = (_bytes(match[name]) for name in ("iv", "tag", "cipher"))
        secret = AESGCM(key.value).decrypt(iv, cipher + tag, None).decode()
        return base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    except InvalidTag:
        found = "a stored secret that was encrypted under another key, or changed"
        raise TotpSecretError(user_id, found) from None
    except (binascii.Error, UnicodeDecodeError):
        # Without the cause, which may hold what was decrypted.
        raise TotpSecretError(user_id, "a stored secret that is no base32") from None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

"""API tokens: issued once in plain text, kept as a hash, checked on every request.

A token is `sk_` and 32 random bytes in base64url; stored is the SHA-256 of all of it in hex. What
begins otherwise is none: the Node core takes it for the signed token of a sign-in. All functions
take a session on the global database, but for `check_request`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.databases.sessions import begun
from streamhub_orm.errors import AddressError, TokenFormError, UnknownTokenError
from streamhub_orm.global_db import PLATFORM_TENANT, ApiToken, App, TokenScope
from streamhub_orm.schema import as_stored, utc_now
from streamhub_orm.services import apps
from streamhub_orm.services.addresses import entries_of, lets_in, stored_entry
from streamhub_orm.services.bearers import LastUse, hash_of, is_due, new_secret
from streamhub_orm.services.core import PointQuery, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TextIO

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases

__all__ = [
    "IssuedToken",
    "SeededToken",
    "TokenCheck",
    "TokenInfo",
    "TokenRefusal",
    "check_request",
    "issue",
    "list_",
    "revoke",
    "seed",
    "touch",
    "verify",
]

_log: Final = logging.getLogger(__name__)
_PREFIX: Final = "sk_"
_LONGEST: Final = 256
_FORM: Final = re.compile(r"sk_[A-Za-z0-9_-]{32,253}", re.ASCII)

_TOKENS: Final = table_of(ApiToken)
_APPS: Final = table_of(App)
_WITH_APP: Final = _TOKENS.outerjoin(_APPS, _APPS.c.id == _TOKENS.c.app_id)
# As stored: no other value of the row may keep a request from being answered.
_FIND: Final = PointQuery(
    sa.select(
        *_TOKENS.c["id", "name", "tenant_id"],
        *(
            as_stored(_TOKENS.c[name]).label(name)
            for name in ("scope", "allowed_ips_json", "last_used_at", "revoked")
        ),
        _APPS.c.name.label("app"),
    )
    .select_from(_WITH_APP)
    .where(_TOKENS.c.token_hash == sa.bindparam("hash"))
    .order_by(_TOKENS.c.revoked.desc(), _TOKENS.c.id),
    "hash",
)
"""The row of a token by its hash; of several with one hash, a revoked one."""
_TENANT: Final = sa.func.coalesce(_TOKENS.c.tenant_id, PLATFORM_TENANT)
_LIST: Final = (
    sa.select(
        *_TOKENS.c["id", "name", "scope"],
        _APPS.c.name.label("app"),
        _TENANT.label("tenant_id"),
        *_TOKENS.c["last_used_at", "created_at", "revoked"],
        as_stored(_TOKENS.c.allowed_ips_json).label("allowed_ips"),
    )
    .select_from(_WITH_APP)
    .order_by(_TOKENS.c.id)
)
_IN_USE: Final = (
    sa.select(_TOKENS.c.id)
    .where(_TOKENS.c.scope == TokenScope.GLOBAL, _TOKENS.c.revoked == sa.false())
    .order_by(_TOKENS.c.id)
    .limit(1)
)
"""The first token of global scope that was not revoked."""
_LAST_USE: Final = LastUse(_TOKENS, "last_used_at")


class TokenRefusal(StrEnum):
    """The reason why a token does not open what was asked for. A client is told less.

    The first three are one to a client, "not authenticated" (401); the others are "not allowed"
    (403), and name no app and no network.
    """

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    ADDRESS = "address"
    SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """The outcome of a check: true if the token opens what was asked for. It holds no secret."""

    refusal: TokenRefusal | None
    token_id: int | None = None
    name: str | None = None
    scope: str | None = None
    app: str | None = None
    """The app of an app's token."""
    tenant_id: str | None = None
    touch_due: bool = False
    """The token is good, and its last use is to be written with `touch`."""

    def __bool__(self) -> bool:
        """Tell whether the token opens what was asked for."""
        return self.refusal is None

    @property
    def is_authenticated(self) -> bool:
        """Tell whether it is a token in use, whatever it opens: 403 rather than 401."""
        return self.refusal in (None, TokenRefusal.ADDRESS, TokenRefusal.SCOPE)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. The plain text is here and nowhere else; repr() does not show it."""

    id: int
    name: str
    app: str | None
    plaintext: str = field(repr=False)
    unmatched: tuple[str, ...] = ()
    """Networks of IPv6 in its allow-list: the Node core lets nobody in by them."""


@dataclass(frozen=True, slots=True)
class SeededToken:
    """The row of a bootstrap token, new or found."""

    id: int
    is_new: bool
    is_revoked: bool
    """It was revoked before; seeding does not bring it back."""
    is_other: bool = False
    """It is another token of global scope, in use; the given one was not stored."""


class TokenInfo(NamedTuple):
    """A token as a list shows it, without its hash."""

    id: int
    name: str
    scope: TokenScope
    app: str | None
    tenant_id: str
    last_used_at: datetime | None
    created_at: datetime
    revoked: bool
    allowed_ips: tuple[str, ...] | None
    """Empty: from anywhere. None: the stored text is no list, so the token opens nothing."""


def verify(
    session: Session,
    token: str | None,
    *,
    address: str | None,
    app: str | None = None,
    now: datetime | None = None,
) -> TokenCheck:
    """Check a token for a request that comes from `address`; it writes nothing.

    A request without one has None for its token, and is refused as malformed.
    `app` is the app that the request is about; None is the server as a whole, which only a token
    of global scope opens. A token with an allow-list is refused where `address` is None or is not
    one. A `read_only` session is enough; where `touch_due` is set, `touch` is to follow.
    """
    session.flush()
    return _verify(partial(begun, session), token, address=address, app=app, now=now)


def _verify(
    connect: Callable[[], sa.Connection],
    token: str | None,
    *,
    address: str | None,
    app: str | None,
    now: datetime | None,
) -> TokenCheck:
    if token is None or not (token.startswith(_PREFIX) and len(token) <= _LONGEST):
        return TokenCheck(TokenRefusal.MALFORMED)
    found = _FIND.first_on(connect(), hash_of(token))
    if found is None:
        return TokenCheck(TokenRefusal.UNKNOWN)
    token_id, name, tenant_id, scope, allowed_ips, last_used_at, revoked, own_app = found
    refusal = None
    if revoked:
        refusal = TokenRefusal.REVOKED
    elif not lets_in(allowed_ips, address):
        refusal = TokenRefusal.ADDRESS
    elif scope != TokenScope.GLOBAL and (app is None or app != own_app):
        refusal = TokenRefusal.SCOPE
    due = refusal is None and is_due(last_used_at, now or utc_now())
    return TokenCheck(refusal, token_id, name, scope, own_app, tenant_id or PLATFORM_TENANT, due)


def touch(session: Session, token_id: int, *, now: datetime | None = None) -> bool:
    """Write the token's last use where the stored one is older than a minute; tell whether it was.

    Takes a session that can write. Two callers at the same moment write once.
    """
    return _LAST_USE.move(session, token_id, now or utc_now())


def check_request(
    databases: Databases,
    token: str | None,
    *,
    address: str | None,
    app: str | None = None,
    now: datetime | None = None,
) -> TokenCheck:
    """Verify a token and write its last use: no lock is taken but once a minute for each token."""
    with databases.global_look() as connection:
        check = _verify(lambda: connection, token, address=address, app=app, now=now)
    if check.touch_due and check.token_id is not None:
        databases.global_session().run(touch, check.token_id, now=now)
    return check


def issue(
    session: Session, name: str, *, app: str | None = None, allowed_ips: Sequence[str] = ()
) -> IssuedToken:
    """Make a token that opens one app, or the whole server where `app` is None.

    `allowed_ips` are addresses and networks; none is no restriction. The Node core compares an
    address by its text, so its shortest is stored, and it never matches a network of IPv6: one is
    stored with a warning in the log. A token of an app belongs to the app's tenant, another to the
    platform. Raises `UnknownAppError` and `AddressError`.
    """
    if isinstance(allowed_ips, str):
        raise AddressError(list(allowed_ips))
    entries = [stored_entry(entry) for entry in allowed_ips]
    unmatched = tuple(entry for entry, is_matched in entries if not is_matched)
    plaintext = _PREFIX + new_secret()
    token_id = _insert(session, plaintext, name, app, [entry for entry, _ in entries])
    for entry in unmatched:
        _log.warning("token %s: the Node core matches no network of IPv6: %s", token_id, entry)
    return IssuedToken(token_id, name, app, plaintext, unmatched)


def seed(session: Session, source: TextIO, *, name: str = "bootstrap") -> SeededToken:
    """Store the token that `source` holds, unless a token of global scope is in use already.

    For set-up scripts, which make the token themselves and run more than once: one that was
    revoked stays so. Leading and trailing white space does not count. Raises `TokenFormError`.
    """
    plaintext = _load_token(source)
    found = session.execute(_FIND.statement, {"hash": hash_of(plaintext)}).first()
    if found is not None:
        return SeededToken(found.id, is_new=False, is_revoked=bool(found.revoked))
    in_use = session.scalars(_IN_USE).first()
    if in_use is not None:
        return SeededToken(in_use, is_new=False, is_revoked=False, is_other=True)
    return SeededToken(_insert(session, plaintext, name, None, []), is_new=True, is_revoked=False)


def revoke(session: Session, token_id: int) -> None:
    """Make a token open nothing from now on; the row stays. Raises `UnknownTokenError`."""
    statement = sa.update(_TOKENS).where(_TOKENS.c.id == token_id).values(revoked=True)
    revoked: sa.CursorResult[Any] = session.execute(statement)  # type: ignore[assignment]
    if revoked.rowcount == 0:
        raise UnknownTokenError(token_id)


def list_(
    session: Session, *, app: str | None = None, tenant_id: str | None = None
) -> list[TokenInfo]:
    """List the tokens of all, of one app or of one tenant, in the order of their issue.

    Raises `UnknownAppError`.
    """
    statement = _LIST
    if app is not None:
        statement = statement.where(_TOKENS.c.app_id == apps.get_id(session, app))
    if tenant_id is not None:
        statement = statement.where(_TENANT.in_((tenant_id,)))
    rows = session.execute(statement).mappings()
    return [TokenInfo(**{**row, "allowed_ips": entries_of(row["allowed_ips"])}) for row in rows]


def _insert(
    session: Session, plaintext: str, name: str, app: str | None, allowed_ips: list[str]
) -> int:
    registered = None if app is None else apps.get(session, app)
    token = ApiToken(
        name=name,
        token_hash=hash_of(plaintext),
        scope=TokenScope.GLOBAL if registered is None else TokenScope.APP,
        app_id=None if registered is None else registered.id,
        allowed_ips_json=allowed_ips or None,
        tenant_id=PLATFORM_TENANT
        if registered is None
        else registered.tenant_id or PLATFORM_TENANT,
    )
    session.add(token)
    session.flush()
    return token.id


def _load_token(source: TextIO) -> str:
    try:
        plaintext = source.read(2 * _LONGEST).strip()
    except UnicodeDecodeError:
        found = "bytes that are no text"
        raise TokenFormError(found) from None  # the cause holds the bytes
    if _FORM.fullmatch(plaintext) is None:
        raise TokenFormError(_described(plaintext))
    return plaintext


def _described(text: str) -> str:
    """Say what is wrong with a token without repeating it."""
    if not text:
        return "nothing"
    if len(text.split()) > 1:
        return "several words or lines"
    return f"{len(text)} characters of another form"

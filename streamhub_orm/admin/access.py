"""Access: which token opens which endpoint.

A token of global scope opens every endpoint, one of an app those of its app, and what any login may
see. A JWT is no API token and opens nothing here.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING, Final

from streamhub_orm.admin.answers import RefusedError
from streamhub_orm.errors import StreamHubError
from streamhub_orm.services import tokens
from streamhub_orm.services.tokens import TokenRefusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from streamhub_orm.aio import AsyncDatabases
    from streamhub_orm.services.tokens import TokenCheck

_logger: Final = logging.getLogger(__name__)
_SCHEME: Final = "bearer"


def bearer_of(request: Request) -> str | None:
    """Return what the one Authorization header bears; None where there is none, or two."""
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else None


def address_of(request: Request) -> str | None:
    """Return the address of the client as the socket has it."""
    return request.client.host if request.client else None


async def require_app(databases: AsyncDatabases, request: Request, app: str) -> TokenCheck:
    """Let the app's own tokens in, and those of the whole server."""
    return _required(request, await check(databases, request, bearer_of(request), app=app))


async def require_global(databases: AsyncDatabases, request: Request) -> TokenCheck:
    """Let only tokens of global scope in."""
    return _required(request, await check(databases, request, bearer_of(request)))


async def require_any(databases: AsyncDatabases, request: Request) -> TokenCheck:
    """Let any token in that is in use."""
    token = bearer_of(request)
    found = await check(databases, request, token)
    if found.refusal is TokenRefusal.SCOPE and found.app is not None:
        found = await check(databases, request, token, app=found.app)
    return _required(request, found)


async def check(
    databases: AsyncDatabases, request: Request, token: str | None, *, app: str | None = None
) -> TokenCheck:
    """Verify a token for the client's address and write its last use."""
    reading = databases.global_session(read_only=True)
    found = await reading.run(tokens.verify, token, address=address_of(request), app=app)
    if found.touch_due and found.token_id is not None:
        try:
            await databases.global_session().run(tokens.touch, found.token_id)
        except StreamHubError as error:  # a reading needs no lock, and is not refused for the mark
            _logger.warning("the last use of token %s is not written: %s", found.token_id, error)
    return found


def require_metrics_token(request: Request, expected: str | None) -> None:
    """Let in who bears METRICS_TOKEN; without one there is no such endpoint."""
    if not expected:
        raise RefusedError(404, "not_found", "There is nothing here.", "Correct the path.")
    given = bearer_of(request) or ""
    # A header's bytes come as the characters of the same numbers.
    if not hmac.compare_digest(given.encode("latin-1"), expected.encode()):
        raise unauthenticated()


def unauthenticated() -> RefusedError:
    """Return the answer to whoever shows no token that is in use."""
    return RefusedError(
        401,
        "not_authenticated",
        "A token is needed: Authorization: Bearer sk_…",
        "Ask whoever looks after the server for one.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _required(request: Request, found: TokenCheck) -> TokenCheck:
    if found:
        return found
    _logger.warning(
        "refused %s %s to %s: %s (token %s)",
        request.method,
        ascii(request.url.path),
        address_of(request),
        found.refusal,
        found.token_id,
    )
    if not found.is_authenticated:
        raise unauthenticated()
    message = "This token does not open this, or not from here."
    raise RefusedError(403, "not_allowed", message, "Use a token of the scope that it needs.")

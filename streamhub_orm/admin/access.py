"""Access: which token opens which endpoint.

A token of global scope opens every endpoint, one of an app those of its app, and what any login may
see. A JWT is no API token and opens nothing here.
"""

from __future__ import annotations

import hmac
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from streamhub_orm.admin.answers import RefusedError
from streamhub_orm.services import tokens
from streamhub_orm.services.tokens import TokenRefusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from streamhub_orm.admin.threads import Threads
    from streamhub_orm.databases import Databases
    from streamhub_orm.services.tokens import TokenCheck

_logger: Final = logging.getLogger(__name__)
_SCHEME: Final = "bearer"


def bearer_of(request: Request) -> str | None:
    """Return what the one Authorization header bears; None where there is none, or two."""
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else None


class Access:
    """The check of a request's token, against an installation."""

    def __init__(self, databases: Databases, threads: Threads) -> None:
        """Ask nothing yet."""
        self._databases = databases
        self._threads = threads

    async def require_app(self, request: Request, app: str) -> None:
        """Let the app's own tokens in, and those of the whole server."""
        _require(request, await self.check(request, bearer_of(request), app=app))

    async def require_global(self, request: Request) -> None:
        """Let only tokens of global scope in."""
        _require(request, await self.check(request, bearer_of(request)))

    async def require_any(self, request: Request) -> None:
        """Let any token in that is in use."""
        token = bearer_of(request)
        found = await self.check(request, token)
        if found.refusal is TokenRefusal.SCOPE and found.app is not None:
            found = await self.check(request, token, app=found.app)
        _require(request, found)

    async def check(
        self, request: Request, token: str | None, *, app: str | None = None
    ) -> TokenCheck:
        """Verify a token for the client's address; its last use is written by and by."""
        address = request.client.host if request.client else None
        verify = partial(_verify, self._databases, token, address, app)
        found = await self._threads.check(verify)
        if found.touch_due and found.token_id is not None:
            # Nobody waits for it: it takes the write lock of the global database.
            touch = partial(_touch, self._databases, found.token_id)
            self._threads.note(("touch", found.token_id), touch)
        return found


def _verify(
    databases: Databases, token: str | None, address: str | None, app: str | None
) -> TokenCheck:
    with databases.global_session(read_only=True) as session:
        return tokens.verify(session, token, address=address, app=app)


def _touch(databases: Databases, token_id: int) -> None:
    databases.global_session().run(tokens.touch, token_id)


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


def _require(request: Request, found: TokenCheck) -> None:
    if found:
        return
    _logger.warning(
        "refused %s %s to %s: %s (token %s)",
        request.method,
        ascii(request.url.path),
        request.client.host if request.client else None,
        found.refusal,
        found.token_id,
    )
    if not found.is_authenticated:
        raise unauthenticated()
    message = "This token does not open this, or not from here."
    raise RefusedError(403, "not_allowed", message, "Use a token of the scope that it needs.")

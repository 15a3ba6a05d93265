"""Answers in JSON: data, or an error in words that a client may read."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response

from streamhub_orm.errors import (
    AppBusyError,
    AppDatabaseLostError,
    AppNameError,
    DatabaseFileError,
    DatabaseInUseError,
    DatabasesClosedError,
    MaintenanceRunningError,
    MissingDatabaseError,
    SpaceError,
    StoredValueError,
    StreamHubError,
    UnknownAppError,
    UnknownRowError,
    UpgradeRunningError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # Not no-referrer: with that a browser sends `Origin: null` along with the form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer."""


class RefusedError(Exception):
    """Raised where a request is answered with an error, in words that hold no secret."""

    def __init__(  # noqa: PLR0913 - the parts of an answer
        self,
        status: int,
        code: str,
        message: str,
        todo: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> None:
        """Keep the parts of the answer; `data` is what was done before the error."""
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, "todo": todo}
        self.headers = headers or {}
        self.data = data


_logger: Final = logging.getLogger(__name__)


class _Kind(NamedTuple):
    status: int
    todo: str


_BODY_SECONDS: Final = 10
_AGAIN: Final = "Ask again in a moment."
_WAIT: Final = "Wait until that has ended, then ask again."
_LOOK: Final = "See the server's log, and what `streamhub-db check` says."
# The first that fits. The errors' own `todo` is for operators: it may name paths.
_KINDS: Final[list[tuple[type[StreamHubError], _Kind]]] = [
    (UnknownAppError, _Kind(404, "Name an app that is there.")),
    (UnknownRowError, _Kind(404, "Name one that is there.")),
    (AppNameError, _Kind(400, "Correct the name.")),
    (StoredValueError, _Kind(400, "Correct the value.")),
    (MaintenanceRunningError, _Kind(409, _WAIT)),
    (UpgradeRunningError, _Kind(409, _WAIT)),
    (AppBusyError, _Kind(409, _WAIT)),
    (DatabaseInUseError, _Kind(409, _WAIT)),
    (MissingDatabaseError, _Kind(404, "It is made when the app is used for the first time.")),
    (
        AppDatabaseLostError,
        _Kind(
            503,
            "Restore it (`streamhub-db backup restore`), or start the app anew "
            "(`streamhub-db upgrade --create-missing`).",
        ),
    ),
    (SpaceError, _Kind(507, "Free space on the server's disk; nothing was changed.")),
    (DatabaseFileError, _Kind(503, _LOOK)),
    (DatabasesClosedError, _Kind(503, _AGAIN)),
]
_ANY: Final = _Kind(500, _LOOK)
_MESSAGES: Final[dict[type[StreamHubError], str]] = {
    MissingDatabaseError: "The app has no database yet.",
    SpaceError: "The disk has not enough room for this.",
    DatabasesClosedError: "The server is being shut down.",
    UpgradeRunningError: "An upgrade or another maintenance of the installation is running.",
}
"""Words for errors whose own speak to others than the clients of this service."""


def answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a document as JSON."""
    body = json.dumps(document, ensure_ascii=True, allow_nan=False).encode()
    given = {**HEADERS, **(headers or {})}
    return Response(body, status, given, media_type="application/json")


def data(document: object) -> Response:
    """Return what an endpoint found out or did."""
    return answer({"data": document})


async def answer_refusal(_: Request, error: Exception) -> Response:
    """Answer a `RefusedError`."""
    assert isinstance(error, RefusedError)  # noqa: S101 - it is registered for this one
    partly = {} if error.data is None else {"data": error.data}
    return answer({"error": error.error, **partly}, error.status, error.headers)


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer an error of the tree; the log has its words for operators."""
    assert isinstance(error, StreamHubError)  # noqa: S101 - it is registered for these
    refusal = refusal_of(error)
    if refusal.status >= 500:  # noqa: PLR2004 - the server's own faults
        _logger.warning("%s %s: %s", request.method, ascii(request.url.path), error)
    return await answer_refusal(request, refusal)


async def answer_nobody(_: Request, __: Exception) -> Response:
    """Answer a client that went away before it had sent its body."""
    return Response(status_code=400, headers=HEADERS)


def refusal_of(error: StreamHubError, *, data: object = None) -> RefusedError:
    """Return the answer to an error of the tree: its public words, without paths and names."""
    kind = next((it for base, it in _KINDS if isinstance(error, base)), _ANY)
    message = _MESSAGES.get(type(error), error.public_message)
    todo = _AGAIN if error.may_be_repeated else kind.todo
    status = 503 if error.may_be_repeated else kind.status
    headers = {"Retry-After": "5"} if status in (409, 503) else {}
    return RefusedError(status, code_of(type(error)), message, todo, headers=headers, data=data)


def code_of(kind: type[StreamHubError]) -> str:
    """Return the name of an error as its code: `unknown_app` for `UnknownAppError`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body of a request, of which no more than that is kept, nor waited for longer."""
    body, close = bytearray(), {"Connection": "close"}
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    code, message = "body_too_large", f"The body has more than {most_bytes} bytes."
                    raise RefusedError(413, code, message, "Send less.", headers=close)
    except TimeoutError:
        code, message = "body_too_slow", f"The body took more than {_BODY_SECONDS} s."
        raise RefusedError(408, code, message, "Send it at once.", headers=close) from None
    return bytes(body)

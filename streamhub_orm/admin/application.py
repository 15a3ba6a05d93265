"""The ASGI application."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from streamhub_orm.admin.access import Access
from streamhub_orm.admin.answers import (
    RefusedError,
    answer,
    answer_error,
    answer_nobody,
    answer_refusal,
)
from streamhub_orm.admin.endpoints import Endpoints
from streamhub_orm.admin.page import Page
from streamhub_orm.admin.threads import Threads
from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.databases import Databases
from streamhub_orm.errors import StreamHubError, UnforeseenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

PREFIX: Final = "/api/v1"
CLOSE_SECONDS: Final = 0.3
"""Seconds that changes at work have to end when the application does."""
_CODES: Final = {404: ("not_found", "There is nothing here.", "Correct the path.")}
_METHOD: Final = ("method_not_allowed", "This is asked for otherwise.", "See the header Allow.")


def application(
    databases: AsyncDatabases | Databases | str | os.PathLike[str],
    *,
    prefix: str = PREFIX,
    metrics_token: str | None = None,
    with_page: bool = False,
) -> Starlette:
    """Return the application: the endpoints below `prefix`, and `/metrics` beside it.

    `databases` are open ones, which stay the caller's; or the folder of an installation, which it
    then opens itself without upgrading anything, and closes at the end of its lifespan. A program
    that mounts it has to run that lifespan, or hand databases over: a mounted application's is not
    run by itself.

    `metrics_token` is who may ask for `/metrics`, by default METRICS_TOKEN of the environment;
    empty, there is no such path. With `with_page` the report on all databases is at `/`. Raises
    `DataDirError` where the folder holds no installation.
    """
    own = None
    if isinstance(databases, AsyncDatabases):
        used = databases.sync
    elif isinstance(databases, Databases):
        used = databases
    else:
        used = own = Databases(databases, auto_upgrade=False)
    threads = Threads()
    access = Access(used, threads)
    token = os.environ.get("METRICS_TOKEN") if metrics_token is None else metrics_token
    routes = Endpoints(used, threads, access, token).routes(prefix)
    if with_page:
        routes += Page(used, threads, access).routes()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await threads.close(CLOSE_SECONDS)
            if own is not None:
                own.close()

    made = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _answer_http,
            ClientDisconnect: answer_nobody,
            RefusedError: answer_refusal,
            StreamHubError: answer_error,
            Exception: _answer_unforeseen,
        },
    )
    made.router.redirect_slashes = False  # else by an address that the client made up
    made.state.threads = threads
    return made


async def _answer_http(_: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: a path or a method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for this one
    code, message, todo = _CODES.get(error.status_code, _METHOD)
    document: dict[str, Any] = {"code": code, "message": message, "todo": todo}
    return answer({"error": document}, error.status_code, error.headers)


async def _answer_unforeseen(request: Request, error: Exception) -> Response:
    fault = UnforeseenError(f"{type(error).__name__}: {error}")
    return await answer_error(request, fault)

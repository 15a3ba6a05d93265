"""A web service on streamhub-orm: tokens, pages, quotas, logs, metrics; async and plain routes.

streamhub-db --data-dir demo-data init
DATA_DIR=demo-data uvicorn --app-dir docs fastapi_service:service
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest

from streamhub_orm import Databases, metrics
from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import StreamType
from streamhub_orm.errors import (
    AppNameError,
    QuotaExceededError,
    StoredValueError,
    StreamHubError,
    UnknownAppError,
    UnknownRowError,
)
from streamhub_orm.services import logs, quotas, streams, tokens, vods
from streamhub_orm.services.log_handler import open_log
from streamhub_orm.services.paging import PageKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("service")


class CancelOnDisconnect:
    """Cancels a request whose client has gone: its statement is stopped and rolled back."""

    def __init__(self, inner: ASGIApp) -> None:
        """Stand before the other parts of the service."""
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client goes before."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue()
        answering = asyncio.ensure_future(self.inner(scope, messages.get, send))

        async def listen() -> None:
            message: Message = {"type": ""}
            while message["type"] != "http.disconnect":
                message = await receive()
                messages.put_nowait(message)
            answering.cancel()

        listening = asyncio.create_task(listen())
        try:
            await asyncio.wait([answering])
        finally:  # also where the server itself is stopped
            listening.cancel()
            answering.cancel()
        if answering.cancelled():
            logger.info("client gone: %s", scope["path"])
        else:
            answering.result()


@asynccontextmanager
async def lifespan(service: FastAPI) -> AsyncIterator[None]:
    """Open the databases and the log for as long as the service runs."""
    async with AsyncDatabases(os.environ["DATA_DIR"]) as databases:
        registry = CollectorRegistry()
        metrics.register(databases, registry)
        service.state.databases, service.state.registry = databases, registry
        logger.setLevel(logging.INFO)
        with open_log(databases.sync.place, logger=logger):
            yield


service = FastAPI(lifespan=lifespan)
service.add_middleware(CancelOnDisconnect)


def databases_of(request: Request) -> AsyncDatabases:
    """Return what `lifespan` has opened."""
    opened: AsyncDatabases = request.app.state.databases
    return opened


Opened = Annotated[AsyncDatabases, Depends(databases_of)]


async def authorized(
    request: Request, opened: Opened, authorization: Annotated[str, Header()] = ""
) -> tokens.TokenCheck:
    """Check the bearer token: for the app in the path, or else for the server as a whole."""
    check = await opened.run(
        tokens.check_request,
        authorization.removeprefix("Bearer "),
        address=request.client.host if request.client else None,
        app=request.path_params.get("app"),
    )
    if not check:
        logger.warning("token refused: %s", check.refusal)
        raise HTTPException(403 if check.is_authenticated else 401)
    return check


Authorized = Annotated[tokens.TokenCheck, Depends(authorized)]


@service.exception_handler(StreamHubError)
async def refuse(_: Request, error: StreamHubError) -> JSONResponse:
    """Answer in words that a client may see; the log has the others."""
    status = 500
    if isinstance(error, UnknownRowError | UnknownAppError):
        status = 404
    elif isinstance(error, QuotaExceededError):
        status = 429
    elif isinstance(error, StoredValueError | AppNameError):
        status = 422
    logger.log(logging.ERROR if status == 500 else logging.INFO, "%s", error)  # noqa: PLR2004
    return JSONResponse({"detail": error.public_message}, status)


@service.get("/apps/{app}/vods")
async def list_vods(
    app: str,
    opened: Opened,
    _: Authorized,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Return a page of recordings, the newest first, and the key of the next one."""
    key = None if after is None else PageKey.from_text(after)
    session = opened.app_session(app, read_only=True)
    page = await session.run(vods.list_, limit=limit, after=key)
    return {
        "vods": [{"id": row.id, "name": row.name, "status": row.status} for row in page],
        "next": str(page[-1].key) if len(page) == limit else None,
    }


@service.post("/apps/{app}/vods", status_code=201)
async def create_vod(app: str, name: str, opened: Opened, _: Authorized) -> dict[str, int]:
    """Begin a recording."""
    vod = await opened.app_session(app).run(vods.create, name=name)
    logger.info("recording %d begins", vod.id, extra={"app": app})
    return {"id": vod.id}


def begin_stream(databases: Databases, tenant: str, app: str, room: str, participant: str) -> int:
    """Let a publisher in, where the tenant may have one more: a unit of work, in one thread."""
    with (
        quotas.reserve(databases, tenant, quotas.Metric.CONCURRENT_STREAMS),
        databases.app_session(app) as session,
    ):
        return streams.upsert(session, room=room, participant=participant, type=StreamType.WHIP)


@service.put("/apps/{app}/streams/{room}/{participant}")
async def put_stream(
    app: str, room: str, participant: str, opened: Opened, check: Authorized
) -> dict[str, int]:
    """Begin a stream within the tenant's quota."""
    tenant = check.tenant_id or ""
    return {"id": await opened.run(begin_stream, tenant, app, room, participant)}


@service.delete("/apps/{app}/streams/{room}/{participant}")
def end_stream(app: str, room: str, participant: str, opened: Opened, _: Authorized) -> bool:
    """End a stream. A plain route has a thread of its own, and uses the ordinary sessions."""
    with opened.sync.app_session(app) as session:
        return streams.end(session, f"{room}/{participant}")


@service.get("/logs")
async def list_logs(opened: Opened, _: Authorized) -> list[dict[str, Any]]:
    """Return the newest lines of the server's log."""
    lines = await opened.global_session(read_only=True).run(logs.list_, limit=20)
    return [{"level": line.level, "app": line.app, "message": line.message} for line in lines]


@service.get("/metrics")
def export_metrics(request: Request) -> Response:
    """Give Prometheus the counters of the cache of apps."""
    return Response(generate_latest(request.app.state.registry), media_type="text/plain")

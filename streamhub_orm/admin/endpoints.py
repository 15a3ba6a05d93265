"""The endpoints: each checks its right, works in a thread, and answers."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import Response
from starlette.routing import Route

from streamhub_orm.admin import facts
from streamhub_orm.admin.access import require_metrics_token
from streamhub_orm.admin.answers import HEADERS, RefusedError, answer, data, read_body
from streamhub_orm.admin.threads import Change
from streamhub_orm.admin.upkeep import read_one_health, run_optimize, run_purge
from streamhub_orm.maintenance.purge import Scope
from streamhub_orm.metrics import DatabasesCollector, InstallationCollector
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from starlette.requests import Request

    from streamhub_orm.admin.access import Access
    from streamhub_orm.admin.threads import Threads
    from streamhub_orm.databases import Databases

_MOST_BODY_BYTES: Final = 16 * 1024


class Endpoints:
    """The endpoints over the databases of one installation."""

    def __init__(
        self, databases: Databases, threads: Threads, access: Access, metrics_token: str | None
    ) -> None:
        """Open nothing yet."""
        self._databases = databases
        self._access = access
        self._threads = threads
        self._metrics_token = metrics_token
        self._registry = CollectorRegistry()
        self._registry.register(DatabasesCollector(databases))
        self._registry.register(InstallationCollector(databases))

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes; all but that of `/metrics` begin with `prefix`."""
        app = f"{prefix}/apps/{{app}}"
        found = {
            f"{app}/db/health": ("GET", self.app_health),
            f"{app}/db/optimize": ("POST", self.optimize),
            f"{app}/db/purge": ("POST", self.purge),
            f"{app}/sizes": ("GET", self.app_sizes),
            f"{app}/stats": ("GET", self.app_stats),
            f"{prefix}/system/db/health": ("GET", self.global_health),
            f"{prefix}/stats": ("GET", self.stats),
            f"{prefix}/tenants/{{tenant}}/usage": ("GET", self.usage),
            "/metrics": ("GET", self.metrics),
        }
        return [Route(path, run, methods=[method]) for path, (method, run) in found.items()]

    async def app_health(self, request: Request) -> Response:
        """Answer the health of an app's database."""
        app = await self._app(request)
        place = self._databases.place
        read = partial(read_one_health, place, app)
        return data(await self._threads.read(read, key=("health", app)))

    async def global_health(self, request: Request) -> Response:
        """Answer the health of the global database."""
        await self._access.require_global(request)
        read = partial(read_one_health, self._databases.place, None)
        return data(await self._threads.read(read, key=("health", None)))

    async def optimize(self, request: Request) -> Response:
        """Optimize an app's database; refused while this or a purge of it is at work."""
        app = await self._app(request)
        work = partial(run_optimize, self._databases.place, app)
        return data(await self._threads.change(Change.OPTIMIZE, app, work))

    async def purge(self, request: Request) -> Response:
        """Delete an app's recordings, log lines or both with its streams."""
        app = await self._app(request)
        body = await self._threads.until_end(read_body(request, _MOST_BODY_BYTES))
        scope = _scope_of(body)
        work = partial(run_purge, self._databases.place, app, scope)
        return data(await self._threads.change(Change.PURGE, app, work))

    async def app_sizes(self, request: Request) -> Response:
        """Answer what an app takes on the disk and in the store."""
        app = await self._app(request)
        return data(await self._read(facts.app_sizes, app))

    async def app_stats(self, request: Request) -> Response:
        """Answer an app's numbers, bare."""
        app = await self._app(request)
        return answer(await self._read(facts.app_stats, app, now=utc_now()))

    async def stats(self, request: Request) -> Response:
        """Answer the server's numbers, bare."""
        await self._access.require_any(request)
        read = partial(facts.server_stats, self._databases, now=utc_now())
        return answer(await self._threads.read(read, key="stats"))

    async def usage(self, request: Request) -> Response:
        """Answer what a tenant uses of its quotas."""
        await self._access.require_global(request)
        return data(await self._read(facts.tenant_usage, request.path_params["tenant"]))

    async def metrics(self, request: Request) -> Response:
        """Answer the metrics in the text format of Prometheus."""
        require_metrics_token(request, self._metrics_token)
        text = await self._threads.read(partial(generate_latest, self._registry), key="metrics")
        return Response(text, headers=HEADERS, media_type=CONTENT_TYPE_LATEST)

    async def _app(self, request: Request) -> str:
        """Return the app that the path names, once the token is known to open it."""
        app: str = request.path_params["app"]
        await self._access.require_app(request, app)
        return app

    async def _read(self, read: Any, *values: object, **options: object) -> Any:  # noqa: ANN401 - a function of `facts`
        return await self._threads.read(partial(read, self._databases, *values, **options))


def _scope_of(body: bytes) -> Scope:
    """Return what a purge is asked to delete."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    fault = None
    if not isinstance(found, dict):
        fault = "The body is no JSON object."
    elif found.get("scope") not in list(Scope):
        fault = "`scope` is none of vods, logs and all."
    elif found.get("confirm") is not True:
        fault = "`confirm` is not true: a purge cannot be undone."
    if fault is not None:
        todo = 'Send {"scope": "vods", "confirm": true}.'
        raise RefusedError(400, "invalid_body", fault, todo)
    return Scope(found["scope"])

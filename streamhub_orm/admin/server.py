"""The server of `streamhub-db serve`: the application with its page, at one address."""

from __future__ import annotations

import logging
import signal
import socket
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import uvicorn

# By name uvicorn would import them late: a process that became another user may not be able to.
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamhub_orm.admin.answers import answer
from streamhub_orm.admin.application import CLOSE_SECONDS, application
from streamhub_orm.databases import Databases
from streamhub_orm.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from streamhub_orm.admin.threads import Threads

_GRACE_SECONDS: Final = 1
"""Seconds that requests have to be answered when the server ends."""
_MOST_CONNECTIONS: Final = 200
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, and nobody else's way to it."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def serve(
    data_dir: Path,
    host: str,
    port: int,
    *,
    other_names: Collection[str] = (),
    ready: Callable[[str], None],
) -> list[str]:
    """Serve an installation until SIGINT or SIGTERM; port 0 is any free one.

    `other_names` are host names that a proxy on this machine asks for, beside those of a loopback
    address; elsewhere every name is taken. `ready` is told the URL once connections are taken.
    Returns the changes that were cut off at the end, such as `optimize of live`: their files are
    whole. Raises `ListenError`, `DataDirError`, or a `DatabaseFileError` where the global database
    is not at head.
    """
    with (
        Databases(data_dir, auto_upgrade=False) as databases,
        databases.global_session(read_only=True) as session,
    ):
        session.connection()
    logging.getLogger("uvicorn.error").addFilter(_in_words)
    app = application(data_dir, with_page=True)
    threads: Threads = app.state.threads
    with closing(_listen(host, port)) as listening:
        shown = f"[{host}]" if ":" in host else host
        server = _Server(
            uvicorn.Config(
                OwnHosts(app, other_names) if is_loopback(host) else app,
                http=H11Protocol,
                lifespan="on",
                loop="asyncio",
                ws="none",
                log_config=None,
                access_log=False,
                # The client's address opens doors, so nobody may make one up.
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
            lambda: ready(f"http://{shown}:{listening.getsockname()[1]}/"),
            threads,
        )
        server.run(sockets=[listening])
    return threads.cut_off


class OwnHosts:
    """Refuses requests to another host than this machine: a page elsewhere may rebind its name."""

    def __init__(self, inner: ASGIApp, other_names: Collection[str] = ()) -> None:
        """Stand before the application, which has these names as well."""
        self._inner = inner
        self._names = {name.lower() for name in other_names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            name = _name_of(hosts[0]) if len(hosts) == 1 else ""
            if not is_loopback(name) and name not in self._names:
                error = {
                    "code": "other_host",
                    "message": "This server does not answer to this host name.",
                    "todo": "Ask for it at 127.0.0.1 or localhost, or allow it (--allow-host).",
                }
                await answer({"error": error}, 421)(scope, receive, send)
                return
        await self._inner(scope, receive, send)


def _name_of(host: bytes) -> str:
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


class _Server(uvicorn.Server):
    """One that tells when it is ready, and whose signals end it and not the process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], threads: Threads) -> None:
        super().__init__(config)
        self._ready = ready
        self._threads = threads

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn waits for the requests: those that would take long are answered now.
        await self._threads.close(CLOSE_SECONDS)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _in_words(record: logging.LogRecord) -> bool:
    """Let uvicorn tell an operator of a fault in a line, and show no traceback."""
    if record.exc_info and record.exc_info[1] is not None:
        error, record.exc_info = record.exc_info[1], None
        record.msg = f"{str(record.msg).strip()}: {type(error).__name__}: {error}"
    return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        fault = getattr(error, "strerror", None) or str(error)
        address = f"{host}:{port}"
        raise ListenError(address, fault) from error
    # Head and body are two writes, and the second would wait 40 ms for the client's word of the
    # first. asyncio sees to that only for sockets that name their protocol.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening

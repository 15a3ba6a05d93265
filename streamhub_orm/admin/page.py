"""The report on all databases as a live page, and the form that asks for a token.

A browser keeps a random word in a cookie, and this process the token that it stands for: a cookie
goes to every server on the same machine, whatever its port, and the token would go with it. The
word opens the page and no endpoint, so no other site can make a browser change anything.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import jinja2
from starlette.responses import Response
from starlette.routing import Route

from streamhub_orm.admin.answers import HEADERS, RefusedError, read_body
from streamhub_orm.archives import survey_environment
from streamhub_orm.maintenance.report.facts import read_fleet
from streamhub_orm.maintenance.report.page import render_page

if TYPE_CHECKING:
    from starlette.requests import Request

    from streamhub_orm.admin.access import Access
    from streamhub_orm.admin.threads import Threads
    from streamhub_orm.databases import Databases
    from streamhub_orm.maintenance.report import ArchiveFacts

_COOKIE: Final = "streamhub_admin"
_MOST_FORM_BYTES: Final = 1024
_MOST_SIGN_INS: Final = 64
_REFRESH_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 2
_REFUSED: Final = "This token does not open the page: it takes one of global scope, from here."
_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("streamhub_orm.admin", ""),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Read with the module: a process that became another user may not be able to read it later.
_FORM: Final = _environment.get_template("sign_in.html.j2")


class Page:
    """The page at `/`, for who has signed in with a token of global scope."""

    def __init__(self, databases: Databases, threads: Threads, access: Access) -> None:
        """Nobody has signed in yet."""
        self._databases = databases
        self._threads = threads
        self._access = access
        self._tokens: dict[str, str] = {}
        """Tokens by the word of the cookie; the oldest goes first."""
        self._archives: list[ArchiveFacts] = []
        """What the last look at the archives has found."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the report as it is now, or the form."""
        token = self._tokens.get(request.cookies.get(_COOKIE, ""))
        if token is None or not await self._access.check(request, token):
            return _html(_FORM.render(refused=None), 401)
        read = partial(_render, self._databases, await self._survey())
        page = await self._threads.read(read, key="page")
        return _html(page, headers={"Refresh": str(_REFRESH_SECONDS)})

    async def _survey(self) -> list[ArchiveFacts]:
        """Return what is known of the archives; a bucket that is slow holds no page up."""
        root = self._databases.place.root
        look = partial(survey_environment, root, root)
        looking = asyncio.ensure_future(self._threads.read(look, key="archives"))
        looking.add_done_callback(self._keep)
        await asyncio.wait((looking,), timeout=_PATIENCE_SECONDS)
        return self._archives

    def _keep(self, looking: asyncio.Future[list[ArchiveFacts]]) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self._archives = looking.result()

    async def sign_in(self, request: Request) -> Response:
        """Take a token from the form, and give the browser a word for it."""
        _require_same_origin(request)
        body = await self._threads.until_end(read_body(request, _MOST_FORM_BYTES))
        token = parse_qs(body.decode("latin-1")).get("token", [""])[0].strip()
        if not await self._access.check(request, token):
            return _html(_FORM.render(refused=_REFUSED), 403)
        while len(self._tokens) >= _MOST_SIGN_INS:
            del self._tokens[next(iter(self._tokens))]
        word = secrets.token_urlsafe(32)
        self._tokens[word] = token
        return _to_page(request, word)

    async def sign_out(self, request: Request) -> Response:
        """Forget the word."""
        _require_same_origin(request)
        self._tokens.pop(request.cookies.get(_COOKIE, ""), None)
        return _to_page(request, None)


def _render(databases: Databases, archives: list[ArchiveFacts]) -> str:
    fleet = read_fleet(databases.place)
    fleet.archives = archives
    return render_page(fleet, is_live=True)


def _require_same_origin(request: Request) -> None:
    """Refuse a form of another site; a browser says where each comes from."""
    headers = request.headers
    host, origin = headers.get("host"), urlsplit(headers.get("origin", "")).netloc
    if origin != host or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        message = "This form belongs to another site."
        raise RefusedError(403, "other_origin", message, "Open the page itself.")


def _to_page(request: Request, word: str | None) -> Response:
    answer = Response(status_code=303, headers={**HEADERS, "Location": "/"})
    # A proxy may speak HTTPS for it, which the browser alone knows.
    is_secure = request.headers.get("origin", "").startswith("https:")
    if word is None:
        answer.delete_cookie(_COOKIE, httponly=True, samesite="strict", secure=is_secure)
    else:
        answer.set_cookie(_COOKIE, word, httponly=True, samesite="strict", secure=is_secure)
    return answer


def _html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, {**HEADERS, **(headers or {})}, media_type="text/html")

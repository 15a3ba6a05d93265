"""URL of the control plane: which forms are taken, and how it is shown without its password."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import GlobalUrlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

URL_VARIABLE: Final = "STREAMHUB_GLOBAL_URL"
_DRIVER: Final = "postgresql+psycopg"
_SECRETS: Final = frozenset({"password", "sslpassword"})
"""Parameters of a URL that are secrets; `passfile` only names a file."""


@dataclass(frozen=True)
class ServerUrl:
    """A checked URL `postgresql+psycopg://…`; `str()` and `repr()` show no password and no options.

    What it leaves out comes from libpq's own variables and files (PGHOST, PGPASSFILE, PGSERVICE).
    """

    url: sa.URL = field(repr=False)

    @classmethod
    def parse(cls, text: str, source: str, *, is_argument: bool = False) -> ServerUrl:
        """Read a URL; `source` says in errors where it stood.

        An argument of a command may hold no password: every user of the machine can list it.
        Raises `GlobalUrlError`, which does not show the URL.
        """
        import sqlalchemy as sa  # noqa: PLC0415 - slow to import, and most have no such URL

        try:
            url = sa.make_url(text)
        except (sa.exc.ArgumentError, ValueError):
            raise GlobalUrlError(source, "a text that is no URL") from None
        if url.drivername not in {_DRIVER, "postgresql"}:
            found = f"a URL of {url.drivername!r}"
            raise GlobalUrlError(source, found)
        if is_argument and (url.password is not None or url.query.keys() & _SECRETS):
            raise GlobalUrlError(source, "a URL with a password in it")
        return cls(url.set(drivername=_DRIVER))

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> ServerUrl | None:
        """Return the URL that STREAMHUB_GLOBAL_URL holds; None where it is unset or empty."""
        text = (os.environ if environment is None else environment).get(URL_VARIABLE, "").strip()
        return cls.parse(text, URL_VARIABLE) if text else None

    def __str__(self) -> str:
        """Name server and database: `postgresql://host:5432/streamhub`."""
        given = self.url.host or self.url.query.get("host") or os.environ.get("PGHOST") or ""
        host = given if isinstance(given, str) else ",".join(given)
        port = f":{self.url.port}" if self.url.port else ""
        database = self.url.database or os.environ.get("PGDATABASE") or ""
        return f"postgresql://{host}{port}/{database}"

"""The way of the global database from its file to a server, and back: the extra `postgresql`."""

from __future__ import annotations

from streamhub_orm.errors import MissingExtraError

try:
    import psycopg  # noqa: F401 - asked for here, so that one place says what is missing
except ImportError as error:
    module = "streamhub_orm.promotion"
    raise MissingExtraError(module, "psycopg", extra="postgresql") from error

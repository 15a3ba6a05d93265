"""The same databases and sessions for services on an event loop: SQLAlchemy's asyncio, aiosqlite.

Needs the extra `aio`. The functions of `streamhub_orm.services` are shared: `await
session.run_sync(function, …)` calls one with the session that it takes as its first argument.
"""

from streamhub_orm.errors import MissingExtraError

try:
    import aiosqlite  # noqa: F401 - only whether it is there
    import greenlet  # type: ignore[import-untyped]  # noqa: F401
except ImportError as error:
    module = "streamhub_orm.aio"
    packages = "aiosqlite and greenlet"
    raise MissingExtraError(module, packages, extra="aio") from error

from streamhub_orm.aio.databases import AsyncDatabases

__all__ = ["AsyncDatabases"]

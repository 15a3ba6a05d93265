"""HTTP endpoints for who looks after the databases, on Starlette. Needs the extra `admin`.

`application` is an ASGI application, to be mounted or served; `streamhub-db serve` is the command.
"""

from __future__ import annotations

from streamhub_orm.errors import MissingExtraError

try:
    import prometheus_client  # noqa: F401 - asked for here, so that one place says what is missing
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    module = "streamhub_orm.admin"
    packages = "starlette, uvicorn or prometheus-client"
    raise MissingExtraError(module, packages, extra="admin") from error

from streamhub_orm.admin.application import application

__all__ = ["application"]

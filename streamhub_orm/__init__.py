"""The data layer of StreamHub: models and histories of both databases, engines, the upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamhub_orm.databases import Databases

__all__ = ["Databases", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `Databases` on first use: the command line answers --version without SQLAlchemy."""
    if name == "Databases":
        from streamhub_orm.databases import Databases  # noqa: PLC0415

        return Databases
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)

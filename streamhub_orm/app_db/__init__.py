"""Models of an app.db: one file per app."""

from streamhub_orm.app_db.base import AppBase, Meta
from streamhub_orm.app_db.live import (
    AppPlugin,
    IngressAuth,
    RestreamStatus,
    RestreamTarget,
    Stream,
    StreamStatus,
    StreamType,
)
from streamhub_orm.app_db.vods import VariantKind, Vod, VodStatus, VodVariant

__all__ = [
    "AppBase",
    "AppPlugin",
    "IngressAuth",
    "Meta",
    "RestreamStatus",
    "RestreamTarget",
    "Stream",
    "StreamStatus",
    "StreamType",
    "VariantKind",
    "Vod",
    "VodStatus",
    "VodVariant",
    "metadata",
]

metadata = AppBase.metadata
"""All tables of this world, as Alembic and tools beside it look for them."""

"""The models of an app.db: one file per app."""

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.app_db.ingress import IngressAuth
from streamhub_orm.app_db.meta import Meta
from streamhub_orm.app_db.plugins import AppPlugin
from streamhub_orm.app_db.restream import RestreamStatus, RestreamTarget
from streamhub_orm.app_db.streams import Stream, StreamStatus, StreamType
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
]

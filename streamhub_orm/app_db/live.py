"""Ingress credentials, streams, restream targets and plugins."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import (
    SQL_NOW,
    EnumText,
    IntBool,
    UtcSql,
    one_of,
    tracked_json,
    utc_now,
)

if TYPE_CHECKING:
    from streamhub_orm.app_db.vods import Vod


class IngressAuth(AppBase):
    """The credentials of one ingress. Written when an ingress is made, changed or used."""

    __tablename__ = "ingress_auth"
    __table_args__ = (
        Index("idx_ingress_auth_app", "app"),
        Index("idx_ingress_auth_stream_key", "stream_key"),
    )

    ingress_id: Mapped[str] = mapped_column(primary_key=True)

    app: Mapped[str]
    room: Mapped[str | None]
    stream_key: Mapped[str | None]
    password_hash: Mapped[str | None]
    password_salt: Mapped[str | None]
    requires_password: Mapped[bool] = mapped_column(IntBool, server_default=text("0"))
    validated_at: Mapped[datetime | None] = mapped_column(UtcSql)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)


class StreamType(StrEnum):
    """Protocol by which a stream comes in."""

    WEBRTC = "webrtc"
    RTMP = "rtmp"
    RTSP = "rtsp"
    WHIP = "whip"
    WS_MJPEG = "ws-mjpeg"


class StreamStatus(StrEnum):
    """State of a stream: live or ended."""

    ACTIVE = "active"
    ENDED = "ended"


class Stream(AppBase):
    """A publisher in a room, once however often it comes back.

    Written on the media server's events.
    """

    __tablename__ = "streams"
    __table_args__ = (
        UniqueConstraint("stream_id"),
        one_of("type", StreamType),
        one_of("status", StreamStatus),
        Index("idx_streams_status", "status"),
        Index("idx_streams_room", "room"),
        Index("idx_streams_started_at", "started_at"),
        Index("idx_streams_status_started", "status", "started_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    app_id: Mapped[int]
    stream_id: Mapped[str]
    type: Mapped[StreamType] = mapped_column(EnumText(StreamType))
    room: Mapped[str | None]
    participant: Mapped[str | None]
    status: Mapped[StreamStatus] = mapped_column(
        EnumText(StreamStatus),
        server_default=StreamStatus.ACTIVE.value,
    )
    started_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    ended_at: Mapped[datetime | None] = mapped_column(UtcSql)
    last_stats_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())

    vods: Mapped[list["Vod"]] = relationship(
        primaryjoin="Stream.stream_id == foreign(Vod.stream_id)",
        order_by="Vod.id",
        viewonly=True,
        lazy="raise",
    )


class RestreamStatus(StrEnum):
    """State of the sending."""

    STARTING = "starting"
    ACTIVE = "active"
    FAILED = "failed"
    STOPPED = "stopped"


class RestreamTarget(AppBase):
    """A platform that a room is sent on to. Written by the restreamer.

    `url` holds the platform's stream key and is a secret; show `url_masked`.
    """

    __tablename__ = "restream_targets"
    __table_args__ = (
        one_of("status", RestreamStatus),
        Index("idx_restream_targets_room", "room"),
        Index("idx_restream_targets_egress", "egress_id"),
        Index("idx_restream_targets_status", "status"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    app: Mapped[str]
    room: Mapped[str]
    stream_id: Mapped[str | None]
    name: Mapped[str | None]
    platform: Mapped[str] = mapped_column(server_default="custom")
    url: Mapped[str]
    url_masked: Mapped[str]
    egress_id: Mapped[str | None]
    status: Mapped[RestreamStatus] = mapped_column(
        EnumText(RestreamStatus),
        server_default=RestreamStatus.STARTING.value,
    )
    error: Mapped[str | None]
    retries: Mapped[int] = mapped_column(server_default=text("0"))
    started_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    ended_at: Mapped[datetime | None] = mapped_column(UtcSql)


class AppPlugin(AppBase):
    """A plugin that the app has, and its settings. Written by the console."""

    __tablename__ = "app_plugins"
    __table_args__ = (Index("idx_app_plugins_enabled", "enabled"),)

    plugin_id: Mapped[str] = mapped_column(primary_key=True)

    enabled: Mapped[bool] = mapped_column(IntBool, server_default=text("1"))
    config_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())
    installed_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)

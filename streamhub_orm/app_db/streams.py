"""Who is, or was, live."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import SQL_NOW, EnumText, JsonText, UtcSql, one_of


class StreamType(StrEnum):
    """How a stream comes in."""

    WEBRTC = "webrtc"
    RTMP = "rtmp"
    RTSP = "rtsp"
    WHIP = "whip"
    WS_MJPEG = "ws-mjpeg"


class StreamStatus(StrEnum):
    """Whether a stream is live."""

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
    last_stats_json: Mapped[dict[str, Any] | None] = mapped_column(JsonText)

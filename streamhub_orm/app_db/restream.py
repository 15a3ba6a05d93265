"""Where rooms are sent on to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import SQL_NOW, EnumText, UtcSql, one_of


class RestreamStatus(StrEnum):
    """How the sending goes."""

    STARTING = "starting"
    ACTIVE = "active"
    FAILED = "failed"
    STOPPED = "stopped"


class RestreamTarget(AppBase):
    """A room that is sent on to another platform. Written by the restreamer.

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

"""The server's log."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, JsonText, UtcIso, utc_now


class ServerLog(GlobalBase):
    """A line of the server's log. Written by every service, deleted by the log retention."""

    __tablename__ = "server_logs"
    __table_args__ = (
        Index("idx_server_logs_ts", "ts"),
        Index("idx_server_logs_app_level", "app_id", "level"),
        Index("idx_server_logs_app_ts", "app_id", "ts"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    # The default keeps JavaScript's format, which the Node core compares with as text.
    ts: Mapped[datetime] = mapped_column(UtcIso, default=utc_now, server_default=SQL_NOW)
    level: Mapped[str]
    source: Mapped[str | None]
    app_id: Mapped[int | None] = mapped_column(ForeignKey("apps.id", ondelete="SET NULL"))
    message: Mapped[str]
    meta_json: Mapped[dict[str, Any] | None] = mapped_column(JsonText)

"""The plugins of an app."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import SQL_NOW, IntBool, JsonText, UtcSql, utc_now


class AppPlugin(AppBase):
    """A plugin that the app has, and its settings. Written by the console."""

    __tablename__ = "app_plugins"
    __table_args__ = (Index("idx_app_plugins_enabled", "enabled"),)

    plugin_id: Mapped[str] = mapped_column(primary_key=True)

    enabled: Mapped[bool] = mapped_column(IntBool, server_default=text("1"))
    config_json: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    installed_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)

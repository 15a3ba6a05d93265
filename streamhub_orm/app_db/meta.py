"""Markers of one-time work on one app."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import SQL_NOW, UtcSql, utc_now


class Meta(AppBase):
    """A marker such as `vods_import_done`. Written by the imports, here and in the Node core."""

    __tablename__ = "_streamhub_meta"

    key: Mapped[str] = mapped_column(primary_key=True)

    value: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)

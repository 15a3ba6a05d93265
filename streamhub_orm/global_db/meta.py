"""Markers of one-time work on the installation."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, UtcSql, utc_now


class Meta(GlobalBase):
    """A marker such as `per_app_split_done`. Written by the split, here and in the Node core."""

    __tablename__ = "_streamhub_meta"

    key: Mapped[str] = mapped_column(primary_key=True)

    value: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)

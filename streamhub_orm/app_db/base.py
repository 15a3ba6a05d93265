"""Base of the per-app models, and the table of markers of one-time work."""

from datetime import datetime

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from streamhub_orm.schema import NAMING_CONVENTION, SQL_NOW, ModelBase, UtcSql, utc_now


class AppBase(ModelBase, DeclarativeBase):
    """Base of every table of an app.db.

    Primary keys are NOT NULL here. In the files most are declared without it, as the Node core did,
    but SQLAlchemy inserts several rows in one statement only where the key cannot be NULL.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Meta(AppBase):
    """A marker such as `vods_import_done`. Written by the imports, here and in the Node core."""

    __tablename__ = "_streamhub_meta"

    key: Mapped[str] = mapped_column(primary_key=True)

    value: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)

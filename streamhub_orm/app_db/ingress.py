"""Who may publish, and with which key and password."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.app_db.base import AppBase
from streamhub_orm.schema import SQL_NOW, IntBool, UtcSql


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

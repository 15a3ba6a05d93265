"""Ingress credentials from before each app had a file of its own."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, IntBool, UtcSql


class IngressAuth(GlobalBase):
    """The copy of an ingress's credentials that the split left in place. Nobody writes it any more.

    The live row is `streamhub_orm.app_db.IngressAuth`.
    """

    __tablename__ = "ingress_auth"
    __table_args__ = (Index("idx_ingress_auth_app", "app"),)

    ingress_id: Mapped[str] = mapped_column(primary_key=True)

    app: Mapped[str]
    room: Mapped[str | None]
    stream_key: Mapped[str | None]
    password_hash: Mapped[str | None]
    password_salt: Mapped[str | None]
    requires_password: Mapped[bool] = mapped_column(IntBool, server_default=text("0"))
    validated_at: Mapped[datetime | None] = mapped_column(UtcSql)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)

"""People with an account."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, IntBool, UtcSql

if TYPE_CHECKING:
    from streamhub_orm.global_db.tenancy import Membership


class User(GlobalBase):
    """A person's account. Written at sign-up, by its owner, and by the operator."""

    __tablename__ = "users"
    __table_args__ = (
        Index("idx_users_email", "email"),
        Index("idx_users_email_nocase", text("email COLLATE NOCASE")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)

    email: Mapped[str | None]
    is_superadmin: Mapped[bool] = mapped_column(IntBool, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    password_hash: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    name: Mapped[str | None]
    totp_secret: Mapped[str | None]
    totp_pending_secret: Mapped[str | None]
    totp_enabled: Mapped[bool] = mapped_column(IntBool, server_default=text("0"))

    memberships: Mapped[list["Membership"]] = relationship(
        back_populates="user",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )

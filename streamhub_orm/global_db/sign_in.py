"""Who is signed in, and the links that let people in."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, IntBool, UtcIso, UtcSql, utc_now


class UserSession(GlobalBase):
    """A sign-in of a user on one device. Written at sign-in, on use and at sign-out."""

    __tablename__ = "sessions"
    __table_args__ = (Index("idx_sessions_user", "user_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)

    user_id: Mapped[str]
    email: Mapped[str | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
    # The default keeps JavaScript's format, which the Node core compares with as text.
    created_at: Mapped[datetime] = mapped_column(UtcIso, default=utc_now, server_default=SQL_NOW)
    last_seen: Mapped[datetime | None] = mapped_column(UtcSql)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcSql)

    # The id is what a signed-in browser holds.
    shown_columns = ("user_id",)


class MagicToken(GlobalBase):
    """A one-time link sent by e-mail, as a hash. Written when it is asked for and when used."""

    __tablename__ = "magic_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("idx_magic_tokens_email", "email"),
        Index("idx_magic_tokens_created", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    token_hash: Mapped[str]
    email: Mapped[str]
    request_ip: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcIso, default=utc_now, server_default=SQL_NOW)
    expires_at: Mapped[datetime] = mapped_column(UtcIso)
    used: Mapped[bool] = mapped_column(IntBool, server_default=text("0"))
    used_at: Mapped[datetime | None] = mapped_column(UtcSql)
    kind: Mapped[str] = mapped_column(server_default="login")

"""The registry of apps, their API tokens, and the ingress credentials of old installations."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import (
    FALSE,
    SQL_NOW,
    EnumText,
    IntBool,
    UtcSql,
    one_of,
    tracked_json,
    utc_now,
)

if TYPE_CHECKING:
    from streamhub_orm.global_db.accounts import Tenant


class TokenScope(StrEnum):
    """Reach of a token: the whole server, or one app."""

    GLOBAL = "global"
    APP = "app"


class App(GlobalBase):
    """An app, whose own database lies in `apps/<name>`. Written when an app is made or changed."""

    __tablename__ = "apps"
    __table_args__ = (
        UniqueConstraint("name"),
        Index("idx_apps_tenant", "tenant_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    name: Mapped[str]
    display_name: Mapped[str | None]
    livekit_room_prefix: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW, onupdate=utc_now)
    settings_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())
    tenant_id: Mapped[str | None] = mapped_column(server_default="platform")
    node_id: Mapped[str | None]

    tokens: Mapped[list["ApiToken"]] = relationship(
        back_populates="app",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )
    tenant: Mapped["Tenant | None"] = relationship(
        primaryjoin="foreign(App.tenant_id) == Tenant.id", viewonly=True, lazy="raise"
    )

    shown_columns = ("id", "name")


class ApiToken(GlobalBase):
    """A token of the API, as a hash. Written when one is issued, used or revoked."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        one_of("scope", TokenScope),
        Index("idx_api_tokens_hash", "token_hash"),
        Index("idx_api_tokens_app", "app_id"),
        Index("idx_api_tokens_tenant", "tenant_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    name: Mapped[str]
    token_hash: Mapped[str]
    scope: Mapped[TokenScope] = mapped_column(EnumText(TokenScope))
    app_id: Mapped[int | None] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"))
    allowed_ips_json: Mapped[list[str] | None] = mapped_column(tracked_json())
    last_used_at: Mapped[datetime | None] = mapped_column(UtcSql)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    revoked: Mapped[bool] = mapped_column(IntBool, server_default=FALSE)
    tenant_id: Mapped[str | None] = mapped_column(server_default="platform")

    app: Mapped[App | None] = relationship(back_populates="tokens", lazy="raise")


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
    requires_password: Mapped[bool] = mapped_column(IntBool, server_default=FALSE)
    validated_at: Mapped[datetime | None] = mapped_column(UtcSql)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)

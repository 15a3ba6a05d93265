"""Tenants with their quotas, users with their memberships, sign-ins and sign-in links."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, column, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import (
    FALSE,
    SQL_NOW,
    TEXT,
    EnumText,
    IntBool,
    UtcIso,
    UtcSql,
    one_of,
    utc_now,
    without_case,
)

if TYPE_CHECKING:
    from streamhub_orm.global_db.apps import App

PLATFORM_TENANT: Final = "platform"
"""The built-in tenant, which owns what nobody else does."""


class Role(StrEnum):
    """Rights of a member in a tenant."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class Tenant(GlobalBase):
    """A customer, owner of apps. Written by the operator's tenant administration."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)

    name: Mapped[str]
    plan: Mapped[str] = mapped_column(server_default="free")
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)

    memberships: Mapped[list["Membership"]] = relationship(
        back_populates="tenant",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )
    apps: Mapped[list["App"]] = relationship(
        primaryjoin="Tenant.id == foreign(App.tenant_id)",
        order_by="App.id",
        viewonly=True,
        lazy="raise",
    )
    quota: Mapped["Quota | None"] = relationship(
        back_populates="tenant",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )


class Membership(GlobalBase):
    """A user's role in a tenant. Written by the tenant's owners and by the operator."""

    __tablename__ = "memberships"
    __table_args__ = (one_of("role", Role), Index("idx_memberships_tenant", "tenant_id"))

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    tenant_id: Mapped[str] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )

    role: Mapped[Role] = mapped_column(EnumText(Role), server_default=Role.VIEWER.value)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)

    user: Mapped["User"] = relationship(back_populates="memberships", lazy="raise")
    tenant: Mapped[Tenant] = relationship(back_populates="memberships", lazy="raise")


class Quota(GlobalBase):
    """Limits of a tenant; -1 is unlimited, no row means the free plan.

    Written by the operator.
    """

    __tablename__ = "quotas"

    tenant_id: Mapped[str] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"),
        primary_key=True,
    )

    max_apps: Mapped[int] = mapped_column(server_default=text("2"))
    max_concurrent_streams: Mapped[int] = mapped_column(server_default=text("2"))
    max_recording_minutes_month: Mapped[int] = mapped_column(server_default=text("300"))
    max_egress_gb_month: Mapped[int] = mapped_column(server_default=text("5"))
    max_storage_gb: Mapped[int] = mapped_column(server_default=text("5"))

    tenant: Mapped[Tenant] = relationship(back_populates="quota", lazy="raise")


class User(GlobalBase):
    """A person's account. Written at sign-up, by its owner, and by the operator."""

    __tablename__ = "users"
    __table_args__ = (
        Index("idx_users_email", "email"),
        Index("idx_users_email_nocase", without_case(column("email", TEXT))),
    )

    id: Mapped[str] = mapped_column(primary_key=True)

    email: Mapped[str | None]
    is_superadmin: Mapped[bool] = mapped_column(IntBool, server_default=FALSE)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    password_hash: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    name: Mapped[str | None]
    totp_secret: Mapped[str | None]
    totp_pending_secret: Mapped[str | None]
    totp_enabled: Mapped[bool] = mapped_column(IntBool, server_default=FALSE)

    memberships: Mapped[list["Membership"]] = relationship(
        back_populates="user",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )


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
    """A one-time link sent by e-mail, as a hash: a login or an invite.

    Written when it is asked for, at an invitation, and when it is used.
    """

    __tablename__ = "magic_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("idx_magic_tokens_email", "email"),
        Index("idx_magic_tokens_created", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    token_hash: Mapped[str]
    email: Mapped[str]
    request_ip: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcIso, default=utc_now, server_default=SQL_NOW)
    expires_at: Mapped[datetime] = mapped_column(UtcIso)
    used: Mapped[bool] = mapped_column(IntBool, server_default=FALSE)
    used_at: Mapped[datetime | None] = mapped_column(UtcSql)
    kind: Mapped[str] = mapped_column(server_default="login")

"""Tenants, who belongs to them, and what they may use."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, EnumText, UtcSql, one_of

if TYPE_CHECKING:
    from streamhub_orm.global_db.users import User

PLATFORM_TENANT: Final = "platform"
"""The built-in tenant, which owns what nobody else does."""


class Role(StrEnum):
    """What a member may do in a tenant."""

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
    """What a tenant may use; -1 is unlimited, no row means the free plan.

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

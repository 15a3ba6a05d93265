"""Addresses that are kept out, and rules about networks."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, EnumText, UtcIso, UtcSql, one_of


class IpAction(StrEnum):
    """What a rule does with the addresses of its network."""

    ALLOW = "allow"
    BLOCK = "block"


class IpBan(GlobalBase):
    """An address kept out until a time. Written by the server when an address misbehaves."""

    __tablename__ = "ip_bans"
    __table_args__ = (Index("idx_ip_bans_until", "banned_until"),)

    ip: Mapped[str] = mapped_column(primary_key=True)

    reason: Mapped[str]
    first_seen: Mapped[datetime] = mapped_column(UtcIso)
    offense_count: Mapped[int] = mapped_column(server_default=text("0"))
    banned_until: Mapped[datetime] = mapped_column(UtcIso)
    escalation_level: Mapped[int] = mapped_column(server_default=text("0"))


class IpRule(GlobalBase):
    """A network that is always let in or always kept out. Written by the operator."""

    __tablename__ = "ip_rules"
    __table_args__ = (
        one_of("action", IpAction),
        Index("idx_ip_rules_action", "action"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)

    cidr: Mapped[str]
    action: Mapped[IpAction] = mapped_column(EnumText(IpAction))
    note: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    created_by: Mapped[str | None]

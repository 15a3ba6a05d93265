"""Nodes of the cluster, the server's log, banned addresses and rules for networks."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import (
    SQL_NOW,
    EnumText,
    JsonText,
    UtcIso,
    UtcSql,
    one_of,
    tracked_json,
    utc_now,
)


class NodeStatus(StrEnum):
    """Words of `Node.status`. No CHECK holds the column to them."""

    UNKNOWN = "unknown"
    """Of a row that no node has confirmed yet: the default."""
    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"
    DOWN = "down"
    """Known to the Node core, and written by nobody. A heartbeat makes it active, as `unknown`."""


class Node(GlobalBase):
    """A server of the cluster. Written when it joins, by its heartbeats, and by the operator."""

    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(primary_key=True)

    name: Mapped[str | None]
    url: Mapped[str | None]
    region: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=NodeStatus.UNKNOWN.value)
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcSql)
    stats_json: Mapped[dict[str, Any] | None] = mapped_column(tracked_json())


class ServerLog(GlobalBase):
    """A line of the server's log. Written by every service, deleted by the log retention."""

    __tablename__ = "server_logs"
    __table_args__ = (
        Index("idx_server_logs_ts", "ts"),
        Index("idx_server_logs_app_level", "app_id", "level"),
        Index("idx_server_logs_app_ts", "app_id", "ts"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    # The default keeps JavaScript's format, which the Node core compares with as text.
    ts: Mapped[datetime] = mapped_column(UtcIso, default=utc_now, server_default=SQL_NOW)
    level: Mapped[str]
    source: Mapped[str | None]
    app_id: Mapped[int | None] = mapped_column(ForeignKey("apps.id", ondelete="SET NULL"))
    message: Mapped[str]
    # Any JSON, and never changed.
    meta_json: Mapped[Any | None] = mapped_column(JsonText)


class IpAction(StrEnum):
    """Effect of a rule on the addresses of its network."""

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

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)

    cidr: Mapped[str]
    action: Mapped[IpAction] = mapped_column(EnumText(IpAction))
    note: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcSql, server_default=SQL_NOW)
    created_by: Mapped[str | None]

"""The servers of a cluster."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.schema import SQL_NOW, JsonText, UtcSql


class NodeStatus(StrEnum):
    """The words that the services write into `Node.status`. No CHECK holds the column to them."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


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
    stats_json: Mapped[dict[str, Any] | None] = mapped_column(JsonText)

"""Nodes, the servers of a cluster: they join, are heard of, and are kept from new work.

All functions take a session on the global database, but for those that take a node.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.errors import (
    NodeNameError,
    NodeNameTakenError,
    NodeStatsError,
    StoredValueError,
    UnknownNodeError,
)
from streamhub_orm.global_db import Node, NodeStatus
from streamhub_orm.schema import json_to_text, member_of, utc_now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "ORIGIN",
    "SETTABLE",
    "NodeHealth",
    "delete",
    "find_by_name",
    "get",
    "health",
    "heartbeat",
    "is_available",
    "is_stale",
    "join",
    "list_",
    "register_origin",
    "rename",
    "role",
    "set_status",
]

ORIGIN: Final = "origin"
"""Id, name and region of the server that the cluster grew from."""
_PINNED: Final = frozenset({NodeStatus.DRAINING, NodeStatus.DISABLED})
"""Statuses that an operator sets and no heartbeat changes."""
SETTABLE: Final = (NodeStatus.ACTIVE, NodeStatus.DRAINING, NodeStatus.DISABLED)
"""Statuses that an operator sets."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STALE_AFTER: Final = timedelta(seconds=90)
_STATS_LIMIT_BYTES: Final = 4096

# Names are not unique: the Node core may have made several nodes of one; the oldest is meant.
_BY_NAME: Final = (
    sa.select(Node)
    .where(Node.name == sa.bindparam("name"))
    .order_by(Node.created_at, sa.literal_column("nodes.rowid"))
    .limit(1)
)


class NodeHealth(StrEnum):
    """Whether a node is heard of."""

    LIVE = "live"
    STALE = "stale"
    """Not heard of for more than 90 s, or never."""


def join(
    session: Session,
    name: str,
    *,
    url: str | None = None,
    region: str | None = None,
    now: datetime | None = None,
) -> Node:
    """Let a server in, by its name: a known one keeps its id and statistics, a new one gets a UUID.

    It is active then, even where it was pinned to draining or disabled, and its region is the one
    that is given, or none. `url` is where it is reached, or else the address that it came from;
    None leaves it. Raises `NodeNameError` for a name that is not 1 to 64 characters of A-Z, a-z,
    0-9, `.`, `_` and `-`.
    """
    _require_name(name)
    node = find_by_name(session, name)
    if node is None:
        node = Node(id=str(uuid.uuid4()), name=name)
        session.add(node)
    node.url = url if url is not None else node.url
    node.region = region
    node.status = NodeStatus.ACTIVE
    node.last_seen_at = now or utc_now()
    session.flush()
    return node


def heartbeat(
    session: Session,
    node_id: str,
    stats: dict[str, Any] | None = None,
    *,
    now: datetime | None = None,
) -> Node:
    """Note that a node is alive: it is active, unless it is pinned to draining or disabled.

    `stats` replaces its statistics; None leaves them. Raises `UnknownNodeError`, and
    `NodeStatsError` for more than 4096 bytes of JSON.
    """
    node = get(session, node_id)
    _note_alive(node, stats, now)
    session.flush()
    return node


def register_origin(
    session: Session,
    *,
    url: str | None = None,
    stats: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> Node:
    """Register this server as the origin, at boot.

    The first time its id, name and region are `origin`. Later boots refresh url, statistics (where
    they are not None) and the time it was last seen, and keep a pinned status, name and region.
    Raises `NodeStatsError`.
    """
    node = session.get(Node, ORIGIN)
    if node is None:
        node = Node(id=ORIGIN, name=ORIGIN, region=ORIGIN)
    node.url = url if url is not None else node.url
    _note_alive(node, stats, now)
    session.add(node)
    session.flush()
    return node


def set_status(session: Session, node_id: str, status: NodeStatus) -> Node:
    """Pin a node to draining or disabled, or take the pin off by `active`.

    Raises `UnknownNodeError`, and `StoredValueError` for another status.
    """
    if member_of(NodeStatus, status) not in SETTABLE:
        expected = f"a status that an operator sets: {', '.join(SETTABLE)}"
        raise StoredValueError(expected, status)
    node = get(session, node_id)
    node.status = NodeStatus(status)
    session.flush()
    return node


def rename(session: Session, node_id: str, name: str) -> Node:
    """Give a node another name, by which it joins from then on.

    Raises `UnknownNodeError`, `NodeNameError`, and `NodeNameTakenError` where another node has it,
    which the Node core does not check: of two nodes of one name, one would join as the other.
    """
    _require_name(name)
    node = get(session, node_id)
    others = sa.select(Node.id).where(Node.name == name, Node.id != node_id).limit(1)
    other = session.scalar(others)
    if other is not None:
        raise NodeNameTakenError(name, other)
    node.name = name
    session.flush()
    return node


def delete(session: Session, node_id: str) -> None:
    """Delete a node, whichever it is; one that still runs joins anew. Raises `UnknownNodeError`."""
    session.delete(get(session, node_id))
    session.flush()


def get(session: Session, node_id: str) -> Node:
    """Return a node; raises `UnknownNodeError`."""
    node = session.get(Node, node_id)
    if node is None:
        known = session.scalars(sa.select(Node.id).order_by(Node.id)).all()
        raise UnknownNodeError(node_id, known)
    return node


def find_by_name(session: Session, name: str) -> Node | None:
    """Return the node of this name, or None."""
    return session.scalars(_BY_NAME, {"name": name}).one_or_none()


def list_(session: Session) -> list[Node]:
    """List all nodes, in the order in which they joined."""
    by_age = sa.select(Node).order_by(Node.created_at, sa.literal_column("nodes.rowid"))
    return list(session.scalars(by_age))


def is_stale(node: Node, *, now: datetime | None = None) -> bool:
    """Tell whether a node was last heard of more than 90 s ago, or never."""
    return health(node, now=now) is NodeHealth.STALE


def health(node: Node, *, now: datetime | None = None) -> NodeHealth:
    """Return whether a node is heard of."""
    seen = node.last_seen_at
    is_live = seen is not None and (now or utc_now()) - seen <= _STALE_AFTER
    return NodeHealth.LIVE if is_live else NodeHealth.STALE


def role(node: Node) -> str | None:
    """Return the role that a node says of itself in its statistics, as `role`; None without one.

    Raises `HiddenValueError` where its statistics are malformed.
    """
    stats = node.stats_json
    found = None if stats is None else stats.get("role")
    return found if isinstance(found, str) else None


def is_available(node: Node, *, now: datetime | None = None) -> bool:
    """Tell whether a node may be given work: active, and not stale."""
    return node.status == NodeStatus.ACTIVE and not is_stale(node, now=now)


def _require_name(name: object) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise NodeNameError(name)


def _note_alive(node: Node, stats: dict[str, Any] | None, now: datetime | None) -> None:
    if stats is not None:
        size_bytes = len(json_to_text(stats).encode())
        if size_bytes > _STATS_LIMIT_BYTES:
            raise NodeStatsError(node.id, size_bytes, _STATS_LIMIT_BYTES)
        node.stats_json = stats
    if node.status not in _PINNED:
        node.status = NodeStatus.ACTIVE
    node.last_seen_at = now or utc_now()

"""Nodes: join by name, heartbeats that respect a pin, the origin that registers itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    NodeNameError,
    NodeStatsError,
    StoredValueError,
    UnknownNodeError,
)
from streamhub_orm.global_db import Node, NodeStatus
from streamhub_orm.services import nodes

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
PINS = [NodeStatus.DRAINING, NodeStatus.DISABLED]


def stored(session: Session, node_id: str) -> dict[str, Any]:
    """Return the row as the Node core reads it."""
    row = session.execute(sa.text("SELECT * FROM nodes WHERE id = :id"), {"id": node_id})
    return dict(row.mappings().one())


def test_join_of_a_new_name_makes_an_active_node(global_session: Session) -> None:
    node = nodes.join(global_session, "edge-1", url="https://e1", region="eu", now=NOW)
    row = stored(global_session, node.id)
    assert node.id.startswith("node_")
    assert (row["name"], row["url"], row["region"]) == ("edge-1", "https://e1", "eu")
    assert (row["status"], row["last_seen_at"]) == ("active", "2026-01-31 12:00:00")
    assert row["stats_json"] is None
    assert row["created_at"]


@pytest.mark.parametrize("pin", PINS)
def test_join_of_a_known_name_keeps_its_id_and_is_active_over_a_pin(
    global_session: Session, pin: NodeStatus
) -> None:
    first = nodes.join(global_session, "edge-1", url="https://e1", region="eu", now=NOW)
    nodes.set_status(global_session, first.id, pin)
    again = nodes.join(global_session, "edge-1", url="https://other", now=LATER)
    assert again.id == first.id
    row = stored(global_session, first.id)
    assert (row["status"], row["url"], row["region"]) == ("active", "https://other", "eu")
    assert row["last_seen_at"] == "2026-01-31 12:00:30"
    assert len(nodes.list_(global_session)) == 1


def test_join_takes_the_oldest_of_several_nodes_of_one_name(global_session: Session) -> None:
    for node_id, created in (("b", "2025-05-01"), ("a", "2025-06-01")):
        insert = "INSERT INTO nodes (id, name, created_at) VALUES (:id, 'edge-1', :at)"
        global_session.execute(sa.text(insert), {"id": node_id, "at": f"{created} 00:00:00"})
    assert nodes.join(global_session, "edge-1").id == "b"


@pytest.mark.parametrize("name", ["", "  ", None])
def test_join_without_a_name_is_refused(global_session: Session, name: str) -> None:
    with pytest.raises(NodeNameError):
        nodes.join(global_session, name)
    assert nodes.list_(global_session) == []


def test_heartbeat_sets_time_stats_and_status(global_session: Session) -> None:
    insert = "INSERT INTO nodes (id, name) VALUES ('n-2', 'edge-2')"
    global_session.execute(sa.text(insert))
    assert stored(global_session, "n-2")["status"] == "unknown"
    nodes.heartbeat(global_session, "n-2", {"cpu": 0.25, "rooms": ["ü"]}, now=NOW)
    row = stored(global_session, "n-2")
    assert (row["status"], row["last_seen_at"]) == ("active", "2026-01-31 12:00:00")
    assert row["stats_json"] == '{"cpu":0.25,"rooms":["ü"]}'
    nodes.heartbeat(global_session, "n-2", now=LATER)
    assert stored(global_session, "n-2")["stats_json"] == row["stats_json"]


@pytest.mark.parametrize("pin", PINS)
def test_heartbeat_keeps_a_pin(global_session: Session, pin: NodeStatus) -> None:
    node = nodes.join(global_session, "edge-1", now=NOW)
    nodes.set_status(global_session, node.id, pin)
    nodes.heartbeat(global_session, node.id, {"cpu": 1}, now=LATER)
    row = stored(global_session, node.id)
    assert (row["status"], row["last_seen_at"]) == (pin.value, "2026-01-31 12:00:30")


def test_heartbeat_takes_stats_of_4096_bytes_and_refuses_one_more(global_session: Session) -> None:
    """Bytes of UTF-8, as they are stored; a refused heartbeat changes nothing."""
    node = nodes.join(global_session, "edge-1", now=NOW)
    frame = len('{"a":""}')
    nodes.heartbeat(global_session, node.id, {"a": "ü" * ((4096 - frame) // 2)}, now=NOW)
    assert len(stored(global_session, node.id)["stats_json"].encode()) == 4096
    with pytest.raises(NodeStatsError, match="4097 bytes") as caught:
        nodes.heartbeat(global_session, node.id, {"a": "x" * (4097 - frame)}, now=LATER)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (4097, 4096)
    assert stored(global_session, node.id)["last_seen_at"] == "2026-01-31 12:00:00"


def test_heartbeat_of_stats_that_json_cannot_hold_is_refused(global_session: Session) -> None:
    node = nodes.join(global_session, "edge-1")
    with pytest.raises(StoredValueError):
        nodes.heartbeat(global_session, node.id, {"cpu": float("nan")})


def test_heartbeat_of_an_unknown_node_names_those_that_are_there(global_session: Session) -> None:
    node = nodes.join(global_session, "edge-1")
    with pytest.raises(UnknownNodeError, match=node.id) as caught:
        nodes.heartbeat(global_session, "n-9", {})
    assert (caught.value.node_id, caught.value.known) == ("n-9", (node.id,))
    with pytest.raises(UnknownNodeError):
        nodes.get(global_session, "n-9")
    assert nodes.find_by_name(global_session, "edge-9") is None


def test_node_is_stale_after_90_seconds_without_a_heartbeat(global_session: Session) -> None:
    node = nodes.join(global_session, "edge-1", now=NOW)
    at_90, after = NOW + timedelta(seconds=90), NOW + timedelta(seconds=91)
    assert not nodes.is_stale(node, now=at_90)
    assert nodes.is_stale(node, now=after)
    assert nodes.is_available(node, now=at_90)
    assert not nodes.is_available(node, now=after)
    nodes.set_status(global_session, node.id, NodeStatus.DRAINING)
    assert not nodes.is_available(node, now=NOW)
    assert nodes.is_stale(Node(id="n", status="active"), now=NOW)


def test_origin_registers_itself_once_and_refreshes_at_later_boots(
    global_session: Session,
) -> None:
    nodes.register_origin(global_session, url="http://a", stats={"cpu": 1}, now=NOW)
    row = stored(global_session, "origin")
    assert (row["name"], row["region"], row["status"]) == ("origin", "origin", "active")
    rename = "UPDATE nodes SET name = 'main', region = 'eu', status = 'draining'"
    global_session.execute(sa.text(rename))
    global_session.expire_all()
    nodes.register_origin(global_session, url="http://b", stats={"cpu": 2}, now=LATER)
    row = stored(global_session, "origin")
    assert (row["name"], row["region"], row["status"]) == ("main", "eu", "draining")
    assert (row["url"], row["stats_json"]) == ("http://b", '{"cpu":2}')
    assert row["last_seen_at"] == "2026-01-31 12:00:30"
    assert len(nodes.list_(global_session)) == 1


def test_origin_with_too_many_stats_is_not_registered(global_session: Session) -> None:
    with pytest.raises(NodeStatsError):
        nodes.register_origin(global_session, stats={"a": "x" * 5000})
    assert nodes.list_(global_session) == []

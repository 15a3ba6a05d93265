"""Nodes: join by name, heartbeats that respect a pin, the origin that registers itself."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    HiddenValueError,
    NodeNameError,
    NodeNameTakenError,
    NodeStatsError,
    StoredValueError,
    UnknownNodeError,
)
from streamhub_orm.global_db import Node, NodeStatus
from streamhub_orm.services import nodes
from tests.services import stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
PINS = [NodeStatus.DRAINING, NodeStatus.DISABLED]


def kept(session: Session, node_id: str) -> dict[str, Any]:
    """Return the row as the Node core reads it."""
    return stored.row_of(session, Node, id=node_id)


def test_join_of_a_new_name_makes_an_active_node(global_session: Session) -> None:
    node = nodes.join(global_session, "edge-1", url="https://e1", region="eu", now=NOW)
    row = kept(global_session, node.id)
    assert str(uuid.UUID(node.id)) == node.id
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
    nodes.heartbeat(global_session, first.id, {"cpu": 1}, now=NOW)
    again = nodes.join(global_session, "edge-1", url="https://other", now=LATER)
    assert again.id == first.id
    row = kept(global_session, first.id)
    assert (row["status"], row["url"], row["region"]) == ("active", "https://other", None)
    assert row["stats_json"] == '{"cpu":1}'
    assert row["last_seen_at"] == "2026-01-31 12:00:30"
    assert len(nodes.list_(global_session)) == 1


def test_join_takes_the_oldest_of_several_nodes_of_one_name(global_session: Session) -> None:
    for node_id, created in (("b", "2025-05-01"), ("a", "2025-06-01")):
        insert = "INSERT INTO nodes (id, name, created_at) VALUES (:id, 'edge-1', :at)"
        global_session.execute(sa.text(insert), {"id": node_id, "at": f"{created} 00:00:00"})
    assert nodes.join(global_session, "edge-1").id == "b"


@pytest.mark.parametrize("name", ["", "  ", None, 7, "a b", "a/b", "ü", "a\n", "x" * 65])
def test_name_that_the_core_would_not_take_is_refused(global_session: Session, name: str) -> None:
    """Schema reference, nodes: 1..64 of A-Z a-z 0-9 . _ -."""
    with pytest.raises(NodeNameError, match="1 to 64 characters"):
        nodes.join(global_session, name)
    assert nodes.list_(global_session) == []
    node = nodes.join(global_session, "A.z_0-9" + "x" * 57)
    with pytest.raises(NodeNameError):
        nodes.rename(global_session, node.id, name)
    assert kept(global_session, node.id)["name"] == "A.z_0-9" + "x" * 57


def test_node_is_renamed_and_joins_by_its_new_name(global_session: Session) -> None:
    """Unlike the core, which lets two nodes have one name; one would join as the other."""
    first, second = (nodes.join(global_session, name).id for name in ("edge-1", "edge-2"))
    with pytest.raises(NodeNameTakenError, match=first) as caught:
        nodes.rename(global_session, second, "edge-1")
    assert (caught.value.name, caught.value.node_id) == ("edge-1", first)
    assert kept(global_session, second)["name"] == "edge-2"
    nodes.rename(global_session, first, "edge-1")
    nodes.rename(global_session, first, "main")
    assert nodes.join(global_session, "main").id == first
    with pytest.raises(UnknownNodeError):
        nodes.rename(global_session, "n-9", "edge-9")


def test_any_node_can_be_deleted(global_session: Session) -> None:
    """Schema reference, nodes: delete takes any row; the origin is there again at the next boot."""
    nodes.register_origin(global_session)
    edge = nodes.join(global_session, "edge-1").id
    for node_id in (edge, "origin"):
        nodes.delete(global_session, node_id)
        with pytest.raises(UnknownNodeError):
            nodes.delete(global_session, node_id)
    assert nodes.list_(global_session) == []


@pytest.mark.parametrize("status", ["unknown", "down", "odd", ""])
def test_status_that_no_operator_sets_is_refused(global_session: Session, status: str) -> None:
    node = nodes.join(global_session, "edge-1")
    with pytest.raises(StoredValueError):
        nodes.set_status(global_session, node.id, status)  # type: ignore[arg-type]
    assert kept(global_session, node.id)["status"] == "active"


@pytest.mark.parametrize("status", ["unknown", "down", "odd"])
def test_heartbeat_makes_a_node_active_that_is_not_pinned(
    global_session: Session, status: str
) -> None:
    """Schema reference, nodes: `unknown` (default) and `down` (never written) turn active."""
    insert = "INSERT INTO nodes (id, name, status) VALUES ('n-2', 'edge-2', :status)"
    global_session.execute(sa.text(insert), {"status": status})
    assert not nodes.is_available(nodes.get(global_session, "n-2"), now=NOW)
    nodes.heartbeat(global_session, "n-2", now=NOW)
    assert kept(global_session, "n-2")["status"] == "active"


@pytest.mark.parametrize(
    ("stats", "role"),
    [(None, None), ("{}", None), ('{"role":"edge"}', "edge"), ('{"role":5}', None)],
)
def test_role_is_what_the_statistics_say(
    global_session: Session, stats: str | None, role: str | None
) -> None:
    """Schema reference, nodes: a role exists only as stats.role."""
    insert = "INSERT INTO nodes (id, stats_json) VALUES ('n-2', :stats)"
    global_session.execute(sa.text(insert), {"stats": stats})
    assert nodes.role(nodes.get(global_session, "n-2")) == role


@pytest.mark.files
def test_malformed_statistics_hide_no_other_node_and_go_with_the_next_heartbeat(
    global_session: Session,
) -> None:
    nodes.join(global_session, "edge-1", now=NOW)
    insert = "INSERT INTO nodes (id, stats_json) VALUES ('n-2', '{')"
    global_session.execute(sa.text(insert))
    good, bad = nodes.list_(global_session)
    assert (nodes.role(good), nodes.is_stale(bad, now=NOW)) == (None, True)
    with pytest.raises(HiddenValueError, match="JSON text in stats_json"):
        nodes.role(bad)
    nodes.heartbeat(global_session, "n-2", now=NOW)
    assert kept(global_session, "n-2")["stats_json"] == "{"
    nodes.heartbeat(global_session, "n-2", {"role": "edge"}, now=NOW)
    assert nodes.role(bad) == "edge"


def test_heartbeat_sets_time_stats_and_status(global_session: Session) -> None:
    insert = "INSERT INTO nodes (id, name) VALUES ('n-2', 'edge-2')"
    global_session.execute(sa.text(insert))
    assert kept(global_session, "n-2")["status"] == "unknown"
    nodes.heartbeat(global_session, "n-2", {"cpu": 0.25, "rooms": ["ü"]}, now=NOW)
    row = kept(global_session, "n-2")
    assert (row["status"], row["last_seen_at"]) == ("active", "2026-01-31 12:00:00")
    assert row["stats_json"] == '{"cpu":0.25,"rooms":["ü"]}'
    nodes.heartbeat(global_session, "n-2", now=LATER)
    assert kept(global_session, "n-2")["stats_json"] == row["stats_json"]


@pytest.mark.parametrize("pin", PINS)
def test_heartbeat_keeps_a_pin(global_session: Session, pin: NodeStatus) -> None:
    node = nodes.join(global_session, "edge-1", now=NOW)
    nodes.set_status(global_session, node.id, pin)
    nodes.heartbeat(global_session, node.id, {"cpu": 1}, now=LATER)
    row = kept(global_session, node.id)
    assert (row["status"], row["last_seen_at"]) == (pin.value, "2026-01-31 12:00:30")


def test_heartbeat_takes_stats_of_4096_bytes_and_refuses_one_more(global_session: Session) -> None:
    """Bytes of UTF-8, as they are stored; a refused heartbeat changes nothing."""
    node = nodes.join(global_session, "edge-1", now=NOW)
    frame = len('{"a":""}')
    nodes.heartbeat(global_session, node.id, {"a": "ü" * ((4096 - frame) // 2)}, now=NOW)
    assert len(kept(global_session, node.id)["stats_json"].encode()) == 4096
    with pytest.raises(NodeStatsError, match="4097 bytes") as caught:
        nodes.heartbeat(global_session, node.id, {"a": "x" * (4097 - frame)}, now=LATER)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (4097, 4096)
    assert kept(global_session, node.id)["last_seen_at"] == "2026-01-31 12:00:00"


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
    assert [nodes.health(node, now=at) for at in (at_90, after)] == ["live", "stale"]


def test_origin_registers_itself_once_and_refreshes_at_later_boots(
    global_session: Session,
) -> None:
    nodes.register_origin(global_session, url="http://a", stats={"cpu": 1}, now=NOW)
    row = kept(global_session, "origin")
    assert (row["name"], row["region"], row["status"]) == ("origin", "origin", "active")
    rename = "UPDATE nodes SET name = 'main', region = 'eu', status = 'draining'"
    global_session.execute(sa.text(rename))
    global_session.expire_all()
    nodes.register_origin(global_session, url="http://b", stats={"cpu": 2}, now=LATER)
    row = kept(global_session, "origin")
    assert (row["name"], row["region"], row["status"]) == ("main", "eu", "draining")
    assert (row["url"], row["stats_json"]) == ("http://b", '{"cpu":2}')
    assert row["last_seen_at"] == "2026-01-31 12:00:30"
    assert len(nodes.list_(global_session)) == 1


def test_origin_with_too_many_stats_is_not_registered(global_session: Session) -> None:
    with pytest.raises(NodeStatsError):
        nodes.register_origin(global_session, stats={"a": "x" * 5000})
    assert nodes.list_(global_session) == []

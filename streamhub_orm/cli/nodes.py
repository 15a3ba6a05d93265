"""`streamhub-db nodes`: the servers of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.lists import print_totals
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, warn
from streamhub_orm.cli.sessions import global_session, shown_age, shown_time
from streamhub_orm.cli.tables import print_table
from streamhub_orm.errors import StoredValueError
from streamhub_orm.global_db import NodeStatus
from streamhub_orm.schema import utc_now
from streamhub_orm.services import nodes as service

if TYPE_CHECKING:
    from datetime import datetime

    from streamhub_orm.global_db import Node


@click.group
@global_options
def nodes() -> None:
    """Show the servers of the cluster, name them, keep them from new work, and forget them."""


@nodes.command("list")
@global_options
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """List the nodes of the cluster, and which of them have not been heard of for 90 s."""
    now = utc_now()
    with global_session(invocation, "listing nodes", read_only=True) as session:
        listed = service.list_(session)
        found = [_document(node, now) for node in listed]
        seen = [shown_age(node.last_seen_at, now) for node in listed]
    if invocation.json:
        print_json({"ok": True, "nodes": found})
        return
    columns = ("id", "name", "url", "region", "role", "status", "health")
    rows = [
        [*(node[column] for column in columns), age] for node, age in zip(found, seen, strict=True)
    ]
    print_table((*columns, "last seen"), rows)
    print_totals("node", [str(node["health"]) for node in found], len(found))
    for node in found:
        if node["stats_error"] is not None:
            warn(f"{node['id']}: its statistics cannot be read: {node['stats_error']}")


@nodes.command
@click.argument("node_id", metavar="ID")
@click.argument("name")
@global_options
@click.pass_obj
def rename(invocation: Invocation, node_id: str, name: str) -> None:
    """Give the node with this ID the NAME by which it joins from now on."""
    with global_session(invocation, "renaming a node") as session:
        service.rename(session, node_id, name)
    _tell(invocation, f"node {node_id} is called {name}", id=node_id, name=name)


@nodes.command("set-status")
@click.argument("node_id", metavar="ID")
@click.argument("status", type=click.Choice([word.value for word in service.SETTABLE]))
@global_options
@click.pass_obj
def set_status(invocation: Invocation, node_id: str, status: str) -> None:
    """Pin the node with this ID to draining or disabled, or take the pin off by active."""
    with global_session(invocation, "setting the status of a node") as session:
        service.set_status(session, node_id, NodeStatus(status))
    _tell(invocation, f"node {node_id} is {status}", id=node_id, status=status)


@nodes.command
@click.argument("node_id", metavar="ID")
@global_options
@click.pass_obj
def delete(invocation: Invocation, node_id: str) -> None:
    """Forget the node with this ID; one that still runs joins anew."""
    with global_session(invocation, "deleting a node") as session:
        service.delete(session, node_id)
    _tell(invocation, f"deleted node {node_id}", id=node_id)


def _tell(invocation: Invocation, line: str, **document: str) -> None:
    if invocation.json:
        print_json({"ok": True, **document})
    else:
        echo(line)


def _document(node: Node, now: datetime) -> dict[str, object]:
    role, stats, error = None, None, None
    try:
        role = service.role(node)
        stats = None if node.stats_json is None else dict(node.stats_json)
    except StoredValueError as fault:
        error = str(fault)
    return {
        "id": node.id,
        "name": node.name,
        "url": node.url,
        "region": node.region,
        "role": role,
        "status": node.status,
        "health": service.health(node, now=now),
        "stale": service.is_stale(node, now=now),
        "last_seen_at": shown_time(node.last_seen_at),
        "created_at": shown_time(node.created_at),
        "stats": stats,
        "stats_error": error,
    }

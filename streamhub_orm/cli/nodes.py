"""`streamhub-db nodes`: the servers of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import print_json, print_table
from streamhub_orm.cli.sessions import global_session, shown_time
from streamhub_orm.schema import utc_now
from streamhub_orm.services import nodes as service

if TYPE_CHECKING:
    from datetime import datetime

    from streamhub_orm.global_db import Node


@click.group
@global_options
def nodes() -> None:
    """Show the servers of the cluster."""


@nodes.command("list")
@global_options
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """List the nodes of the cluster, and which of them have not been heard of for 90 s."""
    now = utc_now()
    with global_session(invocation, "listing nodes", read_only=True) as session:
        found = [_document(node, now) for node in service.list_(session)]
    if invocation.json:
        print_json({"ok": True, "nodes": found})
        return
    columns = ("id", "name", "url", "region", "status", "stale", "last_seen_at")
    cells = [{**node, "stale": "stale" if node["stale"] else "no"} for node in found]
    print_table(columns, [[node[column] for column in columns] for node in cells])


def _document(node: Node, now: datetime) -> dict[str, object]:
    return {
        "id": node.id,
        "name": node.name,
        "url": node.url,
        "region": node.region,
        "status": node.status,
        "stale": service.is_stale(node, now=now),
        "last_seen_at": shown_time(node.last_seen_at),
        "created_at": shown_time(node.created_at),
        "stats": node.stats_json,
    }

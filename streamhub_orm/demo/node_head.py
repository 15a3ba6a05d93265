"""Rows of the tables that only the newest Node core knows."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from streamhub_orm.demo import rows
from streamhub_orm.demo.files import insert, set_markers

if TYPE_CHECKING:
    import sqlite3


def fill_head_global(connection: sqlite3.Connection) -> None:
    """Fill tenants, people, nodes and the firewall of a global database."""
    insert(
        connection,
        "tenants",
        [{"id": "acme", "name": "Ácme Média", "plan": "pro", "created_at": rows.sql_time(1)}],
    )
    insert(connection, "quotas", [{"tenant_id": "acme", "max_apps": 10, "max_storage_gb": -1}])
    people = [
        rows.user(1, "admin@example.org", "Åsa Ødegård"),
        rows.user(2, "Wang@example.org", "王小明"),
    ]
    insert(connection, "users", people)
    roles = (("platform", "owner"), ("acme", "editor"))
    for person, (tenant, role) in zip(people, roles, strict=True):
        membership = {"user_id": person["id"], "tenant_id": tenant, "role": role}
        insert(connection, "memberships", [{**membership, "created_at": rows.sql_time(2)}])
    connection.execute("UPDATE apps SET tenant_id = 'acme', node_id = 'origin' WHERE id = 2")
    _fill_log_ins(connection)
    _fill_cluster(connection)
    _fill_firewall(connection)


def fill_head_app(connection: sqlite3.Connection, app_id: int, name: str) -> None:
    """Fill every table of an app.db at the newest step, and its markers."""
    insert(connection, "streams", rows.streams(range(1, 9), app_id, name))
    insert(connection, "streams", [rows.stream(9, app_id, name, kind="ws-mjpeg")])
    insert(connection, "vods", rows.vods(range(1, 16), app_id, name))
    insert(connection, "ingress_auth", [rows.ingress(n, name, name) for n in (1, 2, 3)])
    plugin: rows.Row = {
        "plugin_id": "captions",
        "enabled": 1,
        "config_json": json.dumps({"lang": "日本語"}),
    }
    times = {"installed_at": rows.sql_time(3), "updated_at": rows.sql_time(4)}
    insert(connection, "app_plugins", [{**plugin, **times}])
    for number, height in enumerate((1080, 720, 360), 1):
        variant: rows.Row = {"id": number, "vod_id": 1, "kind": "rendition", "format": "hls"}
        made = {**variant, "height": height, "created_at": rows.sql_time(5)}
        insert(connection, "vod_variants", [made])
    insert(connection, "restream_targets", [_restream_target(name)])
    set_markers(connection, vods_import_done="1", ingress_import_done="1")


def _restream_target(name: str) -> rows.Row:
    return {
        "id": 1,
        "app": name,
        "room": name,
        "stream_id": f"{name}/obs-1 2",
        "name": "Mirror · zweiter Kanal",
        "platform": "custom",
        "url": "rtmp://mirror.example/live/demo-key",
        "url_masked": "rtmp://mirror.example/live/****",
        "egress_id": f"EG_{name}_restream",
        "status": "stopped",
        "error": None,
        "retries": 1,
        "started_at": rows.sql_time(6),
        "ended_at": rows.sql_time(7),
    }


def _fill_log_ins(connection: sqlite3.Connection) -> None:
    session: rows.Row = {
        "id": "ses_00000001",
        "user_id": "usr_00000001",
        "email": "admin@example.org",
        "ip": "192.0.2.10",
        "user_agent": "Mozilla/5.0",
        "created_at": rows.js_time(8),
        "last_seen": rows.js_time(9),
    }
    link: rows.Row = {
        "id": 1,
        "token_hash": hashlib.sha256(b"demo link").hexdigest(),
        "email": "Wang@example.org",
        "request_ip": "192.0.2.11",
        "created_at": rows.js_time(8),
        "expires_at": rows.js_time(8.25),
        "used": 1,
        "used_at": rows.sql_time(8.1),
        "kind": "login",
    }
    insert(connection, "sessions", [session])
    insert(connection, "magic_tokens", [link])


def _fill_cluster(connection: sqlite3.Connection) -> None:
    node: rows.Row = {
        "id": "origin",
        "name": "origin",
        "url": "https://origin.example",
        "region": "origin",
        "status": "active",
        "created_at": rows.sql_time(1),
        "last_seen_at": rows.sql_time(10),
        "stats_json": json.dumps({"cpu": 0.25}),
    }
    insert(connection, "nodes", [node])


def _fill_firewall(connection: sqlite3.Connection) -> None:
    ban: rows.Row = {
        "ip": "203.0.113.7",
        "reason": "too many log-ins",
        "first_seen": rows.js_time(2),
        "offense_count": 3,
        "banned_until": rows.js_time(26),
        "escalation_level": 1,
    }
    rule: rows.Row = {
        "id": 1,
        "cidr": "198.51.100.0/24",
        "action": "allow",
        "note": "Büro",
        "created_at": rows.sql_time(2),
        "created_by": "admin@example.org",
    }
    insert(connection, "ip_bans", [ban])
    insert(connection, "ip_rules", [rule])

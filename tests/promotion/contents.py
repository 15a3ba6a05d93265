"""A global database with a row of every kind in every table, and what services read from it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.global_db import GlobalBase, Meta
from streamhub_orm.promotion.rows import OF_THE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm import Databases

ODD_TEXT: Final = 'tab\t back\\slash \\N \\n line\nfeed \v \f \b \r "quoted" é 🎥 \x7f \x01'
_JSON: Final = '{ "b": 1.0, "a": [1e2, -0.0, 1.50, null, "\\n\\u00e9"] }'
_NUMBERS: Final = '{"n": 12345678901234567890, "d": 0.1234567890123456789}'
_ROWS: Final[dict[str, tuple[str, list[tuple[object, ...]]]]] = {
    "tenants": (
        "id, name, plan, created_at",
        [
            ("tnt_b", ODD_TEXT, "free", "2026-01-31 12:00:00"),
            ("tnt_a", "", "pro", "2026-01-31T12:00:00.120Z"),
            ("Tnt_Ä", "Ä", "pro", "2026-01-31 12:00:00.123456+02:00"),
        ],
    ),
    "quotas": (
        "tenant_id, max_apps, max_storage_gb",
        [("tnt_b", -1, 2**63 - 1), ("tnt_a", -(2**63), 0)],
    ),
    "apps": (
        "id, name, display_name, settings_json, tenant_id, created_at",
        [
            (7, "tv-7", ODD_TEXT, _JSON, None, "0001-01-01 00:00:00"),
            (900, "tv-9", None, "[]", "tnt_b", "9999-12-31T23:59:59.999Z"),
        ],
    ),
    "api_tokens": (
        "id, name, token_hash, scope, app_id, allowed_ips_json, last_used_at, revoked",
        [
            (
                3,
                "one",
                "a" * 64,
                "app",
                7,
                '["10.0.0.0/8", "\\ud83c\\udfa5"]',
                "2026-01-31 12:00:00",
                0,
            ),
            (40, "two", "b" * 64, "global", None, None, None, 7),
        ],
    ),
    "server_logs": (
        "id, ts, level, source, app_id, message, meta_json",
        [
            (1, "2026-01-31T12:00:00.000Z", "info", "hls", 7, ODD_TEXT, _NUMBERS),
            (2, "2026-01-31 12:00:00", "warn", None, None, "", "null"),
            (
                500,
                "2026-01-31T12:00:00.1Z",
                "warn",
                None,
                900,
                "x" * 5000,
                '"a \\\\u0000 in words"',
            ),
        ],
    ),
    "users": (
        "rowid, id, email, is_superadmin, totp_enabled",
        [
            (9, "usr_z", "Z@x.example", 1, 0),
            (4, "usr_y", "É@x.example", 0, 1),
            (12, "usr_a", None, 0, 0),
        ],
    ),
    "memberships": (
        "rowid, user_id, tenant_id, role",
        [
            (5, "usr_z", "tnt_b", "owner"),
            (2, "usr_z", "tnt_a", "viewer"),
            (8, "usr_y", "tnt_b", "editor"),
        ],
    ),
    "nodes": (
        "rowid, id, name, url, status, stats_json, last_seen_at",
        [
            (3, "n-z", "edge", "https://edge.example", "active", '{"cpu": 0.25}', None),
            (1, "n-a", None, None, "odd", None, "2026-01-31 12:00:00"),
        ],
    ),
    "sessions": (
        "id, user_id, ip, created_at, last_seen",
        [
            ("s2", "usr_z", "::1", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.137Z"),
            ("S1", "gone", None, "2026-01-31 12:00:00", None),
        ],
    ),
    "magic_tokens": (
        "id, token_hash, email, expires_at, used",
        [(2, "h", "Z@x.example", "2026-01-31T12:15:00.000Z", 1)],
    ),
    "ip_bans": (
        "ip, reason, first_seen, banned_until, offense_count",
        [("10.0.0.1", "login_failed", "2026-01-31T12:00:00.000Z", "2026-02-01T12:00:00.000Z", 3)],
    ),
    "ip_rules": ("id, cidr, action, note", [(5, "10.0.0.0/8", "allow", ODD_TEXT)]),
    "ingress_auth": (
        "ingress_id, app, requires_password, validated_at",
        [("IN_b", "live", 1, None), ("IN_a", "nobody", 0, "2026-01-31 12:00:00")],
    ),
    "_streamhub_meta": (
        "key, value",
        [("an operator's own", ODD_TEXT), ("streamhub_orm_app_db:7", "tv-7")],
    ),
}


def fill(path: Path) -> None:
    """Put rows of every kind into a global database at head."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, (columns, rows) in _ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        connection.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'apps'")


def insert(path: Path, table: str, **values: object) -> None:
    """Insert one row past every check but SQLite's own."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values())
        )


def read_all(databases: Databases) -> dict[str, list[tuple[Any, ...]]]:
    """Return what services read from each table, in the order in which they read it."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with databases.global_connection(read_only=True) as connection:
        for table in GlobalBase.metadata.sorted_tables:
            query = sa.select(table)
            order = ["rowid"] if table.name in {"users", "memberships", "nodes"} else []
            if table.name == Meta.__tablename__:
                query = query.where(Meta.key.not_in(OF_THE_FILE))
            keys: list[Any] = [sa.literal_column(it) for it in order] or list(table.primary_key)
            found[table.name] = [tuple(row) for row in connection.execute(query.order_by(*keys))]
    return found


def rows_of_file(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a file holds of each table, as it is stored, but for the marks of a move."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = [name for (name,) in connection.execute(query).fetchall()]
        found = {
            it: connection.execute(f"SELECT * FROM {it} ORDER BY rowid").fetchall() for it in tables
        }
    found["_streamhub_meta"] = [
        row for row in found["_streamhub_meta"] if row[0] != "streamhub_orm_promotion"
    ]
    return found


def bytes_of(path: Path) -> dict[str, bytes]:
    """Return the bytes of a database, of a -wal that is not empty, and of all that lies beside."""
    beside = {it.name: it.read_bytes() for it in path.parent.glob(f"{path.name}*")}
    return {
        name: content
        for name, content in beside.items()
        if content and not name.endswith(("-shm", ".lock"))
    }

"""Tells whether the Node core still finds its way in a file: its structure, its statements."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .ddl import APP_STEPS, GLOBAL_RUNTIME, GLOBAL_STEPS, apply_runtime, apply_steps
from .facts import NODE_HEAD, app_db_path, find_global_path
from .snapshot import load_database

if TYPE_CHECKING:
    from collections.abc import Iterator

Column = tuple[str, int, str | None, int]

_STREAM_UPSERT: Final = """
INSERT INTO streams (app_id, stream_id, type, room, participant) VALUES (?, ?, ?, ?, ?)
ON CONFLICT(stream_id) DO UPDATE SET status = 'active', ended_at = NULL,
  type = CASE WHEN streams.type IN ('rtmp','whip','rtsp','ws-mjpeg') AND excluded.type = 'webrtc'
              THEN streams.type ELSE excluded.type END
"""

APP_STATEMENTS: Final = (
    (_STREAM_UPSERT, (1, "core room/cam", "ws-mjpeg", "core room", "cam")),
    (_STREAM_UPSERT, (1, "core room/cam", "webrtc", "core room", "cam")),
    (
        "UPDATE streams SET status = 'ended', ended_at = datetime('now') WHERE stream_id = ?",
        ("core room/cam",),
    ),
    (
        (
            "INSERT INTO vods (app_id, stream_id, room, name, started_at, metatags_json)"
            " VALUES (?, ?, ?, ?, ?, ?)"
        ),
        (1, "core room/cam", "core room", "a.mp4", "2024-01-01T00:00:00.000Z", '{"egressId":"E"}'),
    ),
    (
        (
            "UPDATE vods SET status = 'ready', size_bytes = ?, duration_s = ?, snapshot_key = ?"
            " WHERE json_extract(metatags_json, '$.egressId') = ?"
        ),
        (2**40, 1.5, "s.jpg", "E"),
    ),
    (
        (
            "INSERT INTO ingress_auth (ingress_id, app, room, stream_key, requires_password)"
            " VALUES (?, ?, ?, ?, ?)"
        ),
        ("wsi_core", "live", "core room", "wsk_x", 0),
    ),
    ("INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES (?, ?)", ("core", "1")),
    ("INSERT OR REPLACE INTO app_plugins (plugin_id, enabled) VALUES (?, ?)", ("core", 1)),
    ("INSERT INTO vod_variants (vod_id, kind, format) VALUES (?, ?, ?)", (1, "master", "hls")),
    (
        "INSERT INTO restream_targets (app, room, url, url_masked) VALUES (?, ?, ?, ?)",
        ("live", "core room", "rtmp://x/y", "rtmp://x/*"),
    ),
)

GLOBAL_STATEMENTS: Final = (
    ("INSERT INTO apps (name, display_name) VALUES (?, ?)", ("core-app", "Core")),
    (
        "INSERT INTO api_tokens (name, token_hash, scope, app_id) VALUES (?, ?, 'app', ?)",
        ("core", "0" * 64, 1),
    ),
    (
        "INSERT INTO server_logs (level, source, app_id, message) VALUES (?, ?, ?, ?)",
        ("info", "core", None, "hello"),
    ),
    (
        "INSERT INTO ingress_auth (ingress_id, app, stream_key) VALUES (?, ?, ?)",
        ("wsi_core", "core-app", "wsk_x"),
    ),
    ("INSERT INTO users (id, email, password_hash) VALUES (?, ?, ?)", ("core", "c@d.example", "x")),
    (
        "INSERT INTO memberships (user_id, tenant_id, role) VALUES (?, 'platform', ?)",
        ("core", "owner"),
    ),
    ("INSERT INTO nodes (id, name, stats_json) VALUES (?, ?, ?)", ("core", "n", "{}")),
    ("INSERT INTO sessions (id, user_id) VALUES (?, ?)", ("core", "core")),
    (
        "INSERT INTO magic_tokens (token_hash, email, expires_at, kind) VALUES (?, ?, ?, ?)",
        ("core", "c@d.example", "2024-01-01T00:00:00.000Z", "invite"),
    ),
    (
        "INSERT INTO ip_bans (ip, reason, first_seen, banned_until) VALUES (?, ?, ?, ?)",
        ("198.51.100.7", "core", "2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.000Z"),
    ),
    ("INSERT INTO ip_rules (cidr, action) VALUES (?, ?)", ("198.51.100.0/24", "block")),
    ("DELETE FROM users WHERE id = ?", ("core",)),
    ("INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES (?, ?)", ("core", "1")),
)

REFUSED_BY_APP: Final = (
    "INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'x', 'carrier-pigeon')",
    "INSERT INTO streams (app_id, stream_id, type, status) VALUES (1, 'x', 'whip', 'unsure')",
    "INSERT INTO vods (app_id, name, status) VALUES (1, 'x', 'lost')",
    "INSERT INTO vods (app_id) VALUES (1)",
    "INSERT INTO vod_variants (vod_id, kind, format) VALUES (1, 'other', 'hls')",
    (
        "INSERT INTO restream_targets (app, room, url, url_masked, status)"
        " VALUES ('a', 'b', 'c', 'd', 'e')"
    ),
)

REFUSED_BY_GLOBAL: Final = (
    "INSERT INTO api_tokens (name, token_hash, scope) VALUES ('x', 'x', 'world')",
    "INSERT INTO api_tokens (name, token_hash, scope, app_id) VALUES ('x', 'x', 'app', 987654)",
    "INSERT INTO memberships (user_id, tenant_id, role) VALUES ('x', 'platform', 'owner')",
    "INSERT INTO ip_rules (cidr, action) VALUES ('x', 'shrug')",
    "INSERT INTO apps (name) SELECT name FROM apps LIMIT 1",
)


def find_node_complaints(data_dir: Path) -> list[str]:
    """List what the Node core would stumble over in any file of an installation."""
    global_path = find_global_path(data_dir)
    complaints = [f"global: {it}" for it in _check_file(global_path, _global_reference())]
    registry = load_database(global_path)
    for app in (str(row["name"]) for row in registry.rows("apps")) if registry else ():
        path = app_db_path(data_dir, app)
        complaints += [f"{app}: {it}" for it in _check_file(path, _app_reference())]
    return complaints


def assert_usable_by_node_core(data_dir: Path) -> None:
    """Fail with everything that the Node core would stumble over."""
    complaints = find_node_complaints(data_dir)
    assert not complaints, "\n".join(complaints)


def _check_file(path: Path, reference: sqlite3.Connection) -> list[str]:
    """Try a copy, so that the file itself stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            shutil.copyfile(wal, copy.with_name("copy.db-wal"))
        connection = sqlite3.connect(copy, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            is_global = bool(_columns(reference, "apps"))
            return [
                *_check_pragmas(connection),
                *_check_structure(connection, reference),
                *_run(
                    connection,
                    GLOBAL_STATEMENTS if is_global else APP_STATEMENTS,
                    REFUSED_BY_GLOBAL if is_global else REFUSED_BY_APP,
                ),
            ]
        finally:
            connection.close()
            reference.close()


def _check_pragmas(connection: sqlite3.Connection) -> Iterator[str]:
    wanted = (
        ("user_version", NODE_HEAD),
        ("journal_mode", "wal"),
        ("integrity_check", "ok"),
        ("foreign_key_check", None),
    )
    for pragma, value in wanted:
        row = connection.execute(f"PRAGMA {pragma}").fetchone()
        found = row[0] if row else None
        if found != value:
            yield f"{pragma} is {found!r}, not {value!r}"


def _check_structure(
    connection: sqlite3.Connection, reference: sqlite3.Connection
) -> Iterator[str]:
    """Every table, column and index of the reference is there; more is allowed."""
    for (table,) in reference.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall():
        found = _columns(connection, table)
        for name, column in _columns(reference, table).items():
            if found.get(name) != column:
                yield f"{table}.{name} is {found.get(name)}, not {column}"
    wanted = _indices(reference)
    present = _indices(connection)
    for name, columns in wanted.items():
        if present.get(name) != columns:
            yield f"index {name} is {present.get(name)}, not {columns}"


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, Column]:
    """Type, nullability, default and place in the key; a key column is NOT NULL in effect."""
    return {
        str(name): (str(kind).upper(), int(not_null or key > 0), default, int(key))
        for _, name, kind, not_null, default, key in connection.execute(
            f'PRAGMA table_info("{table}")'
        )
    }


def _indices(connection: sqlite3.Connection) -> dict[str, tuple[str, tuple[str, ...]]]:
    named = connection.execute(
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    return {
        str(name): (
            str(table),
            tuple(str(row[2]) for row in connection.execute(f'PRAGMA index_info("{name}")')),
        )
        for name, table in named
    }


def _run(
    connection: sqlite3.Connection,
    statements: tuple[tuple[str, tuple[object, ...]], ...],
    refused: tuple[str, ...],
) -> Iterator[str]:
    for sql, parameters in statements:
        try:
            connection.execute(sql, parameters)
        except sqlite3.Error as error:
            yield f"{error}: {sql}"
    for sql in refused:
        try:
            connection.execute(sql)
        except sqlite3.IntegrityError:
            continue
        yield f"was not refused: {sql}"


def _global_reference() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    apply_steps(connection, GLOBAL_STEPS, NODE_HEAD)
    apply_runtime(connection, GLOBAL_RUNTIME)
    return connection


def _app_reference() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    apply_steps(connection, APP_STEPS, NODE_HEAD)
    return connection

"""The tables of old installations, as the Node core created them step by step.

This is a record of what lies in the field, so it is frozen: nothing here follows the models.
A position in a tuple is the value of `PRAGMA user_version` before the step.
"""

from __future__ import annotations

from typing import Final

STREAM_COLUMNS: Final = """
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL,
    stream_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL CHECK (type IN ({types})),
    room TEXT,
    participant TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ended')),
    started_at TEXT NOT NULL DEFAULT (datetime('now')),
    ended_at TEXT,
    last_stats_json TEXT
"""
OLD_TYPES: Final = "'webrtc', 'rtmp', 'rtsp', 'whip'"
STREAMS: Final = f"""
CREATE TABLE streams ({STREAM_COLUMNS.format(types=OLD_TYPES)});
CREATE INDEX idx_streams_status ON streams(status);
"""

VODS_WITHOUT_JSON: Final = """
CREATE TABLE vods (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL,
    stream_id TEXT,
    room TEXT,
    name TEXT NOT NULL,
    file_key TEXT,
    s3_url TEXT,
    public_url TEXT,
    size_bytes INTEGER,
    duration_s REAL,
    width INTEGER,
    height INTEGER,
    format TEXT,
    status TEXT NOT NULL DEFAULT 'recording'
        CHECK (status IN ('recording', 'uploading', 'ready', 'failed')),
    local_path TEXT,
    started_at TEXT,
    ended_at TEXT
);
CREATE INDEX idx_vods_status ON vods(status);
CREATE INDEX idx_vods_stream ON vods(stream_id);
"""
"""The first form of the table; `metatags_json` and `snapshot_key` came later."""

VODS: Final = VODS_WITHOUT_JSON.replace(
    "    ended_at TEXT\n", "    ended_at TEXT,\n    metatags_json TEXT,\n    snapshot_key TEXT\n"
)

INGRESS_AUTH: Final = """
CREATE TABLE ingress_auth (
    ingress_id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    room TEXT,
    stream_key TEXT,
    password_hash TEXT,
    password_salt TEXT,
    requires_password INTEGER NOT NULL DEFAULT 0,
    validated_at TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_ingress_auth_app ON ingress_auth(app);
"""
META: Final = """
CREATE TABLE _streamhub_meta (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
"""

LEGACY_STEPS: Final = (STREAMS, VODS)
"""`apps/<app>/vods.db`; the monolith's global database holds the same two tables."""

STREAMS_WIDENED: Final = (
    "CREATE TABLE streams_new ("  # noqa: S608 - constants of this module
    + STREAM_COLUMNS.format(types=OLD_TYPES + ", 'ws-mjpeg'")
    + """);
INSERT INTO streams_new SELECT * FROM streams;
DROP TABLE streams;
ALTER TABLE streams_new RENAME TO streams;
CREATE INDEX idx_streams_status ON streams(status);
CREATE INDEX idx_streams_room ON streams(room);
CREATE INDEX idx_streams_started_at ON streams(started_at);
CREATE INDEX idx_streams_status_started ON streams(status, started_at);
"""
)

APP_STEPS: Final = (
    STREAMS,
    VODS,
    INGRESS_AUTH + META,
    """
    CREATE INDEX idx_vods_room ON vods(room);
    CREATE INDEX idx_vods_started_at ON vods(started_at);
    CREATE INDEX idx_vods_status_started ON vods(status, started_at);
    CREATE INDEX idx_streams_room ON streams(room);
    CREATE INDEX idx_streams_started_at ON streams(started_at);
    CREATE INDEX idx_streams_status_started ON streams(status, started_at);
    """,
    """
    CREATE TABLE app_plugins (
        plugin_id TEXT PRIMARY KEY,
        enabled INTEGER NOT NULL DEFAULT 1,
        config_json TEXT,
        installed_at TEXT NOT NULL DEFAULT (datetime('now')),
        updated_at TEXT NOT NULL DEFAULT (datetime('now'))
    );
    CREATE INDEX idx_app_plugins_enabled ON app_plugins(enabled);
    """,
    """
    CREATE TABLE vod_variants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        vod_id INTEGER NOT NULL,
        kind TEXT NOT NULL DEFAULT 'rendition'
            CHECK (kind IN ('master', 'rendition', 'alternate')),
        format TEXT NOT NULL,
        height INTEGER,
        bitrate_kbps INTEGER,
        file_key TEXT,
        size_bytes INTEGER,
        extra_json TEXT,
        created_at TEXT NOT NULL DEFAULT (datetime('now'))
    );
    CREATE INDEX idx_vod_variants_vod ON vod_variants(vod_id);
    """,
    """
    CREATE TABLE restream_targets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        app TEXT NOT NULL,
        room TEXT NOT NULL,
        stream_id TEXT,
        name TEXT,
        platform TEXT NOT NULL DEFAULT 'custom',
        url TEXT NOT NULL,
        url_masked TEXT NOT NULL,
        egress_id TEXT,
        status TEXT NOT NULL DEFAULT 'starting'
            CHECK (status IN ('starting', 'active', 'failed', 'stopped')),
        error TEXT,
        retries INTEGER NOT NULL DEFAULT 0,
        started_at TEXT NOT NULL DEFAULT (datetime('now')),
        ended_at TEXT
    );
    CREATE INDEX idx_restream_targets_room ON restream_targets(room);
    CREATE INDEX idx_restream_targets_egress ON restream_targets(egress_id);
    CREATE INDEX idx_restream_targets_status ON restream_targets(status);
    """,
    STREAMS_WIDENED,
)

GLOBAL_STEPS: Final = (
    """
    CREATE TABLE apps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        display_name TEXT,
        livekit_room_prefix TEXT,
        created_at TEXT NOT NULL DEFAULT (datetime('now')),
        updated_at TEXT NOT NULL DEFAULT (datetime('now')),
        settings_json TEXT
    );
    """,
    """
    CREATE TABLE api_tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL,
        scope TEXT NOT NULL CHECK (scope IN ('global', 'app')),
        app_id INTEGER REFERENCES apps(id) ON DELETE CASCADE,
        allowed_ips_json TEXT,
        last_used_at TEXT,
        created_at TEXT NOT NULL DEFAULT (datetime('now')),
        revoked INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX idx_api_tokens_hash ON api_tokens(token_hash);
    """,
    """
    CREATE TABLE server_logs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        ts TEXT NOT NULL DEFAULT (datetime('now')),
        level TEXT NOT NULL,
        source TEXT,
        app_id INTEGER REFERENCES apps(id) ON DELETE SET NULL,
        message TEXT NOT NULL,
        meta_json TEXT
    );
    CREATE INDEX idx_server_logs_ts ON server_logs(ts);
    CREATE INDEX idx_server_logs_app_level ON server_logs(app_id, level);
    """,
    INGRESS_AUTH,
    """
    CREATE TABLE tenants (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        plan TEXT NOT NULL DEFAULT 'free',
        created_at TEXT NOT NULL DEFAULT (datetime('now'))
    );
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        email TEXT,
        is_superadmin INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL DEFAULT (datetime('now'))
    );
    CREATE INDEX idx_users_email ON users(email);
    CREATE TABLE memberships (
        user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        tenant_id TEXT NOT NULL REFERENCES tenants(id) ON DELETE CASCADE,
        role TEXT NOT NULL DEFAULT 'viewer' CHECK (role IN ('owner', 'editor', 'viewer')),
        created_at TEXT NOT NULL DEFAULT (datetime('now')),
        PRIMARY KEY (user_id, tenant_id)
    );
    CREATE INDEX idx_memberships_tenant ON memberships(tenant_id);
    CREATE TABLE quotas (
        tenant_id TEXT PRIMARY KEY REFERENCES tenants(id) ON DELETE CASCADE,
        max_apps INTEGER NOT NULL DEFAULT 2,
        max_concurrent_streams INTEGER NOT NULL DEFAULT 2,
        max_recording_minutes_month INTEGER NOT NULL DEFAULT 300,
        max_egress_gb_month INTEGER NOT NULL DEFAULT 5,
        max_storage_gb INTEGER NOT NULL DEFAULT 5
    );
    """,
    """
    INSERT OR IGNORE INTO tenants (id, name, plan, created_at)
        VALUES ('platform', 'Platform', 'platform', '2025-02-01 08:00:00');
    INSERT OR IGNORE INTO quotas VALUES ('platform', 100000, 100000, 100000000, 100000, 100000);
    """,
    """
    CREATE TABLE nodes (
        id TEXT PRIMARY KEY,
        name TEXT,
        url TEXT,
        region TEXT,
        status TEXT NOT NULL DEFAULT 'unknown',
        created_at TEXT NOT NULL DEFAULT (datetime('now')),
        last_seen_at TEXT
    );
    """
    + META,
    """
    CREATE INDEX idx_api_tokens_app ON api_tokens(app_id);
    CREATE INDEX idx_server_logs_app_ts ON server_logs(app_id, ts);
    """,
)

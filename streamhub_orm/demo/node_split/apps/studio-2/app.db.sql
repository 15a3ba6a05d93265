BEGIN;

CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL,
    stream_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL CHECK (type IN ('webrtc', 'rtmp', 'rtsp', 'whip')),
    room TEXT,
    participant TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ended')),
    started_at TEXT NOT NULL DEFAULT (datetime('now')),
    ended_at TEXT,
    last_stats_json TEXT
);
CREATE INDEX idx_streams_status ON streams(status);
CREATE INDEX idx_streams_room ON streams(room);
CREATE INDEX idx_streams_started_at ON streams(started_at);
CREATE INDEX idx_streams_status_started ON streams(status, started_at);

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
    ended_at TEXT,
    metatags_json TEXT,
    snapshot_key TEXT
);
CREATE INDEX idx_vods_status ON vods(status);
CREATE INDEX idx_vods_stream ON vods(stream_id);
CREATE INDEX idx_vods_room ON vods(room);
CREATE INDEX idx_vods_started_at ON vods(started_at);
CREATE INDEX idx_vods_status_started ON vods(status, started_at);

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
INSERT INTO ingress_auth VALUES
    ('wsi_2e2c1bbdfae2', 'studio-2', 'studio-2', 'wsk_e8e889bb9d429241aaad4700486528ab', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00');

CREATE TABLE _streamhub_meta (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO _streamhub_meta VALUES
    ('vods_import_done', '1', '2025-02-03 10:11:13'),
    ('ingress_import_done', '1', '2025-02-03 10:11:13');

CREATE TABLE app_plugins (
    plugin_id TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL DEFAULT 1,
    config_json TEXT,
    installed_at TEXT NOT NULL DEFAULT (datetime('now')),
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_app_plugins_enabled ON app_plugins(enabled);

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

PRAGMA user_version = 6;
COMMIT;

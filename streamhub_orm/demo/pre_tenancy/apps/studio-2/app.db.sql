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
INSERT INTO streams VALUES
    (20, 2, 'studio-2-late/Zoë 20', 'webrtc', 'studio-2-late', 'Zoë 20', 'active', '2024-03-21 18:30:00', NULL, '{"viewers": 140, "bitrate": 2500000}'),
    (21, 2, 'studio-2-late/王小明 21', 'rtmp', 'studio-2-late', '王小明 21', 'ended', '2024-03-22 18:30:00', '2024-03-22 20:00:00', '{"viewers": 147, "bitrate": 2500000}'),
    (22, 2, 'studio-2-late/obs-1 22', 'whip', 'studio-2-late', 'obs-1 22', 'ended', '2024-03-23 18:30:00', '2024-03-23 20:00:00', '{"viewers": 154, "bitrate": 2500000}'),
    (23, 2, 'studio-2-late/Łukasz 23', 'rtsp', 'studio-2-late', 'Łukasz 23', 'ended', '2024-03-24 18:30:00', '2024-03-24 20:00:00', '{"viewers": 161, "bitrate": 2500000}');

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
INSERT INTO vods VALUES
    (20, 2, 'studio-2-late/Zoë 20', 'studio-2-late', 'studio-2-late · evening 20', 'recordings/studio-2-late/0020.mp4', 's3://recordings/recordings/studio-2-late/0020.mp4', NULL, 314654720, 5420.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-21T18:30:00.137Z', '2024-03-21T20:00:00.137Z', '{"egressId": "EG_studio-2-late_20", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0020.jpg'),
    (21, 2, 'studio-2-late/王小明 21', 'studio-2-late', 'studio-2-late · evening 21', 'recordings/studio-2-late/0021.mp4', 's3://recordings/recordings/studio-2-late/0021.mp4', 'https://cdn.example/0021.mp4', 314658816, 5421.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-22 18:30:00', '2024-03-22 20:00:00', '{"egressId": "EG_studio-2-late_21", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0021.jpg'),
    (22, 2, 'studio-2-late/obs-1 22', 'studio-2-late', 'studio-2-late · evening 22', 'recordings/studio-2-late/0022.mp4', 's3://recordings/recordings/studio-2-late/0022.mp4', 'https://cdn.example/0022.mp4', 314662912, 5422.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-23T18:30:00.137Z', '2024-03-23T20:00:00.137Z', '{"egressId": "EG_studio-2-late_22", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0022.jpg'),
    (23, 2, 'studio-2-late/Łukasz 23', 'studio-2-late', 'studio-2-late · evening 23', 'recordings/studio-2-late/0023.mp4', 's3://recordings/recordings/studio-2-late/0023.mp4', 'https://cdn.example/0023.mp4', 314667008, 5423.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-24T18:30:00.137Z', '2024-03-24T20:00:00.137Z', '{"egressId": "EG_studio-2-late_23", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0023.jpg'),
    (24, 2, 'studio-2-late/камера-2 24', 'studio-2-late', 'studio-2-late · evening 24', 'recordings/studio-2-late/0024.mp4', 's3://recordings/recordings/studio-2-late/0024.mp4', NULL, 314671104, 5424.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-25 18:30:00', '2024-03-25 20:00:00', '{"egressId": "EG_studio-2-late_24", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0024.jpg'),
    (25, 2, 'studio-2-late/Zoë 25', 'studio-2-late', 'studio-2-late · evening 25', 'recordings/studio-2-late/0025.mp4', 's3://recordings/recordings/studio-2-late/0025.mp4', 'https://cdn.example/0025.mp4', 314675200, 5425.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-26T18:30:00.137Z', '2024-03-26T20:00:00.137Z', '{"egressId": "EG_studio-2-late_25", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2-late/0025.jpg');

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

CREATE TABLE _streamhub_meta (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO _streamhub_meta VALUES
    ('vods_import_done', '1', '2025-02-03 10:11:13');

CREATE TABLE app_plugins (
    plugin_id TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL DEFAULT 1,
    config_json TEXT,
    installed_at TEXT NOT NULL DEFAULT (datetime('now')),
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_app_plugins_enabled ON app_plugins(enabled);

PRAGMA user_version = 5;
COMMIT;

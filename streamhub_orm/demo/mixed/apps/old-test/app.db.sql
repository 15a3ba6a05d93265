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
INSERT INTO vods VALUES
    (1, 1, 'old-test/王小明 1', 'old-test', 'old-test · evening 1', 'recordings/old-test/0001.mp4', 's3://recordings/recordings/old-test/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z', '{"egressId": "EG_old-test_1", "title": "Gr\u00f6\u00dfe"}', 'snapshots/old-test/0001.jpg'),
    (2, 1, 'old-test/obs-1 2', 'old-test', 'old-test · evening 2', 'recordings/old-test/0002.mp4', 's3://recordings/recordings/old-test/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z', '{"egressId": "EG_old-test_2", "title": "Gr\u00f6\u00dfe"}', 'snapshots/old-test/0002.jpg');

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

PRAGMA user_version = 3;
COMMIT;

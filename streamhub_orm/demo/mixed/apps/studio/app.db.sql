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
INSERT INTO streams VALUES
    (31, 4, 'studio/王小明 31', 'rtsp', 'studio', '王小明 31', 'ended', '2024-04-01 18:30:00', '2024-04-01 20:00:00', '{"viewers": 217, "bitrate": 2500000}'),
    (32, 4, 'studio/obs-1 32', 'webrtc', 'studio', 'obs-1 32', 'ended', '2024-04-02 18:30:00', '2024-04-02 20:00:00', '{"viewers": 224, "bitrate": 2500000}');

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
    (31, 4, 'studio/王小明 31', 'studio', 'studio · evening 31', 'recordings/studio/0031.mp4', 's3://recordings/recordings/studio/0031.mp4', 'https://cdn.example/0031.mp4', 314699776, 5431.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-04-01T18:30:00.137Z', '2024-04-01T20:00:00.137Z', '{"egressId": "EG_studio_31", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0031.jpg'),
    (32, 4, 'studio/obs-1 32', 'studio', 'studio · evening 32', 'recordings/studio/0032.mp4', 's3://recordings/recordings/studio/0032.mp4', NULL, 314703872, 5432.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-02T18:30:00.137Z', '2024-04-02T20:00:00.137Z', '{"egressId": "EG_studio_32", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0032.jpg'),
    (33, 4, 'studio/Łukasz 33', 'studio', 'studio · evening 33', 'recordings/studio/0033.mp4', 's3://recordings/recordings/studio/0033.mp4', 'https://cdn.example/0033.mp4', 314707968, 5433.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-03 18:30:00', '2024-04-03 20:00:00', '{"egressId": "EG_studio_33", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0033.jpg');

PRAGMA user_version = 2;
COMMIT;

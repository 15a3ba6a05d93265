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
    (1, 1, 'live/王小明 1', 'rtmp', 'live', '王小明 1', 'ended', '2024-03-02 18:30:00', '2024-03-02 20:00:00', '{"viewers": 7, "bitrate": 2500000}'),
    (2, 1, 'live/obs-1 2', 'whip', 'live', 'obs-1 2', 'ended', '2024-03-03 18:30:00', '2024-03-03 20:00:00', '{"viewers": 14, "bitrate": 2500000}');

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
    (1, 1, 'live/王小明 1', 'live', 'live · evening 1', 'recordings/live/0001.mp4', 's3://recordings/recordings/live/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z', '{"egressId": "EG_live_1", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0001.jpg'),
    (2, 1, 'live/obs-1 2', 'live', 'live · evening 2', 'recordings/live/0002.mp4', 's3://recordings/recordings/live/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z', '{"egressId": "EG_live_2", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0002.jpg'),
    (3, 1, 'live/Łukasz 3', 'live', 'live · evening 3', 'recordings/live/0003.mp4', 's3://recordings/recordings/live/0003.mp4', 'https://cdn.example/0003.mp4', 314585088, 5403.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"egressId": "EG_live_3", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0003.jpg');

PRAGMA user_version = 2;
COMMIT;

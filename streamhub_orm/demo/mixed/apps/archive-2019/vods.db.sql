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
    (1, 3, 'archive-2019-b/王小明 1', 'rtmp', 'archive-2019-b', '王小明 1', 'ended', '2024-03-02 18:30:00', '2024-03-02 20:00:00', '{"viewers": 7, "bitrate": 2500000}'),
    (2, 3, 'archive-2019-b/obs-1 2', 'whip', 'archive-2019-b', 'obs-1 2', 'ended', '2024-03-03 18:30:00', '2024-03-03 20:00:00', '{"viewers": 14, "bitrate": 2500000}'),
    (3, 3, 'archive-2019-b/Łukasz 3', 'rtsp', 'archive-2019-b', 'Łukasz 3', 'ended', '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"viewers": 21, "bitrate": 2500000}'),
    (4, 3, 'archive-2019-b/камера-2 4', 'webrtc', 'archive-2019-b', 'камера-2 4', 'ended', '2024-03-05 18:30:00', '2024-03-05 20:00:00', '{"viewers": 28, "bitrate": 2500000}'),
    (5, 3, 'archive-2019-b/Zoë 5', 'rtmp', 'archive-2019-b', 'Zoë 5', 'active', '2024-03-06 18:30:00', NULL, '{"viewers": 35, "bitrate": 2500000}'),
    (6, 3, 'archive-2019-b/王小明 6', 'whip', 'archive-2019-b', '王小明 6', 'ended', '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"viewers": 42, "bitrate": 2500000}');

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
INSERT INTO vods VALUES
    (1, 3, 'archive-2019-b/王小明 1', 'archive-2019-b', 'archive-2019-b · evening 1', 'recordings/archive-2019-b/0001.mp4', 's3://recordings/recordings/archive-2019-b/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z'),
    (2, 3, 'archive-2019-b/obs-1 2', 'archive-2019-b', 'archive-2019-b · evening 2', 'recordings/archive-2019-b/0002.mp4', 's3://recordings/recordings/archive-2019-b/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z'),
    (3, 3, 'archive-2019-b/Łukasz 3', 'archive-2019-b', 'archive-2019-b · evening 3', 'recordings/archive-2019-b/0003.mp4', 's3://recordings/recordings/archive-2019-b/0003.mp4', 'https://cdn.example/0003.mp4', 314585088, 5403.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-04 18:30:00', '2024-03-04 20:00:00'),
    (4, 3, 'archive-2019-b/камера-2 4', 'archive-2019-b', 'archive-2019-b · evening 4', 'recordings/archive-2019-b/0004.mp4', 's3://recordings/recordings/archive-2019-b/0004.mp4', NULL, 314589184, 5404.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-05T18:30:00.137Z', '2024-03-05T20:00:00.137Z'),
    (5, 3, 'archive-2019-b/Zoë 5', 'archive-2019-b', 'archive-2019-b · evening 5', 'recordings/archive-2019-b/0005.mp4', 's3://recordings/recordings/archive-2019-b/0005.mp4', 'https://cdn.example/0005.mp4', 314593280, 5405.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-06T18:30:00.137Z', '2024-03-06T20:00:00.137Z'),
    (6, 3, 'archive-2019-b/王小明 6', 'archive-2019-b', 'archive-2019-b · evening 6', 'recordings/archive-2019-b/0006.mp4', 's3://recordings/recordings/archive-2019-b/0006.mp4', 'https://cdn.example/0006.mp4', 314597376, 5406.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-07 18:30:00', '2024-03-07 20:00:00'),
    (7, 3, 'archive-2019-b/obs-1 7', 'archive-2019-b', 'archive-2019-b · evening 7', 'recordings/archive-2019-b/0007.mp4', 's3://recordings/recordings/archive-2019-b/0007.mp4', 'https://cdn.example/0007.mp4', 314601472, 5407.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-08T18:30:00.137Z', '2024-03-08T20:00:00.137Z'),
    (8, 3, 'archive-2019-b/Łukasz 8', 'archive-2019-b', 'archive-2019-b · evening 8', 'recordings/archive-2019-b/0008.mp4', 's3://recordings/recordings/archive-2019-b/0008.mp4', NULL, 314605568, 5408.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-09T18:30:00.137Z', '2024-03-09T20:00:00.137Z'),
    (9, 3, 'archive-2019-b/камера-2 9', 'archive-2019-b', 'archive-2019-b · evening 9', 'recordings/archive-2019-b/0009.mp4', 's3://recordings/recordings/archive-2019-b/0009.mp4', 'https://cdn.example/0009.mp4', 314609664, 5409.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-10 18:30:00', '2024-03-10 20:00:00'),
    (10, 3, 'archive-2019-b/Zoë 10', 'archive-2019-b', 'archive-2019-b · evening 10', 'recordings/archive-2019-b/0010.mp4', 's3://recordings/recordings/archive-2019-b/0010.mp4', 'https://cdn.example/0010.mp4', 314613760, 5410.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-11T18:30:00.137Z', '2024-03-11T20:00:00.137Z'),
    (11, 3, 'archive-2019-b/王小明 11', 'archive-2019-b', 'archive-2019-b · evening 11', 'recordings/archive-2019-b/0011.mp4', 's3://recordings/recordings/archive-2019-b/0011.mp4', 'https://cdn.example/0011.mp4', 314617856, 5411.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-12T18:30:00.137Z', '2024-03-12T20:00:00.137Z'),
    (12, 3, 'archive-2019-b/obs-1 12', 'archive-2019-b', 'archive-2019-b · evening 12', 'recordings/archive-2019-b/0012.mp4', 's3://recordings/recordings/archive-2019-b/0012.mp4', NULL, 314621952, 5412.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-13 18:30:00', '2024-03-13 20:00:00');

PRAGMA user_version = 2;
COMMIT;

BEGIN;

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
    (1, 6, 'cinema/王小明 1', 'cinema', 'cinema · evening 1', 'recordings/cinema/0001.mp4', 's3://recordings/recordings/cinema/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z', '{"egressId": "EG_cinema_1", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0001.jpg'),
    (2, 6, 'cinema/obs-1 2', 'cinema', 'cinema · evening 2', 'recordings/cinema/0002.mp4', 's3://recordings/recordings/cinema/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z', '{"egressId": "EG_cinema_2", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0002.jpg'),
    (3, 6, 'cinema/Łukasz 3', 'cinema', 'cinema · evening 3', 'recordings/cinema/0003.mp4', 's3://recordings/recordings/cinema/0003.mp4', 'https://cdn.example/0003.mp4', 314585088, 5403.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"egressId": "EG_cinema_3", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0003.jpg'),
    (4, 6, 'cinema/камера-2 4', 'cinema', 'cinema · evening 4', 'recordings/cinema/0004.mp4', 's3://recordings/recordings/cinema/0004.mp4', NULL, 314589184, 5404.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-05T18:30:00.137Z', '2024-03-05T20:00:00.137Z', '{"egressId": "EG_cinema_4", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0004.jpg'),
    (5, 6, 'cinema/Zoë 5', 'cinema', 'cinema · evening 5', 'recordings/cinema/0005.mp4', 's3://recordings/recordings/cinema/0005.mp4', 'https://cdn.example/0005.mp4', 314593280, 5405.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-06T18:30:00.137Z', '2024-03-06T20:00:00.137Z', '{"egressId": "EG_cinema_5", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0005.jpg'),
    (6, 6, 'cinema/王小明 6', 'cinema', 'cinema · evening 6', 'recordings/cinema/0006.mp4', 's3://recordings/recordings/cinema/0006.mp4', 'https://cdn.example/0006.mp4', 314597376, 5406.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"egressId": "EG_cinema_6", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0006.jpg'),
    (7, 6, 'cinema/obs-1 7', 'cinema', 'cinema · evening 7', 'recordings/cinema/0007.mp4', 's3://recordings/recordings/cinema/0007.mp4', 'https://cdn.example/0007.mp4', 314601472, 5407.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-08T18:30:00.137Z', '2024-03-08T20:00:00.137Z', '{"egressId": "EG_cinema_7", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0007.jpg'),
    (8, 6, 'cinema/Łukasz 8', 'cinema', 'cinema · evening 8', 'recordings/cinema/0008.mp4', 's3://recordings/recordings/cinema/0008.mp4', NULL, 314605568, 5408.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-09T18:30:00.137Z', '2024-03-09T20:00:00.137Z', '{"egressId": "EG_cinema_8", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0008.jpg'),
    (9, 6, 'cinema/камера-2 9', 'cinema', 'cinema · evening 9', 'recordings/cinema/0009.mp4', 's3://recordings/recordings/cinema/0009.mp4', 'https://cdn.example/0009.mp4', 314609664, 5409.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-10 18:30:00', '2024-03-10 20:00:00', '{"egressId": "EG_cinema_9", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0009.jpg'),
    (10, 6, 'cinema/Zoë 10', 'cinema', 'cinema · evening 10', 'recordings/cinema/0010.mp4', 's3://recordings/recordings/cinema/0010.mp4', 'https://cdn.example/0010.mp4', 314613760, 5410.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-11T18:30:00.137Z', '2024-03-11T20:00:00.137Z', '{"egressId": "EG_cinema_10", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0010.jpg'),
    (11, 6, 'cinema/王小明 11', 'cinema', 'cinema · evening 11', 'recordings/cinema/0011.mp4', 's3://recordings/recordings/cinema/0011.mp4', 'https://cdn.example/0011.mp4', 314617856, 5411.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-12T18:30:00.137Z', '2024-03-12T20:00:00.137Z', '{"egressId": "EG_cinema_11", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0011.jpg'),
    (12, 6, 'cinema/obs-1 12', 'cinema', 'cinema · evening 12', 'recordings/cinema/0012.mp4', 's3://recordings/recordings/cinema/0012.mp4', NULL, 314621952, 5412.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-13 18:30:00', '2024-03-13 20:00:00', '{"egressId": "EG_cinema_12", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0012.jpg'),
    (13, 6, 'cinema/Łukasz 13', 'cinema', 'cinema · evening 13', 'recordings/cinema/0013.mp4', 's3://recordings/recordings/cinema/0013.mp4', 'https://cdn.example/0013.mp4', 314626048, 5413.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-14T18:30:00.137Z', '2024-03-14T20:00:00.137Z', '{"egressId": "EG_cinema_13", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0013.jpg'),
    (14, 6, 'cinema/камера-2 14', 'cinema', 'cinema · evening 14', 'recordings/cinema/0014.mp4', 's3://recordings/recordings/cinema/0014.mp4', 'https://cdn.example/0014.mp4', 314630144, 5414.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-15T18:30:00.137Z', '2024-03-15T20:00:00.137Z', '{"egressId": "EG_cinema_14", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0014.jpg'),
    (15, 6, 'cinema/Zoë 15', 'cinema', 'cinema · evening 15', 'recordings/cinema/0015.mp4', 's3://recordings/recordings/cinema/0015.mp4', 'https://cdn.example/0015.mp4', 314634240, 5415.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-16 18:30:00', '2024-03-16 20:00:00', '{"egressId": "EG_cinema_15", "title": "Gr\u00f6\u00dfe"}', 'snapshots/cinema/0015.jpg');

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
    ('wsi_b7da68da722c', 'cinema', 'cinema', 'wsk_54896544252488180528cba40bb075e6', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_1001ad343552', 'cinema', 'cinema', 'wsk_9fc5c67aca51d2fddcd6b442cb03e18e', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_418d56d15758', 'cinema', 'cinema', 'wsk_4e5617da42abfdabad06e72373a12cd8', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-05 12:30:00', '2024-03-04 06:30:00');

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
INSERT INTO app_plugins VALUES
    ('captions', 1, '{"lang": "\u65e5\u672c\u8a9e"}', '2024-03-01 21:30:00', '2024-03-01 22:30:00');

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
INSERT INTO vod_variants VALUES
    (1, 1, 'rendition', 'hls', 1080, NULL, NULL, NULL, NULL, '2024-03-01 23:30:00'),
    (2, 1, 'rendition', 'hls', 720, NULL, NULL, NULL, NULL, '2024-03-01 23:30:00'),
    (3, 1, 'rendition', 'hls', 360, NULL, NULL, NULL, NULL, '2024-03-01 23:30:00');

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
INSERT INTO restream_targets VALUES
    (1, 'cinema', 'cinema', 'cinema/obs-1 2', 'Mirror · zweiter Kanal', 'custom', 'rtmp://mirror.example/live/demo-key', 'rtmp://mirror.example/live/****', 'EG_cinema_restream', 'stopped', NULL, 1, '2024-03-02 00:30:00', '2024-03-02 01:30:00');

CREATE TABLE "streams" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL,
    stream_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL CHECK (type IN ('webrtc', 'rtmp', 'rtsp', 'whip', 'ws-mjpeg')),
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
    (1, 6, 'cinema/王小明 1', 'rtmp', 'cinema', '王小明 1', 'ended', '2024-03-02 18:30:00', '2024-03-02 20:00:00', '{"viewers": 7, "bitrate": 2500000}'),
    (2, 6, 'cinema/obs-1 2', 'whip', 'cinema', 'obs-1 2', 'ended', '2024-03-03 18:30:00', '2024-03-03 20:00:00', '{"viewers": 14, "bitrate": 2500000}'),
    (3, 6, 'cinema/Łukasz 3', 'rtsp', 'cinema', 'Łukasz 3', 'ended', '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"viewers": 21, "bitrate": 2500000}'),
    (4, 6, 'cinema/камера-2 4', 'webrtc', 'cinema', 'камера-2 4', 'ended', '2024-03-05 18:30:00', '2024-03-05 20:00:00', '{"viewers": 28, "bitrate": 2500000}'),
    (5, 6, 'cinema/Zoë 5', 'rtmp', 'cinema', 'Zoë 5', 'active', '2024-03-06 18:30:00', NULL, '{"viewers": 35, "bitrate": 2500000}'),
    (6, 6, 'cinema/王小明 6', 'whip', 'cinema', '王小明 6', 'ended', '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"viewers": 42, "bitrate": 2500000}'),
    (7, 6, 'cinema/obs-1 7', 'rtsp', 'cinema', 'obs-1 7', 'ended', '2024-03-08 18:30:00', '2024-03-08 20:00:00', '{"viewers": 49, "bitrate": 2500000}'),
    (8, 6, 'cinema/Łukasz 8', 'webrtc', 'cinema', 'Łukasz 8', 'ended', '2024-03-09 18:30:00', '2024-03-09 20:00:00', '{"viewers": 56, "bitrate": 2500000}'),
    (9, 6, 'cinema/камера-2 9', 'ws-mjpeg', 'cinema', 'камера-2 9', 'ended', '2024-03-10 18:30:00', '2024-03-10 20:00:00', '{"viewers": 63, "bitrate": 2500000}');

PRAGMA user_version = 8;
COMMIT;

BEGIN;

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT,
    livekit_room_prefix TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    updated_at TEXT NOT NULL DEFAULT (datetime('now')),
    settings_json TEXT
);
INSERT INTO apps VALUES
    (1, 'live', 'Größe & Töne 🎥', 'live-', '2024-01-31 19:30:00', '2024-03-01 19:30:00', '{"recording": true}'),
    (2, 'studio-2', '東京スタジオ', 'studio-2-', '2024-01-31 20:30:00', '2024-03-01 20:30:00', '{"recording": true}');

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
INSERT INTO api_tokens VALUES
    (1, 'automation 1', '05eb18b06eaaa24728666bebcf5338b266a0ba6bea0df122b38a4976fdc99b88', 'global', NULL, '["10.0.0.0/8", "::1"]', '2024-03-03 21:30:00', '2024-03-01 19:30:00', 0),
    (2, 'automation 2', '6eb81279881e3b836e351a36fd44361bd2a136dbf71a9a0940952fed099f9dbd', 'app', 1, NULL, '2024-03-03 22:30:00', '2024-03-01 20:30:00', 0),
    (3, 'automation 3', '5b51e59ed81174c8d7a41657925fe65bbbcde0046245526b34acf7a44153f0c0', 'app', 2, '["10.0.0.0/8", "::1"]', '2024-03-03 23:30:00', '2024-03-01 21:30:00', 1);

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
INSERT INTO server_logs VALUES
    (1, '2024-03-01T19:30:00.137Z', 'warn', 'recorder', 1, 'egress 1 → ready', '{"attempt": 1}'),
    (2, '2024-03-01T20:30:00.137Z', 'error', 'recorder', 2, 'egress 2 → ready', '{"attempt": 2}'),
    (3, '2024-03-01T21:30:00.137Z', 'info', 'recorder', NULL, 'egress 3 → ready', '{"attempt": 3}'),
    (4, '2024-03-01T22:30:00.137Z', 'warn', 'recorder', 1, 'egress 4 → ready', '{"attempt": 4}'),
    (5, '2024-03-01T23:30:00.137Z', 'error', 'recorder', 2, 'egress 5 → ready', '{"attempt": 5}'),
    (6, '2024-03-02T00:30:00.137Z', 'info', 'recorder', NULL, 'egress 6 → ready', '{"attempt": 6}'),
    (7, '2024-03-02T01:30:00.137Z', 'warn', 'recorder', 1, 'egress 7 → ready', '{"attempt": 7}'),
    (8, '2024-03-02T02:30:00.137Z', 'error', 'recorder', 2, 'egress 8 → ready', '{"attempt": 8}'),
    (9, '2024-03-02T03:30:00.137Z', 'info', 'recorder', NULL, 'egress 9 → ready', '{"attempt": 9}');

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
    ('wsi_d9fe5a29e682', 'live', 'live', 'wsk_77cb8aa358ea31f2e9b65a94e18a736d', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_b65d05879650', 'live', 'live', 'wsk_9b5b5af3944722a174a8a6d2b504103c', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_2e2c1bbdfae2', 'studio-2', 'studio-2', 'wsk_e8e889bb9d429241aaad4700486528ab', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_4a12a2cd5fc1', 'studio-2', 'studio-2', 'wsk_0fade871605b36e11cb54514c2f1d27c', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_45d6c525e04f', 'closed-club', 'closed', 'wsk_7e59eb72ea64510ed552506ef00a0e3f', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00');

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
    (2, 1, 'live/obs-1 2', 'whip', 'live', 'obs-1 2', 'ended', '2024-03-03 18:30:00', '2024-03-03 20:00:00', '{"viewers": 14, "bitrate": 2500000}'),
    (3, 1, 'live/Łukasz 3', 'rtsp', 'live', 'Łukasz 3', 'ended', '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"viewers": 21, "bitrate": 2500000}'),
    (4, 1, 'live/камера-2 4', 'webrtc', 'live', 'камера-2 4', 'ended', '2024-03-05 18:30:00', '2024-03-05 20:00:00', '{"viewers": 28, "bitrate": 2500000}'),
    (5, 1, 'live/Zoë 5', 'rtmp', 'live', 'Zoë 5', 'active', '2024-03-06 18:30:00', NULL, '{"viewers": 35, "bitrate": 2500000}'),
    (6, 1, 'live/王小明 6', 'whip', 'live', '王小明 6', 'ended', '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"viewers": 42, "bitrate": 2500000}'),
    (7, 1, 'live/obs-1 7', 'rtsp', 'live', 'obs-1 7', 'ended', '2024-03-08 18:30:00', '2024-03-08 20:00:00', '{"viewers": 49, "bitrate": 2500000}'),
    (8, 1, 'live/Łukasz 8', 'webrtc', 'live', 'Łukasz 8', 'ended', '2024-03-09 18:30:00', '2024-03-09 20:00:00', '{"viewers": 56, "bitrate": 2500000}'),
    (11, 2, 'studio-2/王小明 11', 'rtsp', 'studio-2', '王小明 11', 'ended', '2024-03-12 18:30:00', '2024-03-12 20:00:00', '{"viewers": 77, "bitrate": 2500000}'),
    (12, 2, 'studio-2/obs-1 12', 'webrtc', 'studio-2', 'obs-1 12', 'ended', '2024-03-13 18:30:00', '2024-03-13 20:00:00', '{"viewers": 84, "bitrate": 2500000}'),
    (13, 2, 'studio-2/Łukasz 13', 'rtmp', 'studio-2', 'Łukasz 13', 'ended', '2024-03-14 18:30:00', '2024-03-14 20:00:00', '{"viewers": 91, "bitrate": 2500000}'),
    (14, 2, 'studio-2/камера-2 14', 'whip', 'studio-2', 'камера-2 14', 'ended', '2024-03-15 18:30:00', '2024-03-15 20:00:00', '{"viewers": 98, "bitrate": 2500000}'),
    (15, 2, 'studio-2/Zoë 15', 'rtsp', 'studio-2', 'Zoë 15', 'active', '2024-03-16 18:30:00', NULL, '{"viewers": 105, "bitrate": 2500000}'),
    (16, 2, 'studio-2/王小明 16', 'webrtc', 'studio-2', '王小明 16', 'ended', '2024-03-17 18:30:00', '2024-03-17 20:00:00', '{"viewers": 112, "bitrate": 2500000}'),
    (17, 2, 'studio-2/obs-1 17', 'rtmp', 'studio-2', 'obs-1 17', 'ended', '2024-03-18 18:30:00', '2024-03-18 20:00:00', '{"viewers": 119, "bitrate": 2500000}'),
    (18, 2, 'studio-2/Łukasz 18', 'whip', 'studio-2', 'Łukasz 18', 'ended', '2024-03-19 18:30:00', '2024-03-19 20:00:00', '{"viewers": 126, "bitrate": 2500000}'),
    (90, 9, 'closed/Zoë 90', 'whip', 'closed', 'Zoë 90', 'active', '2024-05-30 18:30:00', NULL, '{"viewers": 630, "bitrate": 2500000}');

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
    (1, 1, 'live/王小明 1', 'live', 'live · evening 1', 'recordings/live/0001.mp4', 's3://recordings/recordings/live/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z', '{"egressId": "EG_live_1", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0001.jpg'),
    (2, 1, 'live/obs-1 2', 'live', 'live · evening 2', 'recordings/live/0002.mp4', 's3://recordings/recordings/live/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z', '{"egressId": "EG_live_2", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0002.jpg'),
    (3, 1, 'live/Łukasz 3', 'live', 'live · evening 3', 'recordings/live/0003.mp4', 's3://recordings/recordings/live/0003.mp4', 'https://cdn.example/0003.mp4', 314585088, 5403.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"egressId": "EG_live_3", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0003.jpg'),
    (4, 1, 'live/камера-2 4', 'live', 'live · evening 4', 'recordings/live/0004.mp4', 's3://recordings/recordings/live/0004.mp4', NULL, 314589184, 5404.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-05T18:30:00.137Z', '2024-03-05T20:00:00.137Z', '{"egressId": "EG_live_4", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0004.jpg'),
    (5, 1, 'live/Zoë 5', 'live', 'live · evening 5', 'recordings/live/0005.mp4', 's3://recordings/recordings/live/0005.mp4', 'https://cdn.example/0005.mp4', 314593280, 5405.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-06T18:30:00.137Z', '2024-03-06T20:00:00.137Z', '{"egressId": "EG_live_5", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0005.jpg'),
    (6, 1, 'live/王小明 6', 'live', 'live · evening 6', 'recordings/live/0006.mp4', 's3://recordings/recordings/live/0006.mp4', 'https://cdn.example/0006.mp4', 314597376, 5406.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"egressId": "EG_live_6", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0006.jpg'),
    (7, 1, 'live/obs-1 7', 'live', 'live · evening 7', 'recordings/live/0007.mp4', 's3://recordings/recordings/live/0007.mp4', 'https://cdn.example/0007.mp4', 314601472, 5407.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-08T18:30:00.137Z', '2024-03-08T20:00:00.137Z', '{"egressId": "EG_live_7", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0007.jpg'),
    (8, 1, 'live/Łukasz 8', 'live', 'live · evening 8', 'recordings/live/0008.mp4', 's3://recordings/recordings/live/0008.mp4', NULL, 314605568, 5408.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-09T18:30:00.137Z', '2024-03-09T20:00:00.137Z', '{"egressId": "EG_live_8", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0008.jpg'),
    (9, 1, 'live/камера-2 9', 'live', 'live · evening 9', 'recordings/live/0009.mp4', 's3://recordings/recordings/live/0009.mp4', 'https://cdn.example/0009.mp4', 314609664, 5409.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-10 18:30:00', '2024-03-10 20:00:00', '{"egressId": "EG_live_9", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0009.jpg'),
    (10, 1, 'live/Zoë 10', 'live', 'live · evening 10', 'recordings/live/0010.mp4', 's3://recordings/recordings/live/0010.mp4', 'https://cdn.example/0010.mp4', 314613760, 5410.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-11T18:30:00.137Z', '2024-03-11T20:00:00.137Z', '{"egressId": "EG_live_10", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0010.jpg'),
    (11, 2, 'studio-2/王小明 11', 'studio-2', 'studio-2 · evening 11', 'recordings/studio-2/0011.mp4', 's3://recordings/recordings/studio-2/0011.mp4', 'https://cdn.example/0011.mp4', 314617856, 5411.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-12T18:30:00.137Z', '2024-03-12T20:00:00.137Z', '{"egressId": "EG_studio-2_11", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0011.jpg'),
    (12, 2, 'studio-2/obs-1 12', 'studio-2', 'studio-2 · evening 12', 'recordings/studio-2/0012.mp4', 's3://recordings/recordings/studio-2/0012.mp4', NULL, 314621952, 5412.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-13 18:30:00', '2024-03-13 20:00:00', '{"egressId": "EG_studio-2_12", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0012.jpg'),
    (13, 2, 'studio-2/Łukasz 13', 'studio-2', 'studio-2 · evening 13', 'recordings/studio-2/0013.mp4', 's3://recordings/recordings/studio-2/0013.mp4', 'https://cdn.example/0013.mp4', 314626048, 5413.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-14T18:30:00.137Z', '2024-03-14T20:00:00.137Z', '{"egressId": "EG_studio-2_13", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0013.jpg'),
    (14, 2, 'studio-2/камера-2 14', 'studio-2', 'studio-2 · evening 14', 'recordings/studio-2/0014.mp4', 's3://recordings/recordings/studio-2/0014.mp4', 'https://cdn.example/0014.mp4', 314630144, 5414.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-03-15T18:30:00.137Z', '2024-03-15T20:00:00.137Z', '{"egressId": "EG_studio-2_14", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0014.jpg'),
    (15, 2, 'studio-2/Zoë 15', 'studio-2', 'studio-2 · evening 15', 'recordings/studio-2/0015.mp4', 's3://recordings/recordings/studio-2/0015.mp4', 'https://cdn.example/0015.mp4', 314634240, 5415.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-16 18:30:00', '2024-03-16 20:00:00', '{"egressId": "EG_studio-2_15", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0015.jpg'),
    (16, 2, 'studio-2/王小明 16', 'studio-2', 'studio-2 · evening 16', 'recordings/studio-2/0016.mp4', 's3://recordings/recordings/studio-2/0016.mp4', NULL, 314638336, 5416.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-17T18:30:00.137Z', '2024-03-17T20:00:00.137Z', '{"egressId": "EG_studio-2_16", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0016.jpg'),
    (17, 2, 'studio-2/obs-1 17', 'studio-2', 'studio-2 · evening 17', 'recordings/studio-2/0017.mp4', 's3://recordings/recordings/studio-2/0017.mp4', 'https://cdn.example/0017.mp4', 314642432, 5417.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-18T18:30:00.137Z', '2024-03-18T20:00:00.137Z', '{"egressId": "EG_studio-2_17", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0017.jpg'),
    (18, 2, 'studio-2/Łukasz 18', 'studio-2', 'studio-2 · evening 18', 'recordings/studio-2/0018.mp4', 's3://recordings/recordings/studio-2/0018.mp4', 'https://cdn.example/0018.mp4', 314646528, 5418.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-19 18:30:00', '2024-03-19 20:00:00', '{"egressId": "EG_studio-2_18", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0018.jpg'),
    (19, 2, 'studio-2/камера-2 19', 'studio-2', 'studio-2 · evening 19', 'recordings/studio-2/0019.mp4', 's3://recordings/recordings/studio-2/0019.mp4', 'https://cdn.example/0019.mp4', 314650624, 5419.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-20T18:30:00.137Z', '2024-03-20T20:00:00.137Z', '{"egressId": "EG_studio-2_19", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0019.jpg'),
    (20, 2, 'studio-2/Zoë 20', 'studio-2', 'studio-2 · evening 20', 'recordings/studio-2/0020.mp4', 's3://recordings/recordings/studio-2/0020.mp4', NULL, 314654720, 5420.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-21T18:30:00.137Z', '2024-03-21T20:00:00.137Z', '{"egressId": "EG_studio-2_20", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio-2/0020.jpg'),
    (90, 9, 'closed/Zoë 90', 'closed', 'closed · evening 90', 'recordings/closed/0090.mp4', 's3://recordings/recordings/closed/0090.mp4', 'https://cdn.example/0090.mp4', 314941440, 5490.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-05-30 18:30:00', '2024-05-30 20:00:00', '{"egressId": "EG_closed_90", "title": "Gr\u00f6\u00dfe"}', 'snapshots/closed/0090.jpg'),
    (91, 9, 'closed/王小明 91', 'closed', 'closed · evening 91', 'recordings/closed/0091.mp4', 's3://recordings/recordings/closed/0091.mp4', 'https://cdn.example/0091.mp4', 314945536, 5491.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-05-31T18:30:00.137Z', '2024-05-31T20:00:00.137Z', '{"egressId": "EG_closed_91", "title": "Gr\u00f6\u00dfe"}', 'snapshots/closed/0091.jpg'),
    (92, 9, 'closed/obs-1 92', 'closed', 'closed · evening 92', 'recordings/closed/0092.mp4', 's3://recordings/recordings/closed/0092.mp4', NULL, 314949632, 5492.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-06-01T18:30:00.137Z', '2024-06-01T20:00:00.137Z', '{"egressId": "EG_closed_92", "title": "Gr\u00f6\u00dfe"}', 'snapshots/closed/0092.jpg');

PRAGMA user_version = 4;
COMMIT;

BEGIN;

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT,
    livekit_room_prefix TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    updated_at TEXT NOT NULL DEFAULT (datetime('now')),
    settings_json TEXT
, tenant_id TEXT DEFAULT 'platform');
CREATE INDEX idx_apps_tenant ON apps(tenant_id);
INSERT INTO apps VALUES
    (1, 'live', 'Größe & Töne 🎥', 'live-', '2024-01-31 19:30:00', '2024-03-01 19:30:00', '{"recording": true}', 'platform'),
    (2, 'radio', 'Радио Волна', 'radio-', '2024-01-31 20:30:00', '2024-03-01 20:30:00', '{"recording": true}', 'platform'),
    (3, 'archive-2019', 'Archiv 2019', 'archive-2019-', '2024-01-31 21:30:00', '2024-03-01 21:30:00', '{"recording": true}', 'platform'),
    (4, 'studio', '東京スタジオ', 'studio-', '2024-01-31 22:30:00', '2024-03-01 22:30:00', '{"recording": true}', 'platform'),
    (5, 'arena', 'Arena «Süd»', 'arena-', '2024-01-31 23:30:00', '2024-03-01 23:30:00', '{"recording": true}', 'platform'),
    (6, 'cinema', 'Ciné Été', 'cinema-', '2024-02-01 00:30:00', '2024-03-02 00:30:00', '{"recording": true}', 'platform'),
    (7, 'webcam', 'Webcam', 'webcam-', '2024-02-01 01:30:00', '2024-03-02 01:30:00', '{"recording": true}', 'platform');

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
, tenant_id TEXT DEFAULT 'platform');
CREATE INDEX idx_api_tokens_hash ON api_tokens(token_hash);
CREATE INDEX idx_api_tokens_tenant ON api_tokens(tenant_id);
INSERT INTO api_tokens VALUES
    (1, 'automation 1', '05eb18b06eaaa24728666bebcf5338b266a0ba6bea0df122b38a4976fdc99b88', 'global', NULL, '["10.0.0.0/8", "::1"]', '2024-03-03 21:30:00', '2024-03-01 19:30:00', 0, 'platform'),
    (2, 'automation 2', '6eb81279881e3b836e351a36fd44361bd2a136dbf71a9a0940952fed099f9dbd', 'app', 1, NULL, '2024-03-03 22:30:00', '2024-03-01 20:30:00', 0, 'platform'),
    (3, 'automation 3', '5b51e59ed81174c8d7a41657925fe65bbbcde0046245526b34acf7a44153f0c0', 'app', 2, '["10.0.0.0/8", "::1"]', '2024-03-03 23:30:00', '2024-03-01 21:30:00', 1, 'platform');

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
    ('wsi_ed36f26bc258', 'radio', 'radio', 'wsk_6a281103d8517318ee9c0a403a4b7f7d', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_21443f981e7d', 'radio', 'radio', 'wsk_8bdee9e709ae6f46d8d7c5be388829c1', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_1ef3b97f2692', 'archive-2019', 'archive-2019', 'wsk_eb08460f9e25891c3e107ee9d8849b2c', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_8e510530f6e1', 'archive-2019', 'archive-2019', 'wsk_5f4ffc25948edb3608ee51f0280d93c8', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_e3da0a60fc73', 'studio', 'studio', 'wsk_cc330dfbd7050ed9807163028ff87142', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_f35de7364ec8', 'studio', 'studio', 'wsk_ebfac873777c719e22d15f5bbe4e370c', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_50e757f7fbd1', 'arena', 'arena', 'wsk_51bb01ca202b916741a74c98427c5ffe', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_a5d24cc6f308', 'arena', 'arena', 'wsk_f915b8aaef8201e8a84a761da6e15908', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_b7da68da722c', 'cinema', 'cinema', 'wsk_54896544252488180528cba40bb075e6', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_1001ad343552', 'cinema', 'cinema', 'wsk_9fc5c67aca51d2fddcd6b442cb03e18e', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
    ('wsi_f35c9c107da6', 'webcam', 'webcam', 'wsk_89ae2f5c02c558c2dbcbf0e6c24e36a1', '7536378c9c8d4087448857c67f114942711658557e104ec79d47454b2da04553', '9f1c2ab04de857369f1c2ab04de85736', 1, '2024-03-03 00:30:00', '2024-03-02 14:30:00'),
    ('wsi_e78703d5ee36', 'webcam', 'webcam', 'wsk_838cc8a6e98ba1cbf491e8ee02a28c71', NULL, NULL, 0, NULL, '2024-03-03 10:30:00'),
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
    (1, 2, 'radio/王小明 1', 'rtmp', 'radio', '王小明 1', 'ended', '2024-03-02 18:30:00', '2024-03-02 20:00:00', '{"viewers": 7, "bitrate": 2500000}'),
    (2, 2, 'radio/obs-1 2', 'whip', 'radio', 'obs-1 2', 'ended', '2024-03-03 18:30:00', '2024-03-03 20:00:00', '{"viewers": 14, "bitrate": 2500000}'),
    (3, 2, 'radio/Łukasz 3', 'rtsp', 'radio', 'Łukasz 3', 'ended', '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"viewers": 21, "bitrate": 2500000}'),
    (4, 2, 'radio/камера-2 4', 'webrtc', 'radio', 'камера-2 4', 'ended', '2024-03-05 18:30:00', '2024-03-05 20:00:00', '{"viewers": 28, "bitrate": 2500000}'),
    (5, 2, 'radio/Zoë 5', 'rtmp', 'radio', 'Zoë 5', 'active', '2024-03-06 18:30:00', NULL, '{"viewers": 35, "bitrate": 2500000}'),
    (31, 4, 'studio/王小明 31', 'rtsp', 'studio', '王小明 31', 'ended', '2024-04-01 18:30:00', '2024-04-01 20:00:00', '{"viewers": 217, "bitrate": 2500000}'),
    (32, 4, 'studio/obs-1 32', 'webrtc', 'studio', 'obs-1 32', 'ended', '2024-04-02 18:30:00', '2024-04-02 20:00:00', '{"viewers": 224, "bitrate": 2500000}'),
    (33, 4, 'studio/Łukasz 33', 'rtmp', 'studio', 'Łukasz 33', 'ended', '2024-04-03 18:30:00', '2024-04-03 20:00:00', '{"viewers": 231, "bitrate": 2500000}'),
    (34, 4, 'studio/камера-2 34', 'whip', 'studio', 'камера-2 34', 'ended', '2024-04-04 18:30:00', '2024-04-04 20:00:00', '{"viewers": 238, "bitrate": 2500000}'),
    (35, 4, 'studio/Zoë 35', 'rtsp', 'studio', 'Zoë 35', 'active', '2024-04-05 18:30:00', NULL, '{"viewers": 245, "bitrate": 2500000}'),
    (41, 1, 'live/王小明 41', 'rtmp', 'live', '王小明 41', 'ended', '2024-04-11 18:30:00', '2024-04-11 20:00:00', '{"viewers": 287, "bitrate": 2500000}'),
    (42, 1, 'live/obs-1 42', 'whip', 'live', 'obs-1 42', 'ended', '2024-04-12 18:30:00', '2024-04-12 20:00:00', '{"viewers": 294, "bitrate": 2500000}'),
    (43, 1, 'live/Łukasz 43', 'rtsp', 'live', 'Łukasz 43', 'ended', '2024-04-13 18:30:00', '2024-04-13 20:00:00', '{"viewers": 301, "bitrate": 2500000}'),
    (44, 1, 'live/камера-2 44', 'webrtc', 'live', 'камера-2 44', 'ended', '2024-04-14 18:30:00', '2024-04-14 20:00:00', '{"viewers": 308, "bitrate": 2500000}'),
    (45, 1, 'live/Zoë 45', 'rtmp', 'live', 'Zoë 45', 'active', '2024-04-15 18:30:00', NULL, '{"viewers": 315, "bitrate": 2500000}'),
    (90, 99, 'closed/Zoë 90', 'whip', 'closed', 'Zoë 90', 'active', '2024-05-30 18:30:00', NULL, '{"viewers": 630, "bitrate": 2500000}');

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
    (1, 2, 'radio/王小明 1', 'radio', 'radio · evening 1', 'recordings/radio/0001.mp4', 's3://recordings/recordings/radio/0001.mp4', 'https://cdn.example/0001.mp4', 314576896, 5401.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-02T18:30:00.137Z', '2024-03-02T20:00:00.137Z', '{"egressId": "EG_radio_1", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0001.jpg'),
    (2, 2, 'radio/obs-1 2', 'radio', 'radio · evening 2', 'recordings/radio/0002.mp4', 's3://recordings/recordings/radio/0002.mp4', 'https://cdn.example/0002.mp4', 314580992, 5402.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-03T18:30:00.137Z', '2024-03-03T20:00:00.137Z', '{"egressId": "EG_radio_2", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0002.jpg'),
    (3, 2, 'radio/Łukasz 3', 'radio', 'radio · evening 3', 'recordings/radio/0003.mp4', 's3://recordings/recordings/radio/0003.mp4', 'https://cdn.example/0003.mp4', 314585088, 5403.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-04 18:30:00', '2024-03-04 20:00:00', '{"egressId": "EG_radio_3", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0003.jpg'),
    (4, 2, 'radio/камера-2 4', 'radio', 'radio · evening 4', 'recordings/radio/0004.mp4', 's3://recordings/recordings/radio/0004.mp4', NULL, 314589184, 5404.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-05T18:30:00.137Z', '2024-03-05T20:00:00.137Z', '{"egressId": "EG_radio_4", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0004.jpg'),
    (5, 2, 'radio/Zoë 5', 'radio', 'radio · evening 5', 'recordings/radio/0005.mp4', 's3://recordings/recordings/radio/0005.mp4', 'https://cdn.example/0005.mp4', 314593280, 5405.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-06T18:30:00.137Z', '2024-03-06T20:00:00.137Z', '{"egressId": "EG_radio_5", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0005.jpg'),
    (6, 2, 'radio/王小明 6', 'radio', 'radio · evening 6', 'recordings/radio/0006.mp4', 's3://recordings/recordings/radio/0006.mp4', 'https://cdn.example/0006.mp4', 314597376, 5406.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-03-07 18:30:00', '2024-03-07 20:00:00', '{"egressId": "EG_radio_6", "title": "Gr\u00f6\u00dfe"}', 'snapshots/radio/0006.jpg'),
    (31, 4, 'studio/王小明 31', 'studio', 'studio · evening 31', 'recordings/studio/0031.mp4', 's3://recordings/recordings/studio/0031.mp4', 'https://cdn.example/0031.mp4', 314699776, 5431.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-01T18:30:00.137Z', '2024-04-01T20:00:00.137Z', '{"egressId": "EG_studio_31", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0031.jpg'),
    (32, 4, 'studio/obs-1 32', 'studio', 'studio · evening 32', 'recordings/studio/0032.mp4', 's3://recordings/recordings/studio/0032.mp4', NULL, 314703872, 5432.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-02T18:30:00.137Z', '2024-04-02T20:00:00.137Z', '{"egressId": "EG_studio_32", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0032.jpg'),
    (33, 4, 'studio/Łukasz 33', 'studio', 'studio · evening 33', 'recordings/studio/0033.mp4', 's3://recordings/recordings/studio/0033.mp4', 'https://cdn.example/0033.mp4', 314707968, 5433.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-03 18:30:00', '2024-04-03 20:00:00', '{"egressId": "EG_studio_33", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0033.jpg'),
    (34, 4, 'studio/камера-2 34', 'studio', 'studio · evening 34', 'recordings/studio/0034.mp4', 's3://recordings/recordings/studio/0034.mp4', 'https://cdn.example/0034.mp4', 314712064, 5434.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-04T18:30:00.137Z', '2024-04-04T20:00:00.137Z', '{"egressId": "EG_studio_34", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0034.jpg'),
    (35, 4, 'studio/Zoë 35', 'studio', 'studio · evening 35', 'recordings/studio/0035.mp4', 's3://recordings/recordings/studio/0035.mp4', 'https://cdn.example/0035.mp4', 314716160, 5435.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-04-05T18:30:00.137Z', '2024-04-05T20:00:00.137Z', '{"egressId": "EG_studio_35", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0035.jpg'),
    (36, 4, 'studio/王小明 36', 'studio', 'studio · evening 36', 'recordings/studio/0036.mp4', 's3://recordings/recordings/studio/0036.mp4', NULL, 314720256, 5436.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-06 18:30:00', '2024-04-06 20:00:00', '{"egressId": "EG_studio_36", "title": "Gr\u00f6\u00dfe"}', 'snapshots/studio/0036.jpg'),
    (41, 1, 'live/王小明 41', 'live', 'live · evening 41', 'recordings/live/0041.mp4', 's3://recordings/recordings/live/0041.mp4', 'https://cdn.example/0041.mp4', 314740736, 5441.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-11T18:30:00.137Z', '2024-04-11T20:00:00.137Z', '{"egressId": "EG_live_41", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0041.jpg'),
    (42, 1, 'live/obs-1 42', 'live', 'live · evening 42', 'recordings/live/0042.mp4', 's3://recordings/recordings/live/0042.mp4', 'https://cdn.example/0042.mp4', 314744832, 5442.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-04-12 18:30:00', '2024-04-12 20:00:00', '{"egressId": "EG_live_42", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0042.jpg'),
    (43, 1, 'live/Łukasz 43', 'live', 'live · evening 43', 'recordings/live/0043.mp4', 's3://recordings/recordings/live/0043.mp4', 'https://cdn.example/0043.mp4', 314748928, 5443.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-13T18:30:00.137Z', '2024-04-13T20:00:00.137Z', '{"egressId": "EG_live_43", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0043.jpg'),
    (44, 1, 'live/камера-2 44', 'live', 'live · evening 44', 'recordings/live/0044.mp4', 's3://recordings/recordings/live/0044.mp4', NULL, 314753024, 5444.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-14T18:30:00.137Z', '2024-04-14T20:00:00.137Z', '{"egressId": "EG_live_44", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0044.jpg'),
    (45, 1, 'live/Zoë 45', 'live', 'live · evening 45', 'recordings/live/0045.mp4', 's3://recordings/recordings/live/0045.mp4', 'https://cdn.example/0045.mp4', 314757120, 5445.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-15 18:30:00', '2024-04-15 20:00:00', '{"egressId": "EG_live_45", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0045.jpg'),
    (46, 1, 'live/王小明 46', 'live', 'live · evening 46', 'recordings/live/0046.mp4', 's3://recordings/recordings/live/0046.mp4', 'https://cdn.example/0046.mp4', 314761216, 5446.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-04-16T18:30:00.137Z', '2024-04-16T20:00:00.137Z', '{"egressId": "EG_live_46", "title": "Gr\u00f6\u00dfe"}', 'snapshots/live/0046.jpg'),
    (90, 99, 'closed/Zoë 90', 'closed', 'closed · evening 90', 'recordings/closed/0090.mp4', 's3://recordings/recordings/closed/0090.mp4', 'https://cdn.example/0090.mp4', 314941440, 5490.25, 1920, 1080, 'mp4', 'ready', NULL, '2024-05-30 18:30:00', '2024-05-30 20:00:00', '{"egressId": "EG_closed_90", "title": "Gr\u00f6\u00dfe"}', 'snapshots/closed/0090.jpg'),
    (91, 99, 'closed/王小明 91', 'closed', 'closed · evening 91', 'recordings/closed/0091.mp4', 's3://recordings/recordings/closed/0091.mp4', 'https://cdn.example/0091.mp4', 314945536, 5491.25, 1920, 1080, 'mp4', 'failed', NULL, '2024-05-31T18:30:00.137Z', '2024-05-31T20:00:00.137Z', '{"egressId": "EG_closed_91", "title": "Gr\u00f6\u00dfe"}', 'snapshots/closed/0091.jpg');

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL DEFAULT 'free',
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO tenants VALUES
    ('platform', 'Platform', 'platform', '2025-02-01 08:00:00');

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
INSERT INTO quotas VALUES
    ('platform', 100000, 100000, 100000000, 100000, 100000);

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT,
    url TEXT,
    region TEXT,
    status TEXT NOT NULL DEFAULT 'unknown',
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_seen_at TEXT
);

CREATE TABLE _streamhub_meta (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);

PRAGMA user_version = 7;
COMMIT;

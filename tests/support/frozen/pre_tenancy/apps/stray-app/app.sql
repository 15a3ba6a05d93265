BEGIN TRANSACTION;
CREATE TABLE _streamhub_meta (
  key TEXT PRIMARY KEY,
  value TEXT,
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE TABLE app_plugins (
  plugin_id TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL DEFAULT 1,
  config_json TEXT,
  installed_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO "app_plugins" VALUES('chat',0,'{"a": "é"}','2026-11-24 01:36:55','2026-11-24 01:36:55');
INSERT INTO "app_plugins" VALUES('🎛',1,NULL,'2026-11-24 01:36:55','2026-11-24 01:36:55');
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
    CHECK (status IN ('starting','active','failed','stopped')),
  error TEXT,
  retries INTEGER NOT NULL DEFAULT 0,
  started_at TEXT NOT NULL DEFAULT (datetime('now')),
  ended_at TEXT
);
INSERT INTO "restream_targets" VALUES(1,'stray-app','بث مباشر — שידור חי','','O''Brien said "yes" `now`; -- DROP TABLE vods','custom','rtmp://example/live/3a5200f5ce3dc0c8','rtmp://example/live/****','EG_1','starting',NULL,1,'2023-10-11 12:51:30','2023-04-22T19:09:03.865Z');
INSERT INTO "restream_targets" VALUES(2,'stray-app','tab	new
line',NULL,'O''Brien said "yes" `now`; -- DROP TABLE vods','custom','rtmp://example/live/f76c67370795a866','rtmp://example/live/****','EG_2','starting','',2,'2023-07-09T09:01:04.428Z','2023-09-19 10:33:47');
INSERT INTO "restream_targets" VALUES(3,'stray-app','tab	new
line','🎥 Löwenbräu 👩🏽‍🚀','','custom','rtmp://example/live/830198c11f92fb72','rtmp://example/live/****','EG_3','failed','Straße',0,'2023-08-19 04:17:47','2023-04-09 09:15:32');
INSERT INTO "restream_targets" VALUES(4,'stray-app','007',NULL,'100% {name} %s \ / ../..','youtube','rtmp://example/live/09b26a34a6259c35','rtmp://example/live/****','EG_4','active','O''Brien said "yes" `now`; -- DROP TABLE vods',1,'2023-08-27 04:10:48','2023-09-06T06:50:03.779Z');
INSERT INTO "restream_targets" VALUES(5,'stray-app','tab	new
line',NULL,'café ñ','custom','rtmp://example/live/e58947d59c46b427','rtmp://example/live/****','EG_5','active',NULL,2,'2023-10-21 11:35:31',NULL);
INSERT INTO "restream_targets" VALUES(6,'stray-app','Straße','O''Brien said "yes" `now`; -- DROP TABLE vods','🎥 Löwenbräu 👩🏽‍🚀','youtube','rtmp://example/live/d5603c970512cc29','rtmp://example/live/****',NULL,'failed','café ñ',0,'2023-02-26 04:28:13','2023-09-24T12:36:04.645Z');
INSERT INTO "restream_targets" VALUES(7,'stray-app','1e5',' leading and trailing ','007','youtube','rtmp://example/live/8fa0cf1331cc0610','rtmp://example/live/****',NULL,'stopped',' leading and trailing ',1,'2023-11-29 20:32:58','2023-02-23T02:39:01.845Z');
INSERT INTO "restream_targets" VALUES(8,'stray-app','café ñ',NULL,NULL,'custom','rtmp://example/live/9a0b0ae31ba3a95c','rtmp://example/live/****',NULL,'active','100% {name} %s \ / ../..',2,'2023-04-12 07:29:58',NULL);
INSERT INTO "restream_targets" VALUES(9,'stray-app','100% {name} %s \ / ../..','بث مباشر — שידור חי','','youtube','rtmp://example/live/a65a620f6797a5fa','rtmp://example/live/****','EG_9','active',NULL,0,'2023-12-08 22:36:33','2023-07-29 23:44:34');
CREATE TABLE streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL,
  stream_id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL CHECK (type IN ('webrtc','rtmp','rtsp','whip')),
  room TEXT,
  participant TEXT,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active','ended')),
  started_at TEXT NOT NULL DEFAULT (datetime('now')),
  ended_at TEXT,
  last_stats_json TEXT
);
INSERT INTO "streams" VALUES(1,777,'stray-app-app.db بث مباشر — שידור חי/1','whip','stray-app-app.db بث مباشر — שידור חי',NULL,'ended','2023-04-09 17:39:47','2023-02-23 18:23:39','{"egressId": "EG_42af04d1", "title": "O''Brien said \"yes\" `now`; -- DROP TABLE vods", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(2,777,'stray-app-app.db بث مباشر — שידור חי/2','rtmp','stray-app-app.db بث مباشر — שידור חי',' leading and trailing ','ended','2023-10-20 02:23:04','2023-02-06T11:17:17.511Z','{"egressId": "EG_331ca7b7", "title": "007", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(3,777,'stray-app-app.db 100% {name} %s \ / ../../3','whip','stray-app-app.db 100% {name} %s \ / ../..','O''Brien said "yes" `now`; -- DROP TABLE vods','active','2023-04-16 20:16:55',NULL,NULL);
INSERT INTO "streams" VALUES(4,777,'stray-app-app.db NULL/4','whip','stray-app-app.db NULL','O''Brien said "yes" `now`; -- DROP TABLE vods','ended','2023-04-08T00:13:53.362Z','2023-11-28 05:37:44','{"egressId": "EG_f9eaae40", "title": "007", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(5,777,'stray-app-app.db tab	new
line/5','rtsp','stray-app-app.db tab	new
line','café ñ','ended','2023-06-08T10:43:18.350Z','2023-03-20 15:03:37','{"egressId": "EG_f8aa841e", "title": "caf\u00e9 \u00f1", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(6,777,'stray-app-app.db Straße/6','webrtc','stray-app-app.db Straße','1e5','ended','2023-05-21T17:08:38.620Z','2023-06-26 16:23:46','{"egressId": "EG_29d8526c", "title": "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(7,777,'stray-app-app.db O''Brien said "yes" `now`; -- DROP TABLE vods/7','whip','stray-app-app.db O''Brien said "yes" `now`; -- DROP TABLE vods',NULL,'ended','2023-11-06 19:21:39','2023-03-27T10:51:36.296Z','{"egressId": "EG_b21d9528", "title": "\u0628\u062b \u0645\u0628\u0627\u0634\u0631 \u2014 \u05e9\u05d9\u05d3\u05d5\u05e8 \u05d7\u05d9", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(8,777,'stray-app-app.db Straße/8','rtsp',NULL,'long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','ended','2023-11-20 03:13:50','2023-09-07 08:07:30',NULL);
CREATE TABLE vod_variants (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  vod_id INTEGER NOT NULL,
  kind TEXT NOT NULL DEFAULT 'rendition' CHECK (kind IN ('master','rendition','alternate')),
  format TEXT NOT NULL,
  height INTEGER,
  bitrate_kbps INTEGER,
  file_key TEXT,
  size_bytes INTEGER,
  extra_json TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO "vod_variants" VALUES(1,1,'master','hls',NULL,NULL,'variants/1.m3u8',-1,NULL,'2023-06-29T00:43:14.439Z');
INSERT INTO "vod_variants" VALUES(2,2,'rendition','hls',NULL,800,'variants/2.m3u8',9223372036854775807,'{"egressId": "EG_96c09a57", "title": "1e5", "fps": 29.97, "none": null}','2023-10-21T01:11:01.794Z');
INSERT INTO "vod_variants" VALUES(3,3,'master','hls',360,800,'variants/3.m3u8',2147483648,'{"egressId": "EG_e5b756a5", "title": "Straße", "fps": 29.97, "none": null}','2023-08-01T13:22:24.653Z');
INSERT INTO "vod_variants" VALUES(4,4,'master','hls',360,800,NULL,2147483648,NULL,'2023-09-27T18:32:59.658Z');
INSERT INTO "vod_variants" VALUES(5,5,'master','hls',360,NULL,'variants/5.m3u8',2147483648,NULL,'2023-11-15T06:28:38.455Z');
INSERT INTO "vod_variants" VALUES(6,6,'master','hls',360,NULL,'variants/6.m3u8',0,'{"egressId": "EG_c51cddd7", "title": "NULL", "fps": 29.97, "none": null}','2023-09-20T21:33:08.565Z');
INSERT INTO "vod_variants" VALUES(7,7,'master','hls',NULL,800,'variants/7.m3u8',0,NULL,'2023-05-01T01:46:29.173Z');
INSERT INTO "vod_variants" VALUES(8,8,'master','hls',NULL,800,NULL,9223372036854775807,'{"egressId": "EG_7949a248", "title": "café ñ", "fps": 29.97, "none": null}','2023-10-25T16:48:31.274Z');
INSERT INTO "vod_variants" VALUES(9,9,'rendition','hls',NULL,NULL,'variants/9.m3u8',2147483648,'{"egressId": "EG_4963a18b", "title": "007", "fps": 29.97, "none": null}','2023-05-06T15:26:31.427Z');
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
    CHECK (status IN ('recording','uploading','ready','failed')),
  local_path TEXT,
  started_at TEXT,
  ended_at TEXT,
  metatags_json TEXT,
  snapshot_key TEXT
);
INSERT INTO "vods" VALUES(1,777,NULL,NULL,' stray-app-app.db 1.mp4','recordings/.mp4','s3://bucket/1','https://cdn.example/1?a=1&b=''2''',-1,1.23456789012345670929e+04,1920,720,'hls','recording',NULL,'2023-01-12T10:43:28.025Z','2023-04-28T08:46:52.254Z','{"egressId": "EG_5f8e22fe", "title": "tab\tnew\nline\r", "fps": 29.97, "none": null}','snapshots/1.jpg');
INSERT INTO "vods" VALUES(2,777,'stray-app-app.db/','100% {name} %s \ / ../..','café ñ stray-app-app.db 2.mp4','recordings/007.mp4','s3://bucket/2','https://cdn.example/2?a=1&b=''2''',9223372036854775807,1.0e-300,1280,1080,'mp4','uploading','/data/apps/x/recordings/2.mp4',NULL,'2023-02-09T09:25:19.048Z','{"egressId": "EG_9994d090", "title": "Straße", "fps": 29.97, "none": null}','snapshots/2.jpg');
INSERT INTO "vods" VALUES(3,777,'stray-app-app.db/بث مباشر — שידור חי','','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long  stray-app-app.db 3.mp4',NULL,'s3://bucket/3',NULL,0,1.23456789012345670929e+04,NULL,720,'hls','ready',NULL,'2023-04-11 03:30:20','2023-08-01 05:04:35',NULL,NULL);
INSERT INTO "vods" VALUES(4,777,'stray-app-app.db/NULL',NULL,'tab	new
line stray-app-app.db 4.mp4','recordings/café ñ.mp4','s3://bucket/4','https://cdn.example/4?a=1&b=''2''',NULL,7200.0,NULL,NULL,NULL,'uploading',NULL,NULL,NULL,'{"egressId": "EG_1577c383", "title": "1e5", "fps": 29.97, "none": null}',NULL);
INSERT INTO "vods" VALUES(5,777,'stray-app-app.db/café ñ',NULL,'O''Brien said "yes" `now`; -- DROP TABLE vods stray-app-app.db 5.mp4','recordings/1e5.mp4','s3://bucket/5','https://cdn.example/5?a=1&b=''2''',-1,1.23456789012345670929e+04,1920,1080,'mp4','recording',NULL,NULL,NULL,'{"egressId": "EG_8d5d2f59", "title": "1e5", "fps": 29.97, "none": null}','snapshots/5.jpg');
INSERT INTO "vods" VALUES(6,777,'stray-app-app.db/007',' leading and trailing ','1e5 stray-app-app.db 6.mp4','recordings/long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long .mp4','s3://bucket/6',NULL,6,1.23456789012345670929e+04,NULL,NULL,NULL,'ready','/data/apps/x/recordings/6.mp4','2023-07-07 03:38:46','2023-08-04 12:05:54','{"egressId": "EG_ff71c009", "title": "caf\u00e9 \u00f1", "fps": 29.97, "none": null}',NULL);
INSERT INTO "vods" VALUES(7,777,'stray-app-app.db/café ñ','🎥 Löwenbräu 👩🏽‍🚀','1e5 stray-app-app.db 7.mp4',NULL,'s3://bucket/7','https://cdn.example/7?a=1&b=''2''',2147483648,NULL,NULL,NULL,'hls','uploading','/data/apps/x/recordings/7.mp4',NULL,NULL,'{"egressId": "EG_baca2413", "title": "tab\tnew\nline\r", "fps": 29.97, "none": null}','snapshots/7.jpg');
INSERT INTO "vods" VALUES(8,777,'stray-app-app.db/NULL',NULL,'بث مباشر — שידור חי stray-app-app.db 8.mp4',NULL,NULL,NULL,9007199254740993,1.23456789012345670929e+04,NULL,720,'mp4','failed','/data/apps/x/recordings/8.mp4','2023-01-09 09:19:09',NULL,'{"egressId": "EG_fa2a3575", "title": "caf\u00e9 \u00f1", "fps": 29.97, "none": null}',NULL);
CREATE INDEX idx_streams_status ON streams(status);
CREATE INDEX idx_vods_status ON vods(status);
CREATE INDEX idx_vods_stream ON vods(stream_id);
CREATE INDEX idx_ingress_auth_app ON ingress_auth(app);
CREATE INDEX idx_vods_room ON vods(room);
CREATE INDEX idx_vods_started_at ON vods(started_at);
CREATE INDEX idx_vods_status_started ON vods(status, started_at);
CREATE INDEX idx_streams_room ON streams(room);
CREATE INDEX idx_streams_started_at ON streams(started_at);
CREATE INDEX idx_streams_status_started ON streams(status, started_at);
CREATE INDEX idx_app_plugins_enabled ON app_plugins(enabled);
CREATE INDEX idx_vod_variants_vod ON vod_variants(vod_id);
CREATE INDEX idx_restream_targets_room ON restream_targets(room);
CREATE INDEX idx_restream_targets_egress ON restream_targets(egress_id);
CREATE INDEX idx_restream_targets_status ON restream_targets(status);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('streams',90001);
INSERT INTO "sqlite_sequence" VALUES('vods',90001);
INSERT INTO "sqlite_sequence" VALUES('vod_variants',9);
INSERT INTO "sqlite_sequence" VALUES('restream_targets',9);
COMMIT;
PRAGMA user_version = 7;

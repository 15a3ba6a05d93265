BEGIN TRANSACTION;
CREATE TABLE _litestream_lock (id INTEGER);
CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
INSERT INTO "_litestream_seq" VALUES(1,42);
CREATE TABLE _streamhub_meta (
  key TEXT PRIMARY KEY,
  value TEXT,
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO "_streamhub_meta" VALUES('ingress_import_done','1','2026-11-24 01:36:55');
INSERT INTO "_streamhub_meta" VALUES('vods_import_done','1','2026-11-24 01:36:55');
INSERT INTO "_streamhub_meta" VALUES('global_import_done','1','2026-11-24 01:36:55');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('a0009');
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
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000001','tv-2','🎥 Löwenbräu 👩🏽‍🚀','wsk_814ffa8034afea042e82308f','082eefa072671aef53bf09e34db7071c488c88e844b8bc75da0d32175afe58e4','570f656322665a7c05a91ac37721a269',1,'2024-02-03 04:05:06','2023-04-04T07:32:29.390Z');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000002','tv-2','🎥 Löwenbräu 👩🏽‍🚀',NULL,NULL,NULL,0,NULL,'2023-06-03T01:51:43.049Z');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000003','tv-2','café ñ','wsk_0807facff57f942d583783f6',NULL,NULL,0,'2023-12-03 23:24:44','2023-09-21T10:48:47.892Z');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000004','tv-2',NULL,NULL,NULL,NULL,0,'2023-05-22T23:37:42.349Z','2023-05-30 10:16:44');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000005','tv-2','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','wsk_7c2efd5dde2196ba7e1f6413',NULL,NULL,0,'2023-11-28T08:07:47.215Z','2023-09-18 03:07:48');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000006','tv-2','café ñ','wsk_08543f946d00360463b0143f',NULL,NULL,0,'2023-01-19T01:11:25.921Z','2023-08-12T18:10:07.717Z');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000007','tv-2','O''Brien said "yes" `now`; -- DROP TABLE vods',NULL,'96d6d045a4f05400a2cdb8279b2f4995f411751415531f9b131acf2af6391f4c','6275fc7d8c4c981fca44ba41585ca859',1,NULL,'2023-02-28 09:13:26');
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
INSERT INTO "restream_targets" VALUES(1,'tv-2','🎥 Löwenbräu 👩🏽‍🚀',NULL,' leading and trailing ','custom','rtmp://example/live/e34f042da8e6c401','rtmp://example/live/****',NULL,'failed',NULL,1,'2023-06-10T04:35:28.773Z','2023-01-03 15:20:40');
INSERT INTO "restream_targets" VALUES(2,'tv-2','O''Brien said "yes" `now`; -- DROP TABLE vods','NULL','007','custom','rtmp://example/live/37960ab69c75b0f9','rtmp://example/live/****','EG_2','failed',' leading and trailing ',2,'2023-07-27T08:06:25.623Z','2023-05-02 10:40:34');
INSERT INTO "restream_targets" VALUES(3,'tv-2','بث مباشر — שידור חי','O''Brien said "yes" `now`; -- DROP TABLE vods',NULL,'youtube','rtmp://example/live/d59e7741d3e87045','rtmp://example/live/****','EG_3','stopped','🎥 Löwenbräu 👩🏽‍🚀',0,'2023-09-10T03:47:04.463Z','2023-11-03T02:08:23.450Z');
INSERT INTO "restream_targets" VALUES(4,'tv-2','بث مباشر — שידור חי','café ñ','O''Brien said "yes" `now`; -- DROP TABLE vods','custom','rtmp://example/live/d6703aaf4dc92ee6','rtmp://example/live/****','EG_4','stopped','100% {name} %s \ / ../..',1,'2023-08-16 00:20:55','2023-03-04T16:37:39.639Z');
INSERT INTO "restream_targets" VALUES(5,'tv-2','100% {name} %s \ / ../..','tab	new
line','O''Brien said "yes" `now`; -- DROP TABLE vods','youtube','rtmp://example/live/69e738cf93f053ab','rtmp://example/live/****',NULL,'failed','café ñ',2,'2023-04-20T00:54:51.997Z','2023-07-05 11:48:00');
INSERT INTO "restream_targets" VALUES(6,'tv-2','1e5','NULL','بث مباشر — שידור חי','youtube','rtmp://example/live/6b4ff3480f21bc82','rtmp://example/live/****','EG_6','active',NULL,0,'2023-06-21 02:17:02','2023-08-04 11:19:43');
INSERT INTO "restream_targets" VALUES(7,'tv-2','100% {name} %s \ / ../..','café ñ','بث مباشر — שידור חי','custom','rtmp://example/live/d343f41d8f0124af','rtmp://example/live/****','EG_7','failed',NULL,1,'2023-04-19 05:38:04','2023-07-27 19:40:28');
INSERT INTO "restream_targets" VALUES(8,'tv-2','café ñ',' leading and trailing ','Straße','custom','rtmp://example/live/8396d87583960720','rtmp://example/live/****',NULL,'stopped','Straße',2,'2023-05-22T14:25:27.898Z','2023-12-13 23:03:08');
INSERT INTO "restream_targets" VALUES(9,'tv-2','café ñ','café ñ',NULL,'youtube','rtmp://example/live/0771c9762632ccae','rtmp://example/live/****','EG_9','starting',NULL,0,'2023-11-18 03:45:14','2023-07-07 14:20:27');
CREATE TABLE "streams" (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL,
  stream_id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL CHECK (type IN ('webrtc','rtmp','rtsp','whip','ws-mjpeg')),
  room TEXT,
  participant TEXT,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active','ended')),
  started_at TEXT NOT NULL DEFAULT (datetime('now')),
  ended_at TEXT,
  last_stats_json TEXT
);
INSERT INTO "streams" VALUES(1,2,'tv-2-app.db café ñ/1','ws-mjpeg','tv-2-app.db café ñ','بث مباشر — שידור חי','ended','2023-11-10 18:19:44','2023-10-13 23:36:31','{"egressId": "EG_17e09714", "title": "1e5", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(2,2,'tv-2-app.db 100% {name} %s \ / ../../2','webrtc','tv-2-app.db 100% {name} %s \ / ../..','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','active','2023-01-04 02:37:12',NULL,NULL);
INSERT INTO "streams" VALUES(3,2,'tv-2-app.db café ñ/3','webrtc',NULL,'100% {name} %s \ / ../..','ended','2023-09-07T15:19:05.661Z','2023-02-20T17:40:16.793Z','{"egressId": "EG_046eae51", "title": "tab\tnew\nline\r", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(4,2,'tv-2-app.db /4','rtsp','tv-2-app.db ','','ended','2023-08-09 14:37:53','2023-06-29 14:04:36',NULL);
INSERT INTO "streams" VALUES(5,2,'tv-2-app.db Straße/5','webrtc','tv-2-app.db Straße','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','active','2023-07-18T02:42:28.274Z',NULL,'{"egressId": "EG_3608c4ac", "title": "Straße", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(6,2,'tv-2-app.db tab	new
line/6','webrtc','tv-2-app.db tab	new
line','007','ended','2023-07-06T19:28:37.912Z','2023-03-25T04:01:27.759Z','{"egressId": "EG_4a034873", "title": "cafe\u0301 n\u0303", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(7,2,'tv-2-app.db café ñ/7','whip','tv-2-app.db café ñ','O''Brien said "yes" `now`; -- DROP TABLE vods','active','2023-03-06 13:41:20',NULL,'{"egressId": "EG_852db07f", "title": "O''Brien said \"yes\" `now`; -- DROP TABLE vods", "fps": 29.97, "none": null}');
INSERT INTO "streams" VALUES(8,2,'tv-2-app.db 🎥 Löwenbräu 👩🏽‍🚀/8','webrtc','tv-2-app.db 🎥 Löwenbräu 👩🏽‍🚀','café ñ','ended','2023-09-30 20:42:16','2023-01-05T19:47:39.762Z',NULL);
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
INSERT INTO "vod_variants" VALUES(1,1,'alternate','hls',NULL,NULL,'variants/1.m3u8',0,'{"egressId": "EG_8917ec4d", "title": " leading and trailing ", "fps": 29.97, "none": null}','2023-08-28 22:58:22');
INSERT INTO "vod_variants" VALUES(2,2,'master','hls',360,800,NULL,0,'{"egressId": "EG_e215adb6", "title": "tab\tnew\nline\r", "fps": 29.97, "none": null}','2023-01-11T12:30:48.464Z');
INSERT INTO "vod_variants" VALUES(3,3,'alternate','hls',360,NULL,'variants/3.m3u8',9223372036854775807,'{"egressId": "EG_47b08252", "title": "café ñ", "fps": 29.97, "none": null}','2023-05-05T12:53:45.755Z');
INSERT INTO "vod_variants" VALUES(4,4,'alternate','hls',360,800,'variants/4.m3u8',0,'{"egressId": "EG_f8a610ce", "title": "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ", "fps": 29.97, "none": null}','2023-06-17T22:47:34.625Z');
INSERT INTO "vod_variants" VALUES(5,5,'master','hls',NULL,800,'variants/5.m3u8',9223372036854775807,'{"egressId": "EG_5077e2ce", "title": "\u0628\u062b \u0645\u0628\u0627\u0634\u0631 \u2014 \u05e9\u05d9\u05d3\u05d5\u05e8 \u05d7\u05d9", "fps": 29.97, "none": null}','2023-01-04 15:36:49');
INSERT INTO "vod_variants" VALUES(6,6,'alternate','hls',NULL,800,'variants/6.m3u8',2147483648,'{"egressId": "EG_496a0cd5", "title": "O''Brien said \"yes\" `now`; -- DROP TABLE vods", "fps": 29.97, "none": null}','2023-03-19T23:06:54.744Z');
INSERT INTO "vod_variants" VALUES(7,7,'rendition','hls',360,800,NULL,9223372036854775807,'{"egressId": "EG_3d1c7df6", "title": "007", "fps": 29.97, "none": null}','2023-02-26 18:20:20');
INSERT INTO "vod_variants" VALUES(8,8,'alternate','hls',360,NULL,'variants/8.m3u8',0,'{"egressId": "EG_cc0c37ef", "title": "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ", "fps": 29.97, "none": null}','2023-04-08T17:09:12.040Z');
INSERT INTO "vod_variants" VALUES(9,9,'master','hls',NULL,NULL,'variants/9.m3u8',9007199254740993,'{"egressId": "EG_b7fae3c2", "title": "tab\tnew\nline\r", "fps": 29.97, "none": null}','2023-02-07T20:48:54.384Z');
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
INSERT INTO "vods" VALUES(1,2,'tv-2-app.db/1e5',NULL,'🎥 Löwenbräu 👩🏽‍🚀 tv-2-app.db 1.mp4','recordings/O''Brien said "yes" `now`; -- DROP TABLE vods.mp4','s3://bucket/1',NULL,9007199254740993,1.0e-300,1280,1080,NULL,'uploading','/data/apps/x/recordings/1.mp4','2023-07-30T05:19:39.706Z','2023-05-02T16:46:49.636Z','{"egressId": "EG_7fc32cba", "title": "\u0628\u062b \u0645\u0628\u0627\u0634\u0631 \u2014 \u05e9\u05d9\u05d3\u05d5\u05e8 \u05d7\u05d9", "fps": 29.97, "none": null}',NULL);
INSERT INTO "vods" VALUES(2,2,'tv-2-app.db/Straße','🎥 Löwenbräu 👩🏽‍🚀','بث مباشر — שידור חי tv-2-app.db 2.mp4',NULL,'s3://bucket/2','https://cdn.example/2?a=1&b=''2''',-1,0.1,NULL,1080,NULL,'failed',NULL,'2023-07-02T20:49:19.570Z','2023-01-29 11:39:41','{"egressId": "EG_f558a697", "title": "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ", "fps": 29.97, "none": null}',NULL);
INSERT INTO "vods" VALUES(3,2,'tv-2-app.db/','tab	new
line','007 tv-2-app.db 3.mp4','recordings/café ñ.mp4',NULL,'https://cdn.example/3?a=1&b=''2''',9223372036854775807,0.1,NULL,1080,'mp4','uploading','/data/apps/x/recordings/3.mp4','2023-03-19 18:25:23','2023-05-12T01:18:58.659Z',NULL,NULL);
INSERT INTO "vods" VALUES(4,2,'tv-2-app.db/tab	new
line','🎥 Löwenbräu 👩🏽‍🚀','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long  tv-2-app.db 4.mp4','recordings/Straße.mp4','s3://bucket/4','https://cdn.example/4?a=1&b=''2''',NULL,NULL,NULL,720,'hls','failed','/data/apps/x/recordings/4.mp4','2023-05-24 18:22:38','2023-07-22T11:54:10.333Z',NULL,'snapshots/4.jpg');
INSERT INTO "vods" VALUES(5,2,NULL,'tab	new
line','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long  tv-2-app.db 5.mp4','recordings/007.mp4','s3://bucket/5','https://cdn.example/5?a=1&b=''2''',5,NULL,NULL,NULL,'mp4','failed',NULL,NULL,'2023-03-29T07:32:42.260Z','{"egressId": "EG_619d60d2", "title": "cafe\u0301 n\u0303", "fps": 29.97, "none": null}','snapshots/5.jpg');
INSERT INTO "vods" VALUES(6,2,'tv-2-app.db/tab	new
line','Straße','1e5 tv-2-app.db 6.mp4',NULL,'s3://bucket/6',NULL,-1,0.0,NULL,NULL,NULL,'ready','/data/apps/x/recordings/6.mp4',NULL,NULL,'{"egressId": "EG_46da2922", "title": "007", "fps": 29.97, "none": null}',NULL);
INSERT INTO "vods" VALUES(7,2,'tv-2-app.db/007',NULL,' tv-2-app.db 7.mp4','recordings/بث مباشر — שידור חי.mp4','s3://bucket/7','https://cdn.example/7?a=1&b=''2''',-1,7200.0,NULL,720,'mp4','uploading','/data/apps/x/recordings/7.mp4','2023-09-09T16:55:48.530Z','2023-10-09 12:58:12',NULL,'snapshots/7.jpg');
INSERT INTO "vods" VALUES(8,2,NULL,'long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ',' tv-2-app.db 8.mp4',NULL,NULL,'https://cdn.example/8?a=1&b=''2''',9007199254740993,7200.0,NULL,720,NULL,'recording','/data/apps/x/recordings/8.mp4',NULL,'2023-10-06T15:29:25.458Z',NULL,'snapshots/8.jpg');
CREATE INDEX idx_vods_status ON vods(status);
CREATE INDEX idx_vods_stream ON vods(stream_id);
CREATE INDEX idx_ingress_auth_app ON ingress_auth(app);
CREATE INDEX idx_vods_room ON vods(room);
CREATE INDEX idx_vods_started_at ON vods(started_at);
CREATE INDEX idx_vods_status_started ON vods(status, started_at);
CREATE INDEX idx_app_plugins_enabled ON app_plugins(enabled);
CREATE INDEX idx_vod_variants_vod ON vod_variants(vod_id);
CREATE INDEX idx_restream_targets_room ON restream_targets(room);
CREATE INDEX idx_restream_targets_egress ON restream_targets(egress_id);
CREATE INDEX idx_restream_targets_status ON restream_targets(status);
CREATE INDEX idx_streams_status ON streams(status);
CREATE INDEX idx_streams_room ON streams(room);
CREATE INDEX idx_streams_started_at ON streams(started_at);
CREATE INDEX idx_streams_status_started ON streams(status, started_at);
CREATE INDEX idx_ingress_auth_stream_key ON ingress_auth (stream_key);
CREATE INDEX idx_vods_egress ON vods (json_extract(metatags_json, '$.egressId')) WHERE json_valid(metatags_json);
CREATE INDEX idx_vods_in_progress ON vods (stream_id, status) WHERE status = 'recording';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('streams',90001);
INSERT INTO "sqlite_sequence" VALUES('vods',90001);
INSERT INTO "sqlite_sequence" VALUES('vod_variants',9);
INSERT INTO "sqlite_sequence" VALUES('restream_targets',9);
COMMIT;
PRAGMA user_version = 8;

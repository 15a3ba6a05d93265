BEGIN TRANSACTION;
CREATE TABLE api_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  token_hash TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('global','app')),
  app_id INTEGER REFERENCES apps(id) ON DELETE CASCADE,
  allowed_ips_json TEXT,
  last_used_at TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  revoked INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "api_tokens" VALUES(1,'tab	new
line','619e2e844e6b15e6b3870391b3da9c84b5870566e65271bbeab0d1946c08e1b8','global',NULL,'[]','2023-09-04 11:49:52','2023-11-24T14:52:02.643Z',1);
INSERT INTO "api_tokens" VALUES(2,'','8d31368bf0b2fb18563e6d364075781876569c621e0264d9f0d0a5c03cd464ea','app',1,NULL,'2023-01-15T20:37:41.407Z','2023-05-16 00:18:51',0);
INSERT INTO "api_tokens" VALUES(3,'007','f02987074f6d5e97ac00ab2cd027be87261a4a52afbae2b403aac68fc54f923a','app',2,NULL,NULL,'2023-12-02T22:15:35.285Z',1);
INSERT INTO "api_tokens" VALUES(4,'O''Brien said "yes" `now`; -- DROP TABLE vods','9c3fb11f5bf5e514f49c57daa36ead97967d0f951aa869c814da00e4656f2100','global',NULL,'["10.0.0.0/8", "::1"]','2023-10-15 15:07:26','2023-11-12T07:29:13.776Z',0);
INSERT INTO "api_tokens" VALUES(5,'1e5','64726759783d797c70be952d4625fc7c17faad0094043c95c5ccfd1581d1f975','app',1,NULL,'2023-06-29T07:30:46.468Z','2023-11-22T11:41:53.392Z',1);
INSERT INTO "api_tokens" VALUES(6,'','d71dc4d9ed15237ddee320d3da9577e03562857a718cdd6bd64471aa99cee61e','app',2,'[]','2023-04-09 02:40:57','2023-09-13 02:07:34',0);
CREATE TABLE apps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT,
  livekit_room_prefix TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now')),
  settings_json TEXT
);
INSERT INTO "apps" VALUES(1,'live','Straße','live-','2023-02-24 21:23:23','2023-04-13 14:25:46','{"egressId": "EG_5c7b56b5", "title": "NULL", "fps": 29.97, "none": null}');
INSERT INTO "apps" VALUES(2,'tv-2','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','tv-2-','2023-03-07T10:01:58.848Z','2023-05-12T05:19:00.052Z',NULL);
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
INSERT INTO "ingress_auth" VALUES('wsi_live-ingress_000001','live','1e5',NULL,NULL,NULL,0,'2023-08-04T11:02:48.052Z','2023-01-06 07:05:20');
INSERT INTO "ingress_auth" VALUES('IN_live-ingress_000002','live','tab	new
line','wsk_71c26eb737bf809755eec428',NULL,NULL,0,'2023-10-12T19:38:15.906Z','2023-12-04 19:23:36');
INSERT INTO "ingress_auth" VALUES('wsi_live-ingress_000003','live','007',NULL,'54da7ef22f6535f81ce751e9fbd629a2a38e31f7f9e500524dee8b526056cdcf','608726fd5ccc79cc2ab5ea9e61641544',1,'2023-06-03T05:38:19.946Z','2023-11-26 02:39:49');
INSERT INTO "ingress_auth" VALUES('IN_live-ingress_000004','live','café ñ',NULL,'3d56ae8eb1e3cd073f90fedff4c716eff62958521ae0bfe223f6ace87f2f105a','e4f1ef56ae67d18b41b5c826e8efb4f5',1,'2023-09-15 18:31:00','2023-05-31T17:41:31.032Z');
INSERT INTO "ingress_auth" VALUES('wsi_live-ingress_000005','live','1e5','wsk_29d5ac3fa6348314d1051914','de7020997cf7759f772f31b27a38e5790b3255d72d7678a02a81a86a813b80ac','659b08310b8318745535981778906415',1,'2023-02-20 16:15:48','2023-09-14 11:04:55');
INSERT INTO "ingress_auth" VALUES('IN_live-ingress_000006','live',NULL,'wsk_a8c647a20904237fbe7caafd',NULL,NULL,0,'2023-09-08T04:16:30.957Z','2023-05-21T21:05:42.167Z');
INSERT INTO "ingress_auth" VALUES('wsi_live-ingress_000007','live','بث مباشر — שידור חי','wsk_9829c3258902c80c4f4af78a',NULL,NULL,0,'2023-12-06T20:29:31.608Z','2023-08-27T10:01:23.076Z');
INSERT INTO "ingress_auth" VALUES('IN_live-ingress_000008','live',NULL,'wsk_f60c2b30f3357500a492da26','3e9ab542d5a32dd1cf6baa90d907ac4d079f7d297b364284705df16c187b61f6','b09562eb48b0b5ca3ed00b23a8cd7b93',1,'2023-05-07 16:20:56','2023-03-26 07:08:52');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000001','tv-2','🎥 Löwenbräu 👩🏽‍🚀','wsk_814ffa8034afea042e82308f','082eefa072671aef53bf09e34db7071c488c88e844b8bc75da0d32175afe58e4','570f656322665a7c05a91ac37721a269',1,'2023-10-21T12:09:19.844Z','2023-04-04T07:32:29.390Z');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000002','tv-2','🎥 Löwenbräu 👩🏽‍🚀',NULL,NULL,NULL,0,NULL,'2023-06-03T01:51:43.049Z');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000003','tv-2','café ñ','wsk_0807facff57f942d583783f6',NULL,NULL,0,'2023-12-03 23:24:44','2023-09-21T10:48:47.892Z');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000004','tv-2',NULL,NULL,NULL,NULL,0,'2023-05-22T23:37:42.349Z','2023-05-30 10:16:44');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000005','tv-2','long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ','wsk_7c2efd5dde2196ba7e1f6413',NULL,NULL,0,'2023-11-28T08:07:47.215Z','2023-09-18 03:07:48');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000006','tv-2','café ñ','wsk_08543f946d00360463b0143f',NULL,NULL,0,'2023-01-19T01:11:25.921Z','2023-08-12T18:10:07.717Z');
INSERT INTO "ingress_auth" VALUES('wsi_tv-2-ingress_000007','tv-2','O''Brien said "yes" `now`; -- DROP TABLE vods',NULL,'96d6d045a4f05400a2cdb8279b2f4995f411751415531f9b131acf2af6391f4c','6275fc7d8c4c981fca44ba41585ca859',1,NULL,'2023-02-28 09:13:26');
INSERT INTO "ingress_auth" VALUES('IN_tv-2-ingress_000008','tv-2','100% {name} %s \ / ../..','wsk_33322903ccd47d024a372423','ef76b9286175a9408a6eb42736a624ae1e167ecc573440cd649f27c4bd721051','5485e023ebcba4672d81c7f3236a56b4',1,'2023-06-22 21:32:48','2023-09-03 15:59:38');
INSERT INTO "ingress_auth" VALUES('IN_orphans_000000','Ghost App',' leading and trailing ','wsk_81a17cbe2a8af8171ace4cd2',NULL,NULL,0,'2023-11-10 00:45:44','2023-12-08T20:48:59.400Z');
INSERT INTO "ingress_auth" VALUES('wsi_orphans_000001','Ghost App','NULL','wsk_b31dbb94db5af9f6ed5dbe00',NULL,NULL,0,'2023-09-05 06:59:24','2023-09-21 17:43:48');
INSERT INTO "ingress_auth" VALUES('IN_orphans_000002','Ghost App',NULL,'wsk_9bef86efb81554b75a44bac1',NULL,NULL,0,'2023-07-11T20:42:04.213Z','2023-10-30 22:52:53');
INSERT INTO "ingress_auth" VALUES('wsi_orphans_000003','Ghost App','café ñ','wsk_9b49b1d36e6e948cbbe2fe19','742217fb374a6852247c98c42185f88558a9932de3cb3fd9c7bb1af467a8e73d','311371303563003f38df8cbc92205d99',1,'2023-08-26T10:38:54.891Z','2023-08-20T02:51:17.169Z');
CREATE TABLE server_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ts TEXT NOT NULL DEFAULT (datetime('now')),
  level TEXT NOT NULL,
  source TEXT,
  app_id INTEGER REFERENCES apps(id) ON DELETE SET NULL,
  message TEXT NOT NULL,
  meta_json TEXT
);
INSERT INTO "server_logs" VALUES(1,'2023-12-12T03:22:40.080Z','warn','ingest',NULL,'O''Brien said "yes" `now`; -- DROP TABLE vods','{"egressId": "EG_2841055f", "title": "NULL", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(2,'2023-02-25T20:42:33.578Z','warn','ingest',1,'O''Brien said "yes" `now`; -- DROP TABLE vods','{"egressId": "EG_f867d243", "title": "caf\u00e9 \u00f1", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(3,'2023-01-27T05:24:28.537Z','error','ingest',2,'Straße','{"egressId": "EG_5461ab2b", "title": "007", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(4,'2023-03-17 02:21:29','info','ingest',NULL,'Straße','{"egressId": "EG_f7bfd6af", "title": "café ñ", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(5,'2023-09-07T20:34:01.432Z','error','ingest',1,'007','{"egressId": "EG_9c7e6674", "title": "", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(6,'2023-05-27T02:06:39.207Z','info','ingest',2,'O''Brien said "yes" `now`; -- DROP TABLE vods','{"egressId": "EG_2af089ff", "title": "\u0628\u062b \u0645\u0628\u0627\u0634\u0631 \u2014 \u05e9\u05d9\u05d3\u05d5\u05e8 \u05d7\u05d9", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(7,'2023-07-19T19:59:42.706Z','warn','ingest',NULL,'100% {name} %s \ / ../..','{"egressId": "EG_65c06d04", "title": "Stra\u00dfe", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(8,'2023-06-02T02:34:59.882Z','warn','ingest',1,'007','{"egressId": "EG_794e0b14", "title": "NULL", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(9,'2023-04-25T20:37:03.395Z','info','ingest',2,'🎥 Löwenbräu 👩🏽‍🚀',NULL);
INSERT INTO "server_logs" VALUES(10,'2023-09-02 12:52:43','info','ingest',NULL,'007',NULL);
INSERT INTO "server_logs" VALUES(11,'2023-04-17 19:19:46','warn',NULL,1,'O''Brien said "yes" `now`; -- DROP TABLE vods','{"egressId": "EG_49604631", "title": "100% {name} %s \\ / ../..", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(12,'2023-12-07 19:03:52','error','ingest',2,'🎥 Löwenbräu 👩🏽‍🚀','{"egressId": "EG_a109626c", "title": "007", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(13,'2023-03-08T01:25:27.639Z','error','ingest',NULL,'café ñ','{"egressId": "EG_5e3cd04d", "title": "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(14,'2023-08-29T17:42:32.662Z','info','ingest',1,'café ñ','{"egressId": "EG_78f5b23d", "title": "", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(15,'2023-01-13 21:00:29','warn','ingest',2,'100% {name} %s \ / ../..','{"egressId": "EG_71e8ba88", "title": "", "fps": 29.97, "none": null}');
INSERT INTO "server_logs" VALUES(16,'2023-10-04 11:53:06','warn','ingest',NULL,' leading and trailing ','{"egressId": "EG_3e26f893", "title": "", "fps": 29.97, "none": null}');
CREATE INDEX idx_api_tokens_hash ON api_tokens(token_hash);
CREATE INDEX idx_server_logs_ts ON server_logs(ts);
CREATE INDEX idx_server_logs_app_level ON server_logs(app_id, level);
CREATE INDEX idx_ingress_auth_app ON ingress_auth(app);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('apps',500);
INSERT INTO "sqlite_sequence" VALUES('api_tokens',6);
INSERT INTO "sqlite_sequence" VALUES('server_logs',16);
COMMIT;
PRAGMA user_version = 4;

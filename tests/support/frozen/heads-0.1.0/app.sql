BEGIN TRANSACTION;
CREATE TABLE _streamhub_meta (
	"key" TEXT, 
	value TEXT, 
	updated_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT pk__streamhub_meta PRIMARY KEY ("key")
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('a0009');
CREATE TABLE app_plugins (
	plugin_id TEXT, 
	enabled INTEGER DEFAULT 1 NOT NULL, 
	config_json TEXT, 
	installed_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	updated_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT pk_app_plugins PRIMARY KEY (plugin_id)
);
CREATE TABLE ingress_auth (
	ingress_id TEXT, 
	app TEXT NOT NULL, 
	room TEXT, 
	stream_key TEXT, 
	password_hash TEXT, 
	password_salt TEXT, 
	requires_password INTEGER DEFAULT 0 NOT NULL, 
	validated_at TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT pk_ingress_auth PRIMARY KEY (ingress_id)
);
CREATE TABLE restream_targets (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	app TEXT NOT NULL, 
	room TEXT NOT NULL, 
	stream_id TEXT, 
	name TEXT, 
	platform TEXT DEFAULT 'custom' NOT NULL, 
	url TEXT NOT NULL, 
	url_masked TEXT NOT NULL, 
	egress_id TEXT, 
	status TEXT DEFAULT 'starting' NOT NULL, 
	error TEXT, 
	retries INTEGER DEFAULT 0 NOT NULL, 
	started_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	ended_at TEXT, 
	CONSTRAINT ck_restream_targets_status CHECK (status IN ('starting', 'active', 'failed', 'stopped'))
);
CREATE TABLE "streams" (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	app_id INTEGER NOT NULL, 
	stream_id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	room TEXT, 
	participant TEXT, 
	status TEXT DEFAULT 'active' NOT NULL, 
	started_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	ended_at TEXT, 
	last_stats_json TEXT, 
	CONSTRAINT uq_streams_stream_id UNIQUE (stream_id), 
	CONSTRAINT ck_streams_type CHECK (type IN ('webrtc', 'rtmp', 'rtsp', 'whip', 'ws-mjpeg')), 
	CONSTRAINT ck_streams_status CHECK (status IN ('active', 'ended'))
);
CREATE TABLE vod_variants (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	vod_id INTEGER NOT NULL, 
	kind TEXT DEFAULT 'rendition' NOT NULL, 
	format TEXT NOT NULL, 
	height INTEGER, 
	bitrate_kbps INTEGER, 
	file_key TEXT, 
	size_bytes INTEGER, 
	extra_json TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT ck_vod_variants_kind CHECK (kind IN ('master', 'rendition', 'alternate'))
);
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
	status TEXT DEFAULT 'recording' NOT NULL, 
	local_path TEXT, 
	started_at TEXT, 
	ended_at TEXT, 
	metatags_json TEXT, 
	snapshot_key TEXT, 
	CONSTRAINT ck_vods_status CHECK (status IN ('recording', 'uploading', 'ready', 'failed'))
);
CREATE INDEX idx_vods_status ON vods (status);
CREATE INDEX idx_vods_stream ON vods (stream_id);
CREATE INDEX idx_ingress_auth_app ON ingress_auth (app);
CREATE INDEX idx_vods_room ON vods (room);
CREATE INDEX idx_vods_started_at ON vods (started_at);
CREATE INDEX idx_vods_status_started ON vods (status, started_at);
CREATE INDEX idx_app_plugins_enabled ON app_plugins (enabled);
CREATE INDEX idx_vod_variants_vod ON vod_variants (vod_id);
CREATE INDEX idx_restream_targets_room ON restream_targets (room);
CREATE INDEX idx_restream_targets_egress ON restream_targets (egress_id);
CREATE INDEX idx_restream_targets_status ON restream_targets (status);
CREATE INDEX idx_streams_status ON streams (status);
CREATE INDEX idx_streams_room ON streams (room);
CREATE INDEX idx_streams_started_at ON streams (started_at);
CREATE INDEX idx_streams_status_started ON streams (status, started_at);
CREATE INDEX idx_ingress_auth_stream_key ON ingress_auth (stream_key);
CREATE INDEX idx_vods_egress ON vods (json_extract(metatags_json, '$.egressId')) WHERE json_valid(metatags_json);
CREATE INDEX idx_vods_in_progress ON vods (stream_id, status) WHERE status = 'recording';
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA user_version = 8;

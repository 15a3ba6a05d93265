-- The SQL by which the Node core made its files, written from the schema reference alone.
--
-- A name is that of a table which several steps share, or says what the part is:
--   app N, global N                a step, as PRAGMA user_version counts them
--   addition NAME STEP [NEEDS...]  made at run time, on a file of that step that has all it needs

-- name: streams
CREATE TABLE IF NOT EXISTS streams (
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
CREATE INDEX IF NOT EXISTS idx_streams_status ON streams(status);

-- name: vods
CREATE TABLE IF NOT EXISTS vods (
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
CREATE INDEX IF NOT EXISTS idx_vods_status ON vods(status);
CREATE INDEX IF NOT EXISTS idx_vods_stream ON vods(stream_id);

-- name: ingress_auth
CREATE TABLE IF NOT EXISTS ingress_auth (
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
CREATE INDEX IF NOT EXISTS idx_ingress_auth_app ON ingress_auth(app);

-- name: _streamhub_meta
CREATE TABLE IF NOT EXISTS _streamhub_meta (
  key TEXT PRIMARY KEY,
  value TEXT,
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);

-- name: app 4
CREATE INDEX IF NOT EXISTS idx_vods_room ON vods(room);
CREATE INDEX IF NOT EXISTS idx_vods_started_at ON vods(started_at);
CREATE INDEX IF NOT EXISTS idx_vods_status_started ON vods(status, started_at);
CREATE INDEX IF NOT EXISTS idx_streams_room ON streams(room);
CREATE INDEX IF NOT EXISTS idx_streams_started_at ON streams(started_at);
CREATE INDEX IF NOT EXISTS idx_streams_status_started ON streams(status, started_at);

-- name: app 5
CREATE TABLE IF NOT EXISTS app_plugins (
  plugin_id TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL DEFAULT 1,
  config_json TEXT,
  installed_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_app_plugins_enabled ON app_plugins(enabled);

-- name: app 6
CREATE TABLE IF NOT EXISTS vod_variants (
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
CREATE INDEX IF NOT EXISTS idx_vod_variants_vod ON vod_variants(vod_id);

-- name: app 7
CREATE TABLE IF NOT EXISTS restream_targets (
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
CREATE INDEX IF NOT EXISTS idx_restream_targets_room ON restream_targets(room);
CREATE INDEX IF NOT EXISTS idx_restream_targets_egress ON restream_targets(egress_id);
CREATE INDEX IF NOT EXISTS idx_restream_targets_status ON restream_targets(status);

-- name: app 8
CREATE TABLE streams_new (
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
INSERT INTO streams_new SELECT id, app_id, stream_id, type, room, participant, status,
  started_at, ended_at, last_stats_json FROM streams;
DROP TABLE streams;
ALTER TABLE streams_new RENAME TO streams;
CREATE INDEX IF NOT EXISTS idx_streams_status ON streams(status);
CREATE INDEX IF NOT EXISTS idx_streams_room ON streams(room);
CREATE INDEX IF NOT EXISTS idx_streams_started_at ON streams(started_at);
CREATE INDEX IF NOT EXISTS idx_streams_status_started ON streams(status, started_at);

-- name: global 1
CREATE TABLE IF NOT EXISTS apps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT,
  livekit_room_prefix TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now')),
  settings_json TEXT
);

-- name: global 2
CREATE TABLE IF NOT EXISTS api_tokens (
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
CREATE INDEX IF NOT EXISTS idx_api_tokens_hash ON api_tokens(token_hash);

-- name: global 3
CREATE TABLE IF NOT EXISTS server_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ts TEXT NOT NULL DEFAULT (datetime('now')),
  level TEXT NOT NULL,
  source TEXT,
  app_id INTEGER REFERENCES apps(id) ON DELETE SET NULL,
  message TEXT NOT NULL,
  meta_json TEXT
);
CREATE INDEX IF NOT EXISTS idx_server_logs_ts ON server_logs(ts);
CREATE INDEX IF NOT EXISTS idx_server_logs_app_level ON server_logs(app_id, level);

-- name: global 5
CREATE TABLE IF NOT EXISTS tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  plan TEXT NOT NULL DEFAULT 'free',
  created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  email TEXT,
  is_superadmin INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_users_email ON users(email);
CREATE TABLE IF NOT EXISTS memberships (
  user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  tenant_id TEXT NOT NULL REFERENCES tenants(id) ON DELETE CASCADE,
  role TEXT NOT NULL DEFAULT 'viewer' CHECK (role IN ('owner','editor','viewer')),
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX IF NOT EXISTS idx_memberships_tenant ON memberships(tenant_id);
CREATE TABLE IF NOT EXISTS quotas (
  tenant_id TEXT PRIMARY KEY REFERENCES tenants(id) ON DELETE CASCADE,
  max_apps INTEGER NOT NULL DEFAULT 2,
  max_concurrent_streams INTEGER NOT NULL DEFAULT 2,
  max_recording_minutes_month INTEGER NOT NULL DEFAULT 300,
  max_egress_gb_month INTEGER NOT NULL DEFAULT 5,
  max_storage_gb INTEGER NOT NULL DEFAULT 5
);

-- name: global 6
INSERT OR IGNORE INTO tenants (id, name, plan) VALUES ('platform', 'Platform', 'platform');
INSERT OR IGNORE INTO quotas VALUES ('platform', 100000, 100000, 100000000, 100000, 100000);

-- name: global 7
CREATE TABLE IF NOT EXISTS nodes (
  id TEXT PRIMARY KEY,
  name TEXT,
  url TEXT,
  region TEXT,
  status TEXT NOT NULL DEFAULT 'unknown',
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  last_seen_at TEXT
);

-- name: global 8
CREATE INDEX IF NOT EXISTS idx_api_tokens_app ON api_tokens(app_id);
CREATE INDEX IF NOT EXISTS idx_server_logs_app_ts ON server_logs(app_id, ts);

-- name: addition apps.tenant_id 1
ALTER TABLE apps ADD COLUMN tenant_id TEXT DEFAULT 'platform';

-- name: addition api_tokens.tenant_id 2
ALTER TABLE api_tokens ADD COLUMN tenant_id TEXT DEFAULT 'platform';

-- name: addition apps.node_id 1
ALTER TABLE apps ADD COLUMN node_id TEXT;

-- name: addition nodes.stats_json 7
ALTER TABLE nodes ADD COLUMN stats_json TEXT;

-- name: addition tenancy_backfill 2 apps.tenant_id api_tokens.tenant_id
UPDATE apps SET tenant_id = 'platform' WHERE tenant_id IS NULL;
UPDATE api_tokens SET tenant_id = 'platform' WHERE tenant_id IS NULL;
UPDATE api_tokens SET tenant_id = (SELECT a.tenant_id FROM apps a WHERE a.id = api_tokens.app_id)
 WHERE scope = 'app' AND app_id IN (SELECT id FROM apps);
CREATE INDEX IF NOT EXISTS idx_apps_tenant ON apps(tenant_id);
CREATE INDEX IF NOT EXISTS idx_api_tokens_tenant ON api_tokens(tenant_id);

-- name: addition users.password_hash 5
ALTER TABLE users ADD COLUMN password_hash TEXT;

-- name: addition users.status 5
ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'active';

-- name: addition users.name 5
ALTER TABLE users ADD COLUMN name TEXT;

-- name: addition users.totp_secret 5
ALTER TABLE users ADD COLUMN totp_secret TEXT;

-- name: addition users.totp_pending_secret 5
ALTER TABLE users ADD COLUMN totp_pending_secret TEXT;

-- name: addition users.totp_enabled 5
ALTER TABLE users ADD COLUMN totp_enabled INTEGER NOT NULL DEFAULT 0;

-- name: addition sessions 0
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  email TEXT,
  ip TEXT,
  user_agent TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  last_seen TEXT,
  revoked_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_sessions_user ON sessions(user_id);

-- name: addition magic_tokens 0
CREATE TABLE IF NOT EXISTS magic_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  request_ip TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  expires_at TEXT NOT NULL,
  used INTEGER NOT NULL DEFAULT 0,
  used_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_magic_tokens_email ON magic_tokens(email);
CREATE INDEX IF NOT EXISTS idx_magic_tokens_created ON magic_tokens(created_at);

-- name: addition magic_tokens.kind 0 magic_tokens
ALTER TABLE magic_tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'login';

-- name: addition ip_bans 0
CREATE TABLE IF NOT EXISTS ip_bans (
  ip TEXT PRIMARY KEY,
  reason TEXT NOT NULL,
  first_seen TEXT NOT NULL,
  offense_count INTEGER NOT NULL DEFAULT 0,
  banned_until TEXT NOT NULL,
  escalation_level INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_ip_bans_until ON ip_bans(banned_until);

-- name: addition ip_rules 0
CREATE TABLE IF NOT EXISTS ip_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  cidr TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('allow','block')),
  note TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  created_by TEXT
);
CREATE INDEX IF NOT EXISTS idx_ip_rules_action ON ip_rules(action);

-- name: password_resets
CREATE TABLE IF NOT EXISTS password_resets (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash TEXT NOT NULL UNIQUE,
  user_id    TEXT NOT NULL,
  email      TEXT NOT NULL,
  request_ip TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  expires_at TEXT NOT NULL,
  used       INTEGER NOT NULL DEFAULT 0,
  used_at    TEXT
);
CREATE INDEX IF NOT EXISTS idx_password_resets_email ON password_resets(email);
CREATE INDEX IF NOT EXISTS idx_password_resets_created ON password_resets(created_at);

-- name: litestream
CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
CREATE TABLE _litestream_lock (id INTEGER);
INSERT INTO _litestream_seq VALUES (1, 42);

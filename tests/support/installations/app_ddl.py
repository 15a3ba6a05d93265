"""The SQL of `apps/<app>/app.db` and of the legacy `vods.db`, as the Node core made them."""

from __future__ import annotations

from typing import Final

STREAMS: Final = """
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
"""

VODS: Final = """
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
"""

INGRESS_AUTH: Final = """
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
"""

META: Final = """
CREATE TABLE IF NOT EXISTS _streamhub_meta (
  key TEXT PRIMARY KEY,
  value TEXT,
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
"""

APP_STEPS: Final[dict[int, str]] = {
    1: STREAMS,
    2: VODS,
    3: INGRESS_AUTH + META,
    4: """
CREATE INDEX IF NOT EXISTS idx_vods_room ON vods(room);
CREATE INDEX IF NOT EXISTS idx_vods_started_at ON vods(started_at);
CREATE INDEX IF NOT EXISTS idx_vods_status_started ON vods(status, started_at);
CREATE INDEX IF NOT EXISTS idx_streams_room ON streams(room);
CREATE INDEX IF NOT EXISTS idx_streams_started_at ON streams(started_at);
CREATE INDEX IF NOT EXISTS idx_streams_status_started ON streams(status, started_at);
""",
    5: """
CREATE TABLE IF NOT EXISTS app_plugins (
  plugin_id TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL DEFAULT 1,
  config_json TEXT,
  installed_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_app_plugins_enabled ON app_plugins(enabled);
""",
    6: """
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
""",
    7: """
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
""",
    8: """
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
""",
}

VODS_DB_STEPS: Final[dict[int, str]] = {1: STREAMS, 2: VODS}
"""The legacy per-app `vods.db`."""

VODS_DB_LATE_COLUMNS: Final = ("metatags_json", "snapshot_key")
"""Columns that older `vods.db` files lack, in any combination."""

-- Statements by which the Node core works: those of its own, and such as the tables must refuse.

-- name: app
INSERT INTO streams (app_id, stream_id, type, room, participant)
  VALUES (1, 'core room/cam', 'ws-mjpeg', 'core room', 'cam')
ON CONFLICT(stream_id) DO UPDATE SET status = 'active', ended_at = NULL,
  type = CASE WHEN streams.type IN ('rtmp','whip','rtsp','ws-mjpeg') AND excluded.type = 'webrtc'
              THEN streams.type ELSE excluded.type END;
INSERT INTO streams (app_id, stream_id, type, room, participant)
  VALUES (1, 'core room/cam', 'webrtc', 'core room', 'cam')
ON CONFLICT(stream_id) DO UPDATE SET status = 'active', ended_at = NULL,
  type = CASE WHEN streams.type IN ('rtmp','whip','rtsp','ws-mjpeg') AND excluded.type = 'webrtc'
              THEN streams.type ELSE excluded.type END;
UPDATE streams SET status = 'ended', ended_at = datetime('now') WHERE stream_id = 'core room/cam';
INSERT INTO vods (app_id, stream_id, room, name, started_at, metatags_json)
  VALUES (1, 'core room/cam', 'core room', 'a.mp4', '2024-01-01T00:00:00.000Z', '{"egressId":"E"}');
UPDATE vods SET status = 'ready', size_bytes = 1099511627776, duration_s = 1.5, snapshot_key = 's.jpg'
  WHERE json_extract(metatags_json, '$.egressId') = 'E';
INSERT INTO ingress_auth (ingress_id, app, room, stream_key, requires_password)
  VALUES ('wsi_core', 'live', 'core room', 'wsk_x', 0);
INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES ('core', '1');
INSERT OR REPLACE INTO app_plugins (plugin_id, enabled) VALUES ('core', 1);
INSERT INTO vod_variants (vod_id, kind, format) VALUES (1, 'master', 'hls');
INSERT INTO restream_targets (app, room, url, url_masked)
  VALUES ('live', 'core room', 'rtmp://x/y', 'rtmp://x/*');

-- name: global
INSERT INTO apps (name, display_name) VALUES ('core-app', 'Core');
INSERT INTO api_tokens (name, token_hash, scope, app_id)
  VALUES ('core', '0000000000000000000000000000000000000000000000000000000000000000', 'app', 1);
INSERT INTO server_logs (level, source, app_id, message) VALUES ('info', 'core', NULL, 'hello');
INSERT INTO ingress_auth (ingress_id, app, stream_key) VALUES ('wsi_core', 'core-app', 'wsk_x');
INSERT INTO users (id, email, password_hash) VALUES ('core', 'c@d.example', 'x');
INSERT INTO memberships (user_id, tenant_id, role) VALUES ('core', 'platform', 'owner');
INSERT INTO nodes (id, name, stats_json) VALUES ('core', 'n', '{}');
INSERT INTO sessions (id, user_id) VALUES ('core', 'core');
INSERT INTO magic_tokens (token_hash, email, expires_at, kind)
  VALUES ('core', 'c@d.example', '2024-01-01T00:00:00.000Z', 'invite');
INSERT INTO ip_bans (ip, reason, first_seen, banned_until)
  VALUES ('198.51.100.7', 'core', '2024-01-01T00:00:00.000Z', '2024-01-02T00:00:00.000Z');
INSERT INTO ip_rules (cidr, action) VALUES ('198.51.100.0/24', 'block');
DELETE FROM users WHERE id = 'core';
INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES ('core', '1');

-- name: refused by app
INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'x', 'carrier-pigeon');
INSERT INTO streams (app_id, stream_id, type, status) VALUES (1, 'x', 'whip', 'unsure');
INSERT INTO vods (app_id, name, status) VALUES (1, 'x', 'lost');
INSERT INTO vods (app_id) VALUES (1);
INSERT INTO vod_variants (vod_id, kind, format) VALUES (1, 'other', 'hls');
INSERT INTO restream_targets (app, room, url, url_masked, status) VALUES ('a', 'b', 'c', 'd', 'e');

-- name: refused by global
INSERT INTO api_tokens (name, token_hash, scope) VALUES ('x', 'x', 'world');
INSERT INTO api_tokens (name, token_hash, scope, app_id) VALUES ('x', 'x', 'app', 987654);
INSERT INTO memberships (user_id, tenant_id, role) VALUES ('x', 'platform', 'owner');
INSERT INTO ip_rules (cidr, action) VALUES ('x', 'shrug');
INSERT INTO apps (name) SELECT name FROM apps LIMIT 1;

"""The SQL of the global database, as the Node core made it: numbered steps, run-time additions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .app_ddl import INGRESS_AUTH, META, STREAMS, VODS

GLOBAL_STEPS: Final[dict[int, str]] = {
    1: """
CREATE TABLE IF NOT EXISTS apps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT,
  livekit_room_prefix TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now')),
  settings_json TEXT
);
""",
    2: """
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
""",
    3: """
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
""",
    4: INGRESS_AUTH,
    5: """
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
""",
    6: """
INSERT OR IGNORE INTO tenants (id, name, plan) VALUES ('platform', 'Platform', 'platform');
INSERT OR IGNORE INTO quotas VALUES ('platform', 100000, 100000, 100000000, 100000, 100000);
""",
    7: """
CREATE TABLE IF NOT EXISTS nodes (
  id TEXT PRIMARY KEY,
  name TEXT,
  url TEXT,
  region TEXT,
  status TEXT NOT NULL DEFAULT 'unknown',
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  last_seen_at TEXT
);
"""
    + META,
    8: """
CREATE INDEX IF NOT EXISTS idx_api_tokens_app ON api_tokens(app_id);
CREATE INDEX IF NOT EXISTS idx_server_logs_app_ts ON server_logs(app_id, ts);
""",
}

GLOBAL_MONOLITH: Final[dict[str, str]] = {"streams": STREAMS, "vods": VODS}
"""Tables that the oldest global databases held themselves."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What the core adds at run time, the step it builds on, and the additions it builds on."""

    sql: str
    step: int
    needs: tuple[str, ...] = ()


GLOBAL_RUNTIME: Final[dict[str, Addition]] = {
    "apps.tenant_id": Addition("ALTER TABLE apps ADD COLUMN tenant_id TEXT DEFAULT 'platform';", 1),
    "api_tokens.tenant_id": Addition(
        "ALTER TABLE api_tokens ADD COLUMN tenant_id TEXT DEFAULT 'platform';", 2
    ),
    "apps.node_id": Addition("ALTER TABLE apps ADD COLUMN node_id TEXT;", 1),
    "nodes.stats_json": Addition("ALTER TABLE nodes ADD COLUMN stats_json TEXT;", 7),
    "tenancy_backfill": Addition(
        """
UPDATE apps SET tenant_id = 'platform' WHERE tenant_id IS NULL;
UPDATE api_tokens SET tenant_id = 'platform' WHERE tenant_id IS NULL;
UPDATE api_tokens SET tenant_id = (SELECT a.tenant_id FROM apps a WHERE a.id = api_tokens.app_id)
 WHERE scope = 'app' AND app_id IN (SELECT id FROM apps);
CREATE INDEX IF NOT EXISTS idx_apps_tenant ON apps(tenant_id);
CREATE INDEX IF NOT EXISTS idx_api_tokens_tenant ON api_tokens(tenant_id);
""",
        2,
        ("apps.tenant_id", "api_tokens.tenant_id"),
    ),
    "users.password_hash": Addition("ALTER TABLE users ADD COLUMN password_hash TEXT;", 5),
    "users.status": Addition(
        "ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'active';", 5
    ),
    "users.name": Addition("ALTER TABLE users ADD COLUMN name TEXT;", 5),
    "users.totp_secret": Addition("ALTER TABLE users ADD COLUMN totp_secret TEXT;", 5),
    "users.totp_pending_secret": Addition(
        "ALTER TABLE users ADD COLUMN totp_pending_secret TEXT;", 5
    ),
    "users.totp_enabled": Addition(
        "ALTER TABLE users ADD COLUMN totp_enabled INTEGER NOT NULL DEFAULT 0;", 5
    ),
    "sessions": Addition(
        """
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
""",
        0,
    ),
    "magic_tokens": Addition(
        """
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
""",
        0,
    ),
    "magic_tokens.kind": Addition(
        "ALTER TABLE magic_tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'login';",
        0,
        ("magic_tokens",),
    ),
    "ip_bans": Addition(
        """
CREATE TABLE IF NOT EXISTS ip_bans (
  ip TEXT PRIMARY KEY,
  reason TEXT NOT NULL,
  first_seen TEXT NOT NULL,
  offense_count INTEGER NOT NULL DEFAULT 0,
  banned_until TEXT NOT NULL,
  escalation_level INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_ip_bans_until ON ip_bans(banned_until);
""",
        0,
    ),
    "ip_rules": Addition(
        """
CREATE TABLE IF NOT EXISTS ip_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  cidr TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('allow','block')),
  note TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  created_by TEXT
);
CREATE INDEX IF NOT EXISTS idx_ip_rules_action ON ip_rules(action);
""",
        0,
    ),
}

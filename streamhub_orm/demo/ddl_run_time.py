"""What the Node core adds to a global database at run time, beside the counted steps.

`PRAGMA user_version` does not count these, and they occur in any combination.
"""

from __future__ import annotations

from typing import Final

TENANCY: Final = """
ALTER TABLE apps ADD COLUMN tenant_id TEXT DEFAULT 'platform';
ALTER TABLE api_tokens ADD COLUMN tenant_id TEXT DEFAULT 'platform';
CREATE INDEX idx_apps_tenant ON apps(tenant_id);
CREATE INDEX idx_api_tokens_tenant ON api_tokens(tenant_id);
"""
CLUSTER: Final = """
ALTER TABLE apps ADD COLUMN node_id TEXT;
ALTER TABLE nodes ADD COLUMN stats_json TEXT;
"""
ACCOUNTS: Final = """
ALTER TABLE users ADD COLUMN password_hash TEXT;
ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
ALTER TABLE users ADD COLUMN name TEXT;
ALTER TABLE users ADD COLUMN totp_secret TEXT;
ALTER TABLE users ADD COLUMN totp_pending_secret TEXT;
ALTER TABLE users ADD COLUMN totp_enabled INTEGER NOT NULL DEFAULT 0;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    email TEXT,
    ip TEXT,
    user_agent TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_seen TEXT,
    revoked_at TEXT
);
CREATE INDEX idx_sessions_user ON sessions(user_id);
CREATE TABLE magic_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    request_ip TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    expires_at TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    used_at TEXT
);
CREATE INDEX idx_magic_tokens_email ON magic_tokens(email);
CREATE INDEX idx_magic_tokens_created ON magic_tokens(created_at);
ALTER TABLE magic_tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'login';
"""
FIREWALL: Final = """
CREATE TABLE ip_bans (
    ip TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    offense_count INTEGER NOT NULL DEFAULT 0,
    banned_until TEXT NOT NULL,
    escalation_level INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_ip_bans_until ON ip_bans(banned_until);
CREATE TABLE ip_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cidr TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('allow', 'block')),
    note TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    created_by TEXT
);
CREATE INDEX idx_ip_rules_action ON ip_rules(action);
"""

ALL: Final = (TENANCY, CLUSTER, ACCOUNTS, FIREWALL)

BEGIN;

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT,
    livekit_room_prefix TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    updated_at TEXT NOT NULL DEFAULT (datetime('now')),
    settings_json TEXT
, tenant_id TEXT DEFAULT 'platform', node_id TEXT);
CREATE INDEX idx_apps_tenant ON apps(tenant_id);
INSERT INTO apps VALUES
    (1, 'live', 'Größe & Töne 🎥', 'live-', '2024-01-31 19:30:00', '2024-03-01 19:30:00', '{"recording": true}', 'platform', NULL),
    (2, 'studio-2', '東京スタジオ', 'studio-2-', '2024-01-31 20:30:00', '2024-03-01 20:30:00', '{"recording": true}', 'acme', 'origin');

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
CREATE INDEX idx_api_tokens_app ON api_tokens(app_id);
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
CREATE INDEX idx_server_logs_app_ts ON server_logs(app_id, ts);
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

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL DEFAULT 'free',
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO tenants VALUES
    ('platform', 'Platform', 'platform', '2025-02-01 08:00:00'),
    ('acme', 'Ácme Média', 'pro', '2024-03-01 19:30:00');

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT,
    is_superadmin INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
, password_hash TEXT, status TEXT NOT NULL DEFAULT 'active', name TEXT, totp_secret TEXT, totp_pending_secret TEXT, totp_enabled INTEGER NOT NULL DEFAULT 0);
CREATE INDEX idx_users_email ON users(email);
INSERT INTO users VALUES
    ('usr_00000001', 'admin@example.org', 1, '2024-03-01 19:30:00', 'scrypt$32768$8$1$5d20c1b7e94f8a3306f2d4170bc8a95e$81b004547a67dea010d3b65edfe8e5ffb92017484d0aa8af853cdb8fa8a661b4898bc4a8f07f55ab1653797ce4e157eaa0f424ee730c8299dac305c25c1dd199', 'active', 'Åsa Ødegård', NULL, NULL, 0),
    ('usr_00000002', 'Wang@example.org', 0, '2024-03-01 20:30:00', 'scrypt$32768$8$1$5d20c1b7e94f8a3306f2d4170bc8a95e$81b004547a67dea010d3b65edfe8e5ffb92017484d0aa8af853cdb8fa8a661b4898bc4a8f07f55ab1653797ce4e157eaa0f424ee730c8299dac305c25c1dd199', 'active', '王小明', NULL, NULL, 0);

CREATE TABLE memberships (
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL REFERENCES tenants(id) ON DELETE CASCADE,
    role TEXT NOT NULL DEFAULT 'viewer' CHECK (role IN ('owner', 'editor', 'viewer')),
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX idx_memberships_tenant ON memberships(tenant_id);
INSERT INTO memberships VALUES
    ('usr_00000001', 'platform', 'owner', '2024-03-01 20:30:00'),
    ('usr_00000002', 'acme', 'editor', '2024-03-01 20:30:00');

CREATE TABLE quotas (
    tenant_id TEXT PRIMARY KEY REFERENCES tenants(id) ON DELETE CASCADE,
    max_apps INTEGER NOT NULL DEFAULT 2,
    max_concurrent_streams INTEGER NOT NULL DEFAULT 2,
    max_recording_minutes_month INTEGER NOT NULL DEFAULT 300,
    max_egress_gb_month INTEGER NOT NULL DEFAULT 5,
    max_storage_gb INTEGER NOT NULL DEFAULT 5
);
INSERT INTO quotas VALUES
    ('platform', 100000, 100000, 100000000, 100000, 100000),
    ('acme', 10, 2, 300, 5, -1);

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT,
    url TEXT,
    region TEXT,
    status TEXT NOT NULL DEFAULT 'unknown',
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_seen_at TEXT
, stats_json TEXT);
INSERT INTO nodes VALUES
    ('origin', 'origin', 'https://origin.example', 'origin', 'active', '2024-03-01 19:30:00', '2024-03-02 04:30:00', '{"cpu": 0.25}');

CREATE TABLE _streamhub_meta (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO _streamhub_meta VALUES
    ('per_app_split_done', '1', '2025-02-03 10:11:13');

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
INSERT INTO sessions VALUES
    ('ses_00000001', 'usr_00000001', 'admin@example.org', '192.0.2.10', 'Mozilla/5.0', '2024-03-02T02:30:00.137Z', '2024-03-02T03:30:00.137Z', NULL);

CREATE TABLE magic_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    request_ip TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    expires_at TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    used_at TEXT
, kind TEXT NOT NULL DEFAULT 'login');
CREATE INDEX idx_magic_tokens_email ON magic_tokens(email);
CREATE INDEX idx_magic_tokens_created ON magic_tokens(created_at);
INSERT INTO magic_tokens VALUES
    (1, 'c7f285947d016e0207c8aaf4d368736f9f9d7410b753b9e85ec062bc0118ff6b', 'Wang@example.org', '192.0.2.11', '2024-03-02T02:30:00.137Z', '2024-03-02T02:45:00.137Z', 1, '2024-03-02 02:36:00', 'login');

CREATE TABLE ip_bans (
    ip TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    offense_count INTEGER NOT NULL DEFAULT 0,
    banned_until TEXT NOT NULL,
    escalation_level INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_ip_bans_until ON ip_bans(banned_until);
INSERT INTO ip_bans VALUES
    ('203.0.113.7', 'too many log-ins', '2024-03-01T20:30:00.137Z', 3, '2024-03-02T20:30:00.137Z', 1);

CREATE TABLE ip_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cidr TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('allow', 'block')),
    note TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    created_by TEXT
);
CREATE INDEX idx_ip_rules_action ON ip_rules(action);
INSERT INTO ip_rules VALUES
    (1, '198.51.100.0/24', 'allow', 'Büro', '2024-03-01 20:30:00', 'admin@example.org');

PRAGMA user_version = 8;
COMMIT;

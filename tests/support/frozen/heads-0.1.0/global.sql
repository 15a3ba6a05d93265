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
INSERT INTO "alembic_version" VALUES('g0014');
CREATE TABLE api_tokens (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	token_hash TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	app_id INTEGER, 
	allowed_ips_json TEXT, 
	last_used_at TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	revoked INTEGER DEFAULT 0 NOT NULL, tenant_id TEXT DEFAULT 'platform', 
	CONSTRAINT ck_api_tokens_scope CHECK (scope IN ('global', 'app')), 
	CONSTRAINT fk_api_tokens_app_id_apps FOREIGN KEY(app_id) REFERENCES apps (id) ON DELETE CASCADE
);
CREATE TABLE apps (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	display_name TEXT, 
	livekit_room_prefix TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	updated_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	settings_json TEXT, tenant_id TEXT DEFAULT 'platform', node_id TEXT, 
	CONSTRAINT uq_apps_name UNIQUE (name)
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
CREATE TABLE ip_bans (
	ip TEXT, 
	reason TEXT NOT NULL, 
	first_seen TEXT NOT NULL, 
	offense_count INTEGER DEFAULT 0 NOT NULL, 
	banned_until TEXT NOT NULL, 
	escalation_level INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_ip_bans PRIMARY KEY (ip)
);
CREATE TABLE ip_rules (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	cidr TEXT NOT NULL, 
	action TEXT NOT NULL, 
	note TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	created_by TEXT, 
	CONSTRAINT ck_ip_rules_action CHECK (action IN ('allow', 'block'))
);
CREATE TABLE magic_tokens (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	token_hash TEXT NOT NULL, 
	email TEXT NOT NULL, 
	request_ip TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	expires_at TEXT NOT NULL, 
	used INTEGER DEFAULT 0 NOT NULL, 
	used_at TEXT, 
	kind TEXT DEFAULT 'login' NOT NULL, 
	CONSTRAINT uq_magic_tokens_token_hash UNIQUE (token_hash)
);
CREATE TABLE memberships (
	user_id TEXT NOT NULL, 
	tenant_id TEXT NOT NULL, 
	role TEXT DEFAULT 'viewer' NOT NULL, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT pk_memberships PRIMARY KEY (user_id, tenant_id), 
	CONSTRAINT ck_memberships_role CHECK (role IN ('owner', 'editor', 'viewer')), 
	CONSTRAINT fk_memberships_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_memberships_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE TABLE nodes (
	id TEXT, 
	name TEXT, 
	url TEXT, 
	region TEXT, 
	status TEXT DEFAULT 'unknown' NOT NULL, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	last_seen_at TEXT, stats_json TEXT, 
	CONSTRAINT pk_nodes PRIMARY KEY (id)
);
CREATE TABLE quotas (
	tenant_id TEXT, 
	max_apps INTEGER DEFAULT 2 NOT NULL, 
	max_concurrent_streams INTEGER DEFAULT 2 NOT NULL, 
	max_recording_minutes_month INTEGER DEFAULT 300 NOT NULL, 
	max_egress_gb_month INTEGER DEFAULT 5 NOT NULL, 
	max_storage_gb INTEGER DEFAULT 5 NOT NULL, 
	CONSTRAINT pk_quotas PRIMARY KEY (tenant_id), 
	CONSTRAINT fk_quotas_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
INSERT INTO "quotas" VALUES('platform',100000,100000,100000000,100000,100000);
CREATE TABLE server_logs (
	id INTEGER PRIMARY KEY AUTOINCREMENT, 
	ts TEXT DEFAULT (datetime('now')) NOT NULL, 
	level TEXT NOT NULL, 
	source TEXT, 
	app_id INTEGER, 
	message TEXT NOT NULL, 
	meta_json TEXT, 
	CONSTRAINT fk_server_logs_app_id_apps FOREIGN KEY(app_id) REFERENCES apps (id) ON DELETE SET NULL
);
CREATE TABLE sessions (
	id TEXT, 
	user_id TEXT NOT NULL, 
	email TEXT, 
	ip TEXT, 
	user_agent TEXT, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	last_seen TEXT, 
	revoked_at TEXT, 
	CONSTRAINT pk_sessions PRIMARY KEY (id)
);
CREATE TABLE tenants (
	id TEXT, 
	name TEXT NOT NULL, 
	"plan" TEXT DEFAULT 'free' NOT NULL, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, 
	CONSTRAINT pk_tenants PRIMARY KEY (id)
);
INSERT INTO "tenants" VALUES('platform','Platform','platform','(now)');
CREATE TABLE users (
	id TEXT, 
	email TEXT, 
	is_superadmin INTEGER DEFAULT 0 NOT NULL, 
	created_at TEXT DEFAULT (datetime('now')) NOT NULL, password_hash TEXT, status TEXT DEFAULT 'active' NOT NULL, name TEXT, totp_secret TEXT, totp_pending_secret TEXT, totp_enabled INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id)
);
CREATE INDEX idx_api_tokens_hash ON api_tokens (token_hash);
CREATE INDEX idx_server_logs_ts ON server_logs (ts);
CREATE INDEX idx_server_logs_app_level ON server_logs (app_id, level);
CREATE INDEX idx_ingress_auth_app ON ingress_auth (app);
CREATE INDEX idx_users_email ON users (email);
CREATE INDEX idx_memberships_tenant ON memberships (tenant_id);
CREATE INDEX idx_api_tokens_app ON api_tokens (app_id);
CREATE INDEX idx_server_logs_app_ts ON server_logs (app_id, ts);
CREATE INDEX idx_apps_tenant ON apps (tenant_id);
CREATE INDEX idx_api_tokens_tenant ON api_tokens (tenant_id);
CREATE INDEX idx_sessions_user ON sessions (user_id);
CREATE INDEX idx_magic_tokens_email ON magic_tokens (email);
CREATE INDEX idx_magic_tokens_created ON magic_tokens (created_at);
CREATE INDEX idx_ip_bans_until ON ip_bans (banned_until);
CREATE INDEX idx_ip_rules_action ON ip_rules (action);
CREATE INDEX idx_users_email_nocase ON users (email COLLATE NOCASE);
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA user_version = 8;

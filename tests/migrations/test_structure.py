"""The drift check: every difference in structure is found and named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import AppBase
from streamhub_orm.global_db import GlobalBase
from streamhub_orm.migrations.structure import Drift
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from tests.migrations.built import at_head, drift_by, drift_of
from tests.support.installations.ddl import APP_STEPS, GLOBAL_RUNTIME, GLOBAL_STEPS, apply_runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

WORLDS = {"global": GLOBAL, "app": APP}
BASES = {"global": GlobalBase, "app": AppBase}


@pytest.mark.parametrize("name", WORLDS)
def test_tables_made_from_the_models_equal_the_head_of_their_history(
    tmp_path: Path, name: str
) -> None:
    """create_all and the history build the same structure, and nothing beyond it."""
    path = tmp_path / "models.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    BASES[name].metadata.create_all(engine)
    engine.dispose()
    assert drift_of(path, WORLDS[name]) == Drift()


@pytest.mark.parametrize("name", WORLDS)
def test_database_of_the_history_itself_shows_no_drift(tmp_path: Path, name: str) -> None:
    """The template compared with the structure at head differs in nothing."""
    assert drift_of(at_head(tmp_path / "head.db", WORLDS[name]), WORLDS[name]) == Drift()


@pytest.mark.parametrize("name", WORLDS)
def test_database_of_the_node_core_equals_the_parity_revision(tmp_path: Path, name: str) -> None:
    """The Node core's own SQL, with unnamed constraints and keys written inline, is no drift."""
    path = tmp_path / "node.db"
    steps = {"global": GLOBAL_STEPS, "app": APP_STEPS}[name]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("".join(steps.values()))
        apply_runtime(connection, GLOBAL_RUNTIME if name == "global" else ())
    assert drift_of(path, WORLDS[name], WORLDS[name].parity) == Drift()


KEY_TO_APPS = "FOREIGN KEY(app_id) REFERENCES apps (id) ON DELETE CASCADE"
STREAM_TYPES = "type IN ('webrtc', 'rtmp', 'rtsp', 'whip', 'ws-mjpeg')"
ID_OF_STREAMS = '"streams" (\n\tid INTEGER PRIMARY KEY AUTOINCREMENT'

DRIFTS = {
    "column type": (GLOBAL, "display_name TEXT", "display_name BLOB", "apps.display_name"),
    "column without a type": (APP, "duration_s REAL", "duration_s", "vods.duration_s"),
    "NOT NULL gone": (GLOBAL, "cidr TEXT NOT NULL", "cidr TEXT", "ip_rules.cidr"),
    "NOT NULL come": (GLOBAL, "note TEXT", "note TEXT NOT NULL", "ip_rules.note"),
    "text default": (GLOBAL, "DEFAULT 'free'", "DEFAULT 'Free'", "tenants.plan"),
    "number default": (GLOBAL, "DEFAULT 300", "DEFAULT 30", "quotas.max_recording_minutes_month"),
    "computed default": (GLOBAL, "ts TEXT DEFAULT (datetime(", "ts TEXT DEFAULT (date(", ".ts"),
    "default gone": (GLOBAL, "role TEXT DEFAULT 'viewer'", "role TEXT", "memberships.role"),
    "default come": (APP, "snapshot_key TEXT", "snapshot_key TEXT DEFAULT ''", ".snapshot_key"),
    "ON DELETE": (GLOBAL, KEY_TO_APPS, KEY_TO_APPS.replace("CASCADE", "SET NULL"), "foreign keys"),
    "ON DELETE gone": (GLOBAL, KEY_TO_APPS, KEY_TO_APPS[:-18], "foreign keys of table api_tokens"),
    "ON UPDATE come": (GLOBAL, KEY_TO_APPS, KEY_TO_APPS + " ON UPDATE CASCADE", "foreign keys"),
    "key's target": (GLOBAL, KEY_TO_APPS, KEY_TO_APPS.replace("apps", "users"), "foreign keys"),
    "key's target column": (GLOBAL, "apps (id) ON", "apps (name) ON", "foreign keys"),
    "CHECK widened": (GLOBAL, "IN ('global', 'app')", "IN ('global', 'app', 'all')", "CHECK"),
    "CHECK narrowed": (APP, STREAM_TYPES, STREAM_TYPES.replace(", 'ws-mjpeg'", ""), "CHECK"),
    "case of a literal": (APP, STREAM_TYPES, STREAM_TYPES.replace("'rtsp'", "'RTSP'"), "CHECK"),
    "CHECK gone": (APP, f", \n\tCONSTRAINT ck_streams_type CHECK ({STREAM_TYPES})", "", "CHECK"),
    "CHECK come": (
        APP,
        "vod_id INTEGER NOT NULL",
        "vod_id INTEGER NOT NULL CHECK (vod_id)",
        "CHECK",
    ),
    "UNIQUE gone": (
        GLOBAL,
        ", \n\tCONSTRAINT uq_apps_name UNIQUE (name)",
        "",
        "UNIQUE of table apps",
    ),
    "UNIQUE come": (
        GLOBAL,
        "token_hash TEXT NOT NULL",
        "token_hash TEXT NOT NULL UNIQUE",
        "UNIQUE",
    ),
    "UNIQUE widened": (
        APP,
        "UNIQUE (stream_id)",
        "UNIQUE (stream_id, room)",
        "UNIQUE of table streams",
    ),
    "AUTOINCREMENT": (APP, ID_OF_STREAMS, ID_OF_STREAMS[:-14], "AUTOINCREMENT of table streams"),
    "primary key gone": (GLOBAL, "CONSTRAINT pk_nodes PRIMARY KEY (id)", "CHECK (1)", "nodes"),
    "key's order": (GLOBAL, "KEY (user_id, tenant_id)", "KEY (tenant_id, user_id)", "memberships"),
    "COLLATE of a column": (GLOBAL, "email TEXT", "email TEXT COLLATE NOCASE", "users.email"),
    "generated column": (APP, "height INTEGER", "height INTEGER AS (1)", "height"),
    "table option": (
        GLOBAL,
        "CHECK (action IN ('allow', 'block'))\n)",
        "CHECK (action IN ('allow', 'block'))\n) STRICT",
        "options of table ip_rules",
    ),
    "index column": (
        APP,
        "ON streams (room)",
        "ON streams (participant)",
        "index idx_streams_room",
    ),
    "order of the columns": (
        APP,
        "vods (status, started_at)",
        "vods (started_at, status)",
        "idx_vods",
    ),
    "index order": (
        APP,
        "ON vods (started_at)",
        "ON vods (started_at DESC)",
        "idx_vods_started_at",
    ),
    "index of another table": (
        APP,
        "ON streams (room)",
        "ON vods (room)",
        "index idx_streams_room",
    ),
    "UNIQUE of an index": (
        GLOBAL,
        "CREATE INDEX idx_users_email ON",
        "CREATE UNIQUE INDEX idx_users_email ON",
        "idx_users_email",
    ),
    "COLLATE of an index": (GLOBAL, "(email COLLATE NOCASE)", "(email)", "idx_users_email_nocase"),
    "WHERE of an index": (
        APP,
        "WHERE status IN ('recording', 'uploading')",
        "WHERE status = 'ready'",
        "idx_vods_stream_in",
    ),
    "WHERE gone": (APP, " WHERE json_valid(metatags_json)", "", "index idx_vods_egress"),
    "path of an expression": (APP, "'$.egressId'", "'$.egressid'", "index idx_vods_egress"),
}


@pytest.mark.parametrize(("world", "old", "new", "named"), DRIFTS.values(), ids=DRIFTS)
def test_drift_of_one_clause_is_found_and_named(
    tmp_path: Path, world: World, old: str, new: str, named: str
) -> None:
    """Where one clause of one statement differs, the one thing that it belongs to is named."""
    drift = drift_by(tmp_path / "drifted.db", world, (old, new))
    assert drift.lines()
    assert all(named in line for line in drift.lines()), drift.lines()


MISSING = {
    "table": (
        APP,
        "DROP TABLE app_plugins",
        ["table app_plugins", "index idx_app_plugins_enabled"],
    ),
    "column": (GLOBAL, "ALTER TABLE users DROP totp_secret", ["column users.totp_secret"]),
    "index": (APP, "DROP INDEX idx_vods_stream_in_progress", ["index idx_vods_stream_in_progress"]),
    "renamed index": (
        APP,
        "DROP INDEX idx_vods_room; CREATE INDEX vods_by_room ON vods (room)",
        ["index idx_vods_room"],
    ),
}


@pytest.mark.parametrize(("world", "script", "named"), MISSING.values(), ids=MISSING)
def test_drift_of_what_is_missing_is_found_and_named(
    tmp_path: Path, world: World, script: str, named: list[str]
) -> None:
    """A table, column or index that is not there is missing, under its own name."""
    drift = drift_of(at_head(tmp_path / "lacking.db", world, script), world)
    assert drift.lines() == [f"{thing} is missing" for thing in named]
    assert not drift.conflicts


CLAUSES = {
    "ON CONFLICT of UNIQUE": (APP, "UNIQUE (stream_id)", "UNIQUE (stream_id) ON CONFLICT REPLACE"),
    "ON CONFLICT of NOT NULL": (APP, "name TEXT NOT NULL", "name TEXT NOT NULL ON CONFLICT IGNORE"),
    "DEFERRABLE": (GLOBAL, KEY_TO_APPS, f"{KEY_TO_APPS} DEFERRABLE INITIALLY DEFERRED"),
}


@pytest.mark.parametrize(("world", "old", "new"), CLAUSES.values(), ids=CLAUSES)
def test_drift_of_what_happens_to_a_row_that_is_refused_is_found(
    tmp_path: Path, world: World, old: str, new: str
) -> None:
    """A constraint that replaces or drops rows instead of refusing them is another constraint."""
    assert drift_by(tmp_path / "drifted.db", world, (old, new)).lines()

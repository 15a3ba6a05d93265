"""What is no drift: other spellings of the same structure, and what an operator added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.migrations.structure import Drift
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from tests.migrations.built import at_head, drift_by, drift_of
from tests.support.installations.ddl import GLOBAL_MONOLITH, LITESTREAM, PASSWORD_RESETS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

KEY_TO_APPS = "FOREIGN KEY(app_id) REFERENCES apps (id) ON DELETE CASCADE"
STREAM_TYPES = "type IN ('webrtc', 'rtmp', 'rtsp', 'whip', 'ws-mjpeg')"

NO_DRIFTS = {
    "constraint names": (
        GLOBAL,
        [("CONSTRAINT uq_apps_name ", ""), ("ck_ip_rules_action", "mine")],
    ),
    "quoted names": (
        GLOBAL,
        [("CREATE TABLE apps (", 'CREATE TABLE "apps" ('), ("(scope IN", '("scope" IN')],
    ),
    "brackets and backticks": (
        APP,
        [("room TEXT", "[room] TEXT"), ("(plugin_id)", "(`plugin_id`)")],
    ),
    "whitespace": (
        APP,
        [(" IN ('active', 'ended')", "\tIN('active','ended' )"), ("room TEXT", "room\n TEXT")],
    ),
    "comments": (
        APP,
        [("room TEXT, ", "room TEXT, -- where (it) is\n"), ("vods (room)", "vods (/*)*/ room)")],
    ),
    "case": (
        APP,
        [
            ("CREATE TABLE vods", "create table VODS"),
            ("name TEXT NOT NULL", "Name text not null"),
            ("status IN ('rec", "STATUS in ('rec"),
        ],
    ),
    "order of an IN list": (
        APP,
        [(STREAM_TYPES, "type IN ('ws-mjpeg', 'whip', 'webrtc', 'rtmp', 'rtsp')")],
    ),
    "parentheses": (
        APP,
        [(f"({STREAM_TYPES})", f"(({STREAM_TYPES}))"), ("DEFAULT 1 NOT", "DEFAULT (1) NOT")],
    ),
    "key without its column": (GLOBAL, [("REFERENCES apps (id)", "REFERENCES apps")]),
    "key written inline": (
        GLOBAL,
        [
            (
                "app_id INTEGER, \n\tallowed",
                "app_id INTEGER REFERENCES apps ON DELETE CASCADE, \n\tallowed",
            ),
            (", \n\tCONSTRAINT fk_api_tokens_app_id_apps " + KEY_TO_APPS, ""),
        ],
    ),
    "default of NULL": (APP, [("snapshot_key TEXT", "snapshot_key TEXT DEFAULT NULL")]),
    "order of the columns": (
        APP,
        [("\tfile_key TEXT, \n\ts3_url TEXT, ", "\ts3_url TEXT, \n\tfile_key TEXT, ")],
    ),
    "NOT NULL of a key": (
        GLOBAL,
        [("CREATE TABLE nodes (\n\tid TEXT", "CREATE TABLE nodes (\n\tid TEXT NOT NULL")],
    ),
}


@pytest.mark.parametrize(("world", "edits"), NO_DRIFTS.values(), ids=NO_DRIFTS)
def test_other_spelling_of_the_same_structure_is_no_drift(
    tmp_path: Path, world: World, edits: list[tuple[str, str]]
) -> None:
    """Two spellings of one clause mean the same to SQLite and compare as equal."""
    assert drift_by(tmp_path / "spelled.db", world, *edits) == Drift()


def test_key_that_names_its_table_in_capitals_without_a_column_is_no_drift(tmp_path: Path) -> None:
    """`REFERENCES APPS` means the key of the table apps, as any other case of its name does."""
    edit = ("REFERENCES apps (id)", "REFERENCES APPS")
    assert drift_by(tmp_path / "spelled.db", GLOBAL, edit) == Drift()


OPERATORS_OWN = {
    "table": ("CREATE TABLE billing (id INTEGER PRIMARY KEY, app TEXT UNIQUE)", ["table billing"]),
    "column": ("ALTER TABLE apps ADD owner TEXT DEFAULT 'x'", ["column apps.owner"]),
    "column with CHECK": (
        "ALTER TABLE apps ADD size INTEGER CHECK (size > 0)",
        ["column apps.size"],
    ),
    "column with a key": (
        "ALTER TABLE apps ADD seller TEXT REFERENCES users(id) ON DELETE SET NULL",
        ["column apps.seller"],
    ),
    "generated column": (
        "ALTER TABLE apps ADD label TEXT AS (upper(name))",
        ["column apps.label"],
    ),
    "index": ("CREATE INDEX mine ON apps (display_name)", ["index mine"]),
    "unique index": ("CREATE UNIQUE INDEX mine ON users (email) WHERE email <> ''", ["index mine"]),
    "trigger": (
        "CREATE TRIGGER mine AFTER DELETE ON apps BEGIN DELETE FROM nodes; END",
        ["trigger mine"],
    ),
    "view": ("CREATE VIEW mine AS SELECT name FROM apps", ["view mine"]),
    "replication": (
        LITESTREAM,
        ["table _litestream_lock", "table _litestream_seq"],
    ),
    "statistics": ("ANALYZE", []),
    "password resets": (PASSWORD_RESETS, []),
    "monolith tables": (
        "".join(GLOBAL_MONOLITH.values()),
        [],
    ),
}


@pytest.mark.parametrize(("script", "extras"), OPERATORS_OWN.values(), ids=OPERATORS_OWN)
def test_what_is_not_ours_is_reported_and_no_drift(
    tmp_path: Path, script: str, extras: list[str]
) -> None:
    """Tables, columns, indices and triggers of others are extras; legacy tables not even that."""
    drift = drift_of(at_head(tmp_path / "own.db", GLOBAL, script), GLOBAL)
    assert drift == Drift(extras=extras)


def test_virtual_table_of_an_operator_is_reported_and_no_drift(tmp_path: Path) -> None:
    """A full-text table is an extra with its shadow tables, and stops no comparison."""
    script = "CREATE VIRTUAL TABLE search USING fts5(name)"
    drift = drift_of(at_head(tmp_path / "own.db", APP, script), APP)
    assert not drift.lines()
    assert "table search" in drift.extras
    assert all("search" in extra for extra in drift.extras)

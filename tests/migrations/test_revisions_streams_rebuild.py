"""Revision a0008, which rebuilds streams, on tables as operators have them."""

from __future__ import annotations

import importlib.util
import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

REVISION = Path(__file__).parents[2] / "alembic_app" / "versions" / "a0008_streams_ws_mjpeg.py"

PLAIN = """CREATE TABLE streams (
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
)"""

ODD = """CREATE TABLE [Streams]( -- type IN ('webrtc', 'rtmp') is not the CHECK
  "id" integer primary key AUTOINCREMENT,
  `app_id` INTEGER NOT NULL, "stream_id" TEXT NOT NULL UNIQUE,
  "type" TEXT NOT NULL DEFAULT 'webrtc'
    check( /* old ( */ ( "TYPE"
       in ("webrtc" , 'rtmp', -- RTMP (push)
           'rtsp','whip'
       ) ) AND length(type) < 20 ),
  room TEXT, participant TEXT CHECK (participant NOT IN ('it''s type IN (''webrtc'')', '(')),
  status TEXT NOT NULL DEFAULT 'active' CHECK(status IN ('active','ended')),
  started_at TEXT NOT NULL DEFAULT (datetime('now')), ended_at TEXT, last_stats_json TEXT,
  "my ""own"" note" TEXT DEFAULT 'a:b, c' COLLATE NOCASE,
  tag TEXT GENERATED ALWAYS AS (room || ':' || participant) VIRTUAL
)"""

COLUMNS = "id, app_id, stream_id, type, room, participant, status, started_at, ended_at"

BELONGINGS = """
CREATE TABLE audit (what TEXT);
CREATE INDEX idx_streams_status ON streams(status);
CREATE UNIQUE INDEX "own: index" ON "streams" (room COLLATE NOCASE DESC, id) WHERE room <> ':x';
CREATE TRIGGER own_trigger AFTER DELETE ON streams BEGIN
  INSERT INTO audit VALUES ('gone: ' || old.stream_id || strftime(' %H:%M', '2026-01-01 10:20'));
END;
CREATE VIEW live AS SELECT id, room FROM streams WHERE status = 'active';
CREATE TRIGGER other_trigger AFTER INSERT ON audit WHEN new.what = 'end' BEGIN
  UPDATE streams SET status = 'ended';
END;
CREATE TABLE notes (stream INTEGER REFERENCES streams(id) ON DELETE CASCADE);
"""


@pytest.fixture
def revision() -> ModuleType:
    spec = importlib.util.spec_from_file_location("a0008", REVISION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as connection:
        yield connection


def run(database: sqlite3.Connection, step: Any) -> None:  # noqa: ANN401 - a module's function
    """Run a step as the environment does: in one transaction, with foreign keys off."""
    engine = sa.create_engine("sqlite://", creator=lambda: database, poolclass=sa.StaticPool)
    database.execute("PRAGMA foreign_keys = OFF")
    with engine.connect() as connection:
        database.execute("BEGIN IMMEDIATE")
        try:
            with Operations.context(MigrationContext.configure(connection)):
                step()
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def fill(database: sqlite3.Connection, *, kept: bool = True) -> None:
    """Write three rows and delete the one with the highest id, or all of them."""
    for number, kind in enumerate(("webrtc", "rtmp", "whip"), start=1):
        database.execute(
            "INSERT INTO streams (id, app_id, stream_id, type, room, participant) "
            "VALUES (?, 1, ?, ?, 'r' || ?, 'p')",
            (number * 10, f"s{number}", kind, number),
        )
    database.execute("DELETE FROM streams WHERE id = 30 OR NOT ?", (kept,))


def dump(database: sqlite3.Connection) -> list[Any]:
    return database.execute(f"SELECT {COLUMNS} FROM streams ORDER BY id").fetchall()


def schema(database: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    """Every object but the table streams itself."""
    found = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {row for row in found if row[:2] not in {("table", "streams"), ("table", "Streams")}}


def table_sql(database: sqlite3.Connection) -> str:
    statement = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = 'streams'"
    sql: str = database.execute(statement).fetchone()[0]
    return sql


def next_id(database: sqlite3.Connection) -> int | None:
    cursor = database.execute(
        "INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'next', 'rtsp')"
    )
    return cursor.lastrowid


def accepts(database: sqlite3.Connection, kind: str) -> bool:
    statement = "INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'probe', ?)"
    database.execute("SAVEPOINT probe")
    try:
        database.execute(statement, (kind,))
    except sqlite3.IntegrityError:
        return False
    else:
        return True
    finally:
        database.execute("ROLLBACK TO probe")
        database.execute("RELEASE probe")


@pytest.fixture(params=[PLAIN, ODD], ids=["plain", "odd"])
def field(request: pytest.FixtureRequest, database: sqlite3.Connection) -> sqlite3.Connection:
    """Give a file from the field with what an operator may have added."""
    database.execute(request.param)
    database.executescript(BELONGINGS)
    return database


def test_upgrade_allows_the_new_type_and_no_other(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """ws-mjpeg is refused before and taken after; what was refused otherwise still is."""
    assert not accepts(field, "ws-mjpeg")
    run(field, revision.upgrade)
    assert all(accepts(field, kind) for kind in ("webrtc", "rtmp", "rtsp", "whip", "ws-mjpeg"))
    assert not accepts(field, "srt")
    with pytest.raises(sqlite3.IntegrityError):
        field.execute(
            "INSERT INTO streams (app_id, stream_id, type, status) VALUES (1, 'x', 'rtmp', 'odd')"
        )


def test_both_directions_keep_every_row_and_id(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """Rows are the same, in the same ids, after the upgrade and after the downgrade."""
    fill(field)
    before = dump(field)
    assert len(before) == 2
    run(field, revision.upgrade)
    assert dump(field) == before
    run(field, revision.downgrade)
    assert dump(field) == before


@pytest.mark.parametrize("kept", [True, False])
def test_both_directions_never_reuse_an_id(
    field: sqlite3.Connection, revision: ModuleType, *, kept: bool
) -> None:
    """The sequence is carried over, also where no row is left to tell it."""
    fill(field, kept=kept)
    run(field, revision.upgrade)
    assert next_id(field) == 31
    field.execute("DELETE FROM streams WHERE id = 31")
    run(field, revision.downgrade)
    assert next_id(field) == 32
    sequence = field.execute("SELECT count(*) FROM sqlite_sequence").fetchone()[0]
    assert sequence == 1


def test_upgrade_works_on_a_table_that_never_had_a_row(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """Without a row there is no sequence yet; the first id is 1."""
    run(field, revision.upgrade)
    assert next_id(field) == 1


def test_indices_triggers_and_views_come_through_verbatim(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """All other objects have the very text that they had, in both directions."""
    fill(field)
    before = schema(field)
    assert {"own: index", "own_trigger", "live", "other_trigger"} < {name for _, name, _ in before}
    run(field, revision.upgrade)
    assert schema(field) == before
    run(field, revision.downgrade)
    assert schema(field) == before


def test_indices_triggers_and_views_work_afterwards(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """They speak of the new table, not of the one that is gone; foreign keys do as well."""
    fill(field)
    run(field, revision.upgrade)
    field.execute("PRAGMA foreign_keys = ON")
    field.execute("INSERT INTO notes VALUES (10), (20)")
    field.execute("DELETE FROM streams WHERE id = 10")
    assert field.execute("SELECT * FROM notes").fetchall() == [(20,)]
    assert field.execute("SELECT what FROM audit").fetchall()[-1] == ("gone: s1 10:20",)
    assert field.execute("SELECT * FROM live").fetchall() == [(20, "r2")]
    field.execute("INSERT INTO audit VALUES ('end')")
    assert field.execute("SELECT status FROM streams").fetchall() == [("ended",)]
    assert field.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_nothing_fires_while_the_table_is_rebuilt(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """Copying rows is no event: no trigger runs and no child row is deleted."""
    fill(field)
    field.execute("DELETE FROM audit")
    field.execute("INSERT INTO notes VALUES (10), (20)")
    run(field, revision.upgrade)
    run(field, revision.downgrade)
    assert field.execute("SELECT * FROM audit").fetchall() == []
    assert field.execute("SELECT * FROM notes").fetchall() == [(10,), (20,)]


def test_text_of_the_table_changes_in_the_list_alone(
    database: sqlite3.Connection, revision: ModuleType
) -> None:
    """Comments, quotes, extra columns and the operator's words stay where they were."""
    database.execute(ODD)
    # The rename puts the table's name in double quotes; the rest is as it was written.
    original = table_sql(database).replace("[Streams]", '"Streams"')
    run(database, revision.upgrade)
    widened = table_sql(database)
    assert widened.replace(", 'ws-mjpeg'", "") == original
    assert widened.count("ws-mjpeg") == 1
    run(database, revision.downgrade)
    assert table_sql(database) == original


def test_extra_columns_keep_their_values(
    database: sqlite3.Connection, revision: ModuleType
) -> None:
    """An operator's column is copied, with its default and collation; a generated one computes."""
    database.execute(ODD)
    fill(database)
    database.execute("""UPDATE streams SET "my ""own"" note" = 'Mine' WHERE id = 20""")
    run(database, revision.upgrade)
    found = database.execute("""SELECT "my ""own"" note", tag FROM streams ORDER BY id""")
    assert found.fetchall() == [("a:b, c", "r1:p"), ("Mine", "r2:p")]
    matched = database.execute("""SELECT id FROM streams WHERE "my ""own"" note" = 'MINE'""")
    assert matched.fetchall() == [(20,)]


def test_downgrade_deletes_the_rows_it_has_no_word_for(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """ws-mjpeg rows go, all others stay, and the type is refused from then on."""
    fill(field)
    run(field, revision.upgrade)
    kept = dump(field)
    field.execute("INSERT INTO streams (app_id, stream_id, type) VALUES (1, 'ws', 'ws-mjpeg')")
    run(field, revision.downgrade)
    assert dump(field) == kept
    assert not accepts(field, "ws-mjpeg")


@pytest.mark.parametrize(
    "types",
    ["'ws-mjpeg','webrtc','rtmp'", "'webrtc', 'ws-mjpeg' ,'rtmp'", "'webrtc','rtmp',\n 'ws-mjpeg'"],
)
def test_downgrade_finds_the_type_anywhere_in_the_list(
    database: sqlite3.Connection, revision: ModuleType, types: str
) -> None:
    """Its place in the list does not matter."""
    database.execute(PLAIN.replace("'webrtc','rtmp','rtsp','whip'", types))
    run(database, revision.downgrade)
    assert "ws-mjpeg" not in table_sql(database)
    assert [accepts(database, kind) for kind in ("webrtc", "rtmp", "ws-mjpeg")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("step", "types"), [("upgrade", "'webrtc','ws-mjpeg'"), ("downgrade", "'webrtc'")]
)
def test_table_that_is_as_wanted_is_left_alone(
    database: sqlite3.Connection, revision: ModuleType, step: str, types: str
) -> None:
    """Where the list has been edited already there is nothing to rebuild."""
    database.execute(PLAIN.replace("'webrtc','rtmp','rtsp','whip'", types))
    before = database.execute("SELECT * FROM sqlite_master").fetchall()
    run(database, getattr(revision, step))
    assert database.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_table_without_the_check_is_refused_untouched(
    database: sqlite3.Connection, revision: ModuleType
) -> None:
    """A list that only looks like the CHECK, in a comment or a default, is not edited."""
    database.execute(
        "CREATE TABLE streams (id INTEGER PRIMARY KEY AUTOINCREMENT, stream_id TEXT, "
        "type TEXT DEFAULT 'CHECK (type IN (''webrtc''))', -- CHECK (type IN ('webrtc'))\n"
        "own INTEGER GENERATED ALWAYS AS (type IN ('webrtc')))",
    )
    before = table_sql(database)
    with pytest.raises(CommandError, match="expected a CHECK on type"):
        run(database, revision.upgrade)
    assert table_sql(database) == before


def test_failed_rebuild_leaves_file_and_connection_as_they_were(
    field: sqlite3.Connection, revision: ModuleType
) -> None:
    """A rebuild that fails rolls back, and the connection's pragma is what it was."""
    fill(field)
    field.execute("CREATE TABLE _streamhub_rebuilt_streams (x)")
    before = (dump(field), schema(field), table_sql(field))
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        run(field, revision.upgrade)
    assert (dump(field), schema(field), table_sql(field)) == before
    assert field.execute("PRAGMA legacy_alter_table").fetchone() == (0,)


@pytest.mark.parametrize("legacy", [0, 1])
def test_legacy_alter_table_is_put_back(
    field: sqlite3.Connection, revision: ModuleType, legacy: int
) -> None:
    """The rebuild borrows the pragma."""
    field.execute(f"PRAGMA legacy_alter_table = {legacy}")
    run(field, revision.upgrade)
    assert field.execute("PRAGMA legacy_alter_table").fetchone() == (legacy,)


def test_offline_script_rebuilds_the_table_of_the_history(
    database: sqlite3.Connection, revision: ModuleType
) -> None:
    """--sql prints a rebuild that keeps rows, ids and indices, in both directions."""
    database.execute(PLAIN)
    for column in ("status", "room", "started_at"):
        database.execute(f"CREATE INDEX idx_streams_{column} ON streams ({column})")
    database.execute("CREATE INDEX idx_streams_status_started ON streams (status, started_at)")
    fill(database)
    rows, objects = dump(database), {row[:2] for row in schema(database)}
    for step, taken in ((revision.upgrade, True), (revision.downgrade, False)):
        database.executescript(offline(step))
        assert dump(database) == rows
        assert {row[:2] for row in schema(database)} == objects
        assert accepts(database, "ws-mjpeg") is taken
    assert next_id(database) == 31


def offline(step: Any) -> str:  # noqa: ANN401 - a module's function
    printed = io.StringIO()
    options = {"as_sql": True, "output_buffer": printed}
    context = MigrationContext.configure(dialect_name="sqlite", opts=options)
    with Operations.context(context):
        step()
    return printed.getvalue()

"""A promotion moves every row, takes the writes from the file, and refuses what it cannot do."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.restore import restore_archive
from streamhub_orm.check import check_file
from streamhub_orm.downgrade import downgrade_installation
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import (
    ControlPlaneTakenError,
    ForeignControlPlaneError,
    PromotedDatabaseError,
    PromotionError,
)
from streamhub_orm.global_db import App, User
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.promotion.promote import promote
from streamhub_orm.rollback import roll_back
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.upgrade.run import upgrade_installation
from tests.promotion.contents import bytes_of, insert, read_all, rows_of_file

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.testing.plugin import MakeStreamHub
    from streamhub_orm.testing.postgresql import PostgresServer
    from tests.promotion.conftest import Sides


def test_services_read_on_the_server_what_they_read_in_the_file(sides: Sides) -> None:
    with Databases(sides.root) as databases:
        expected = read_all(databases)
    before = rows_of_file(sides.file)
    done = promote(sides.root, sides.url)
    assert done.changed
    assert {table.table: table.rows for table in done.tables} == {
        name: len(rows) for name, rows in expected.items()
    }
    with Databases(sides.root, global_url=sides.text) as databases:
        assert read_all(databases) == expected
    assert rows_of_file(sides.file) == before
    assert done.backup is not None
    assert rows_of_file(done.backup) == before


def test_second_promotion_finds_nothing_to_do(sides: Sides) -> None:
    promote(sides.root, sides.url)
    before = sides.file.read_bytes()
    done = promote(sides.root, sides.url)
    assert not done.changed
    assert sides.file.read_bytes() == before
    assert len(list_backups(sides.file)) == 1


def test_server_counts_on_from_where_the_file_stood(sides: Sides) -> None:
    """An id that AUTOINCREMENT gave out once never comes back, and the order is kept."""
    promote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as databases:
        with databases.global_session() as session:
            app, user = App(name="new"), User(id="usr_0")
            session.add_all([app, user])
            session.flush()
            assert app.id == 5001
        assert [row[0] for row in read_all(databases)["users"]][-1] == "usr_0"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR IGNORE INTO tenants (id, name) VALUES ('platform', 'x')",
        "INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES ('k', 'v')",
        "UPDATE apps SET name = 'other' WHERE id = 7",
        "DELETE FROM server_logs",
        "INSERT INTO alembic_version VALUES ('x')",
    ],
)
def test_write_to_the_promoted_file_fails_in_words(sides: Sides, statement: str) -> None:
    with closing(sqlite3.connect(sides.file)) as held:
        held.execute("SELECT count(*) FROM apps").fetchall()
        promote(sides.root, sides.url)
        with pytest.raises(sqlite3.IntegrityError, match=r"^promoted to postgresql://\S+: set STR"):
            held.execute(statement)
        held.rollback()
        assert held.execute("SELECT count(*) FROM apps WHERE id = 7").fetchone() == (1,)


def test_promoted_file_shows_no_drift(sides: Sides) -> None:
    promote(sides.root, sides.url)
    found = check_file("global", sides.file, GLOBAL)
    assert found.ok
    assert found.extras == []


def add_app(databases: Databases) -> None:
    with databases.global_session() as session:
        session.add(App(name="added"))


def test_promoted_file_is_refused_to_whoever_has_no_url(sides: Sides) -> None:
    with Databases(sides.root) as before:
        with before.global_session(read_only=True) as session:
            assert session.get(App, 7)
        promote(sides.root, sides.url)
        with before.global_session(read_only=True) as session:
            assert session.get(App, 7)
        with pytest.raises(PromotedDatabaseError, match="promoted to"):
            add_app(before)
    bytes_before = sides.file.read_bytes()
    with Databases(sides.root) as databases:
        with pytest.raises(PromotedDatabaseError), databases.global_session(read_only=True):
            pass
        with pytest.raises(PromotedDatabaseError), databases.app_session("live"):
            pass
    for refused in (upgrade_installation, roll_back):
        with pytest.raises(PromotedDatabaseError) as error:
            refused(sides.root)
        assert str(sides.url) in str(error.value)
        assert "STREAMHUB_GLOBAL_URL" in error.value.todo
        assert error.value.exit_code == 3
    with pytest.raises(PromotedDatabaseError):
        upgrade_installation(sides.root, dry_run=True)
    with pytest.raises(PromotedDatabaseError):
        create_archive(sides.root, sides.root.parent)
    with pytest.raises(PromotedDatabaseError):
        restore_archive(sides.root.parent / "none.tar.gz", sides.root)
    (refused_one,) = downgrade_installation(sides.root, "g0013")
    assert "promoted to" in str(refused_one.error)
    assert sides.file.read_bytes() == bytes_before


def test_foreign_triggers_neither_run_nor_go_missing(sides: Sides) -> None:
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER eats AFTER INSERT ON _streamhub_meta BEGIN DELETE FROM apps; END"
        )
        connection.execute(
            "CREATE TRIGGER streamhub_fence_apps AFTER INSERT ON apps BEGIN DELETE FROM apps; END"
        )
        connection.execute("CREATE VIEW seen AS SELECT name FROM apps")
    done = promote(sides.root, sides.url)
    assert [left.what for left in done.left] == [
        "trigger eats",
        "trigger streamhub_fence_apps",
        "view seen",
    ]
    with Databases(sides.root, global_url=sides.text) as databases:
        assert len(read_all(databases)["apps"]) == 3
    assert len(rows_of_file(sides.file)["apps"]) == 3
    found = check_file("global", sides.file, GLOBAL)
    assert found.extras == ["trigger eats", "trigger streamhub_fence_apps", "view seen"]


def test_what_is_not_ours_stays_in_the_file_and_is_named(sides: Sides) -> None:
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.execute("CREATE TABLE quota_usage (tenant_id TEXT, period TEXT)")
        connection.execute("INSERT INTO quota_usage VALUES ('tnt_a', '2026-01')")
        connection.execute("ALTER TABLE tenants ADD COLUMN quotas_json TEXT")
        connection.execute("UPDATE tenants SET quotas_json = '{}' WHERE id = 'tnt_a'")
        connection.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    left = {it.what: it.rows for it in promote(sides.root, sides.url, dry_run=True).left}
    assert left == {
        "table quota_usage": 1,
        "column tenants.quotas_json": 1,
        "table _litestream_seq": 0,
    }
    assert {it.what: it.rows for it in promote(sides.root, sides.url).left} == left
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.execute("INSERT INTO _litestream_seq (seq) VALUES (1)")  # replication goes on
        with pytest.raises(sqlite3.IntegrityError, match="promoted"):
            connection.execute("DELETE FROM quota_usage")


def test_keys_that_speak_of_the_file_stay_in_it(sides: Sides) -> None:
    insert(sides.file, "_streamhub_meta", key="per_app_split_backup", value="/x/y.bak")
    promote(sides.root, sides.url)
    with (
        Databases(sides.root, global_url=sides.text) as databases,
        databases.global_connection(read_only=True) as connection,
    ):
        query = "SELECT key FROM _streamhub_meta"
        keys = set(connection.exec_driver_sql(query).scalars())
    assert "per_app_split_backup" not in keys
    assert {"per_app_split_done", "an operator's own", "streamhub_orm_app_db:7"} <= keys
    stored = {row[0] for row in rows_of_file(sides.file)["_streamhub_meta"]}
    assert "per_app_split_backup" in stored


def refuse(sides: Sides, kind: type[Exception], words: str) -> None:
    """Assert that a promotion is refused, and that nothing was touched."""
    before = bytes_of(sides.file)
    rehearsed = promote(sides.root, sides.url, dry_run=True)
    assert not rehearsed.ok
    with pytest.raises(kind, match=words) as error:
        promote(sides.root, sides.url)
    assert str(error.value) in [str(it) for it in rehearsed.refusals]
    assert bytes_of(sides.file) == before


def set_up(sides: Sides) -> None:
    engine = ServerEngine(sides.url)
    upgrade_server(engine)
    engine.close()


def test_server_with_rows_is_refused(sides: Sides) -> None:
    set_up(sides)
    with Databases(sides.root, global_url=sides.text) as databases:
        add_app(databases)
    refuse(sides, ControlPlaneTakenError, "found rows in apps")


def test_server_of_another_installation_is_refused(
    sides: Sides, make_streamhub: MakeStreamHub
) -> None:
    other = make_streamhub("other")
    promote(other.root, sides.url)
    refuse(sides, ControlPlaneTakenError, "was promoted from")


def test_database_of_another_program_is_refused(sides: Sides, postgres: PostgresServer) -> None:
    with postgres.connect(str(sides.url.url.database)) as connection:
        connection.execute("CREATE TABLE shop (id INTEGER)")
    refuse(sides, ForeignControlPlaneError, "shop")


def test_server_that_was_set_up_before_is_taken(sides: Sides) -> None:
    set_up(sides)
    assert promote(sides.root, sides.url).changed


def test_file_behind_head_is_refused(make_streamhub: MakeStreamHub, empty_url: str) -> None:
    place = make_streamhub(global_revision="g0013")
    done = promote(place.root, ServerUrl.parse(empty_url, "x"), dry_run=True)
    assert ["upgrade" in error.todo for error in done.refusals] == [True]
    with pytest.raises(PromotionError, match="g0013"):
        promote(place.root, ServerUrl.parse(empty_url, "x"))


def test_app_with_rows_still_to_import_is_refused(sides: Sides) -> None:
    insert(sides.file, "ingress_auth", ingress_id="IN_9", app="tv-7")
    refuse(sides, PromotionError, "tv-7")


def test_file_promoted_elsewhere_is_refused(sides: Sides, postgres: PostgresServer) -> None:
    promote(sides.root, sides.url)
    name = f"elsewhere_{os.getpid()}"
    other = postgres.create(name)
    try:
        with pytest.raises(PromotionError, match="promoted to"):
            promote(sides.root, ServerUrl.parse(other, "x"))
    finally:
        postgres.drop(name)


def test_database_in_another_encoding_is_refused(sides: Sides, postgres: PostgresServer) -> None:
    name = str(sides.url.url.database)
    postgres.drop(name)
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(Exception, match="found a database in LATIN1"):
        promote(sides.root, sides.url)


def test_secret_of_the_url_is_nowhere(sides: Sides, tmp_path: Path) -> None:
    done = promote(sides.root, sides.url)
    password = str(sides.url.url.password)
    with closing(sqlite3.connect(sides.file)) as connection:
        texts = "".join(map(str, connection.execute("SELECT * FROM _streamhub_meta").fetchall()))
        texts += "".join(map(str, connection.execute("SELECT sql FROM sqlite_master").fetchall()))
    assert password not in texts + str(done.to_json())

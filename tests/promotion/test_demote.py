"""A demotion brings every row back into a file, and takes the writes from the server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.check import check_file
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import (
    ControlPlaneDemotedError,
    ControlPlaneTakenError,
    HalfDoneError,
    LockedDatabaseError,
    PromotionError,
)
from streamhub_orm.global_db import App, ServerLog, User, UserSession
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.promotion import demote as demotion
from streamhub_orm.promotion.demote import demote, undo_demotion
from streamhub_orm.promotion.promote import promote
from streamhub_orm.promotion.sides import server_transaction
from tests.promotion.contents import read_all, rows_of_file

if TYPE_CHECKING:
    from tests.promotion.conftest import Sides


def work(sides: Sides) -> dict[str, list[tuple[object, ...]]]:
    """Do what services do on the server; return what they read there afterwards."""
    with Databases(sides.root, global_url=sides.text) as databases:
        with databases.global_session() as session:
            session.add(App(name="later", settings_json={"a": [1.5, "é"]}))
            session.add(User(id="usr_0", email="later@x.example"))
            session.add(ServerLog(level="info", message="later", meta_json={"n": 1}))
            found = session.get(UserSession, "s2")
            assert found is not None
            found.last_seen = datetime(2026, 2, 1, tzinfo=UTC)
        return read_all(databases)


def test_services_read_in_the_file_what_they_read_on_the_server(sides: Sides) -> None:
    promote(sides.root, sides.url)
    promoted = sides.file.read_bytes()
    expected = work(sides)
    done = demote(sides.root, sides.url)
    assert done.changed
    assert done.set_aside is not None
    assert rows_of_file(done.set_aside)["apps"] != rows_of_file(sides.file)["apps"]
    assert promoted[:16] == done.set_aside.read_bytes()[:16]
    with Databases(sides.root) as databases:
        assert read_all(databases) == expected
        with databases.global_session() as session:
            app = App(name="back")
            session.add(app)
            session.flush()
            assert app.id == 5002
    assert check_file("global", sides.file, GLOBAL).ok


def test_there_and_back_without_a_change_is_the_same_file_again(sides: Sides) -> None:
    """What is stored, not only what is read of it: times in their formats, order of the keys."""
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.execute("CREATE TABLE quota_usage (tenant_id TEXT, period TEXT)")
        connection.execute("INSERT INTO quota_usage VALUES ('tnt_a', '2026-01')")
        connection.execute("CREATE TABLE streams (id INTEGER PRIMARY KEY, app_id, stream_id)")
        connection.execute("INSERT INTO streams VALUES (1, 4711, 'x')")
        connection.execute(
            "CREATE TRIGGER eats AFTER INSERT ON apps BEGIN DELETE FROM server_logs; END"
        )
    before = rows_of_file(sides.file)
    promote(sides.root, sides.url)
    demote(sides.root, sides.url)
    after = rows_of_file(sides.file)
    counts = {"_streamhub_meta"}  # of the legacy rows, by us
    assert {it: after[it] for it in after.keys() - counts} == {
        it: before[it] for it in before.keys() - counts
    }
    assert set(before["_streamhub_meta"]) <= set(after["_streamhub_meta"])
    assert "trigger eats" in check_file("global", sides.file, GLOBAL).extras


def test_demoted_server_takes_no_writes_and_says_where_the_rows_are(sides: Sides) -> None:
    promote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as held:
        with held.global_session() as session:
            assert session.get(App, 7)
        demote(sides.root, sides.url)
        held_server = held._global.acquire("").database
        held_server._look_again_at = float("inf")
        with pytest.raises(ControlPlaneDemotedError, match="demoted to"):
            add_app(held)
        held_server._look_again_at = 0
        with pytest.raises(ControlPlaneDemotedError) as error, held.global_session(read_only=True):
            pass
    assert str(sides.file) in str(error.value)
    with (
        Databases(sides.root, global_url=sides.text) as databases,
        pytest.raises(ControlPlaneDemotedError, match="demoted to"),
        databases.global_session(read_only=True),
    ):
        pass
    with pytest.raises(ControlPlaneTakenError, match="CREATE DATABASE"):
        promote(sides.root, sides.url)


def add_app(databases: Databases) -> None:
    with databases.global_session() as session:
        session.add(App(name="added"))


def test_second_demotion_finds_nothing_to_do(sides: Sides) -> None:
    promote(sides.root, sides.url)
    demote(sides.root, sides.url)
    before = sides.file.read_bytes()
    assert not demote(sides.root, sides.url).changed
    assert sides.file.read_bytes() == before


def test_demotion_where_no_file_is_makes_one(sides: Sides) -> None:
    """A node that joined later has none: there the database is made anew."""
    promote(sides.root, sides.url)
    expected = work(sides)
    for path in list(sides.file.parent.glob("streamhub.db*")):
        path.unlink()
    done = demote(sides.root, sides.url)
    assert done.set_aside is None
    assert sides.file.stat().st_mode & 0o777 == 0o600
    with Databases(sides.root) as databases:
        assert read_all(databases) == expected


def test_file_of_its_own_is_not_overwritten(sides: Sides) -> None:
    promote(sides.root, sides.url)
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in connection.execute(triggers).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM _streamhub_meta WHERE key = 'streamhub_orm_promotion'")
    before = rows_of_file(sides.file)
    with pytest.raises(PromotionError, match="a global database of its own"):
        demote(sides.root, sides.url)
    assert rows_of_file(sides.file) == before
    with Databases(sides.root, global_url=sides.text) as databases:
        add_app(databases)


def test_file_that_is_open_elsewhere_lets_the_server_go_on(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.engine.connections.BUSY_TIMEOUT_SECONDS", 0.2)
    promote(sides.root, sides.url)
    with closing(sqlite3.connect(sides.file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM apps").fetchall()
        with pytest.raises(LockedDatabaseError, match="has it open"):
            demote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as databases:
        add_app(databases)
    assert list(sides.file.parent.glob("*.promoted-*")) == []
    assert demote(sides.root, sides.url).changed


def test_demotion_that_cannot_give_the_writes_back_says_half(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(sides.root, sides.url)
    expected = work(sides)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(demotion, "copy_verified", fail)
        patch.setattr(demotion, "lift_fence", fail_to_write)
        with pytest.raises(HalfDoneError, match="global demote") as error:
            demote(sides.root, sides.url)
    assert error.value.exit_code == 1
    with (
        Databases(sides.root, global_url=sides.text) as databases,
        pytest.raises(ControlPlaneDemotedError, match="being demoted"),
    ):
        add_app(databases)
    assert undo_demotion(sides.root, sides.url).changed
    with Databases(sides.root, global_url=sides.text) as databases:
        assert read_all(databases) == expected
        add_app(databases)


def fail_to_write(server: object) -> None:
    raise LockedDatabaseError(*("x",) * 4)  # type: ignore[arg-type]


def test_demotion_begun_elsewhere_is_left_to_that_place(sides: Sides) -> None:
    promote(sides.root, sides.url)
    for path in list(sides.file.parent.glob("streamhub.db*")):
        path.unlink()
    engine = ServerEngine(sides.url)
    place = replace(DataDir.find(sides.root, sides.url), global_db=sides.root / "other.db")
    run = demotion._Demotion(place, engine, lambda *_: None)
    run.look()
    run._begin()
    for attempt in (demote, undo_demotion):
        with pytest.raises(ControlPlaneDemotedError, match=r"other\.db"):
            attempt(sides.root, sides.url)
    run._move()
    run._end()
    engine.close()
    with pytest.raises(ControlPlaneDemotedError, match=r"demoted to \S+other\.db"):
        demote(sides.root, sides.url)


def test_time_that_no_file_holds_is_refused_and_the_server_goes_on(sides: Sides) -> None:
    promote(sides.root, sides.url)
    engine = ServerEngine(sides.url)
    with server_transaction(engine) as server:
        server.execute("UPDATE sessions SET last_seen = 'infinity'")
    engine.close()
    with pytest.raises(Exception, match="a row of sessions with a time beyond"):
        demote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as databases:
        add_app(databases)

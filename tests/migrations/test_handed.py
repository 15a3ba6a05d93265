"""A connection that a program hands to Alembic: its transaction, the backup, the refusals."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import create_async_engine

from streamhub_orm.engine.backups import list_backups
from streamhub_orm.migrations.downgrading import downgrade_file
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.migrations.built import (
    at_head,
    bytes_of,
    configured,
    drift_of,
    executed,
    query,
    revision_of,
)
from tests.support.installations.ddl import APP_STEPS

if TYPE_CHECKING:
    from pathlib import Path

ROW = "INSERT INTO vods (app_id, name) VALUES (1, 'ż')"


@pytest.fixture
def behind(tmp_path: Path) -> Path:
    """An app.db at parity with a row; its backups are not beside it."""
    folder = tmp_path / "handed"
    folder.mkdir()
    path = at_head(folder / "app.db", APP, ROW)
    downgrade_file(path, APP, APP.parity)
    for backup in list_backups(path):
        backup.unlink()
    return path


def test_connection_of_the_caller_is_committed_by_the_caller(behind: Path) -> None:
    """As in the cookbook: `with engine.begin()`, and what the caller wrote commits with it."""
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id)")
        command.upgrade(configured(APP, connection=connection), "head")
        assert revision_of(behind) == APP.parity, "nobody else sees it yet"
    engine.dispose()
    assert look_at(behind, APP).state is State.CURRENT
    assert drift_of(behind, APP).extras == ["table mine"]
    (backup,) = list_backups(behind)
    assert revision_of(backup) == APP.parity
    assert query(backup, "SELECT name FROM vods") == [("ż",)]


def test_connection_that_the_caller_rolls_back_leaves_nothing(behind: Path) -> None:
    """The driver would begin before the first INSERT only, and leave the DDL before it."""
    before = query(behind, "SELECT name, sql FROM sqlite_master")
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.connect() as connection, connection.begin() as transaction:
        command.upgrade(configured(APP, connection=connection), "head")
        transaction.rollback()
    engine.dispose()
    assert query(behind, "SELECT name, sql FROM sqlite_master") == before
    assert revision_of(behind) == APP.parity


def test_connection_without_a_transaction_gets_one_that_is_committed(behind: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.connect() as connection:
        command.upgrade(configured(APP, connection=connection), "head")
    engine.dispose()
    assert look_at(behind, APP).state is State.CURRENT


def test_connection_of_an_async_engine_is_taken_by_run_sync(behind: Path) -> None:
    """The cookbook's recipe for asyncio."""

    async def upgrade() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{behind}")
        async with engine.begin() as connection:
            await connection.run_sync(
                lambda opened: command.upgrade(configured(APP, connection=opened), "head")
            )
        await engine.dispose()

    asyncio.run(upgrade())
    assert look_at(behind, APP).state is State.CURRENT


def test_connection_to_a_file_of_the_node_core_adopts_it(tmp_path: Path) -> None:
    path = executed(tmp_path / "app.db", "".join(APP_STEPS.values()) + ROW)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(configured(APP, connection=connection), "head")
    engine.dispose()
    assert look_at(path, APP).state is State.CURRENT
    assert query(path, "SELECT name FROM vods") == [("ż",)]


def test_connection_to_memory_is_built_without_a_backup() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        command.upgrade(configured(APP, connection=connection), "head")
        assert sa.inspect(connection).has_table("vods")
    engine.dispose()


def test_downgrade_over_a_connection_refuses_losses_and_keeps_the_callers_work(
    behind: Path,
) -> None:
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id)")
        with pytest.raises(CommandError, match="1 rows of table vods"):
            command.downgrade(configured(APP, connection=connection), "base")
    engine.dispose()
    assert revision_of(behind) == APP.parity
    assert query(behind, "SELECT name FROM vods") == [("ż",)]
    assert query(behind, "SELECT count(*) FROM mine") == [(0,)]


def test_step_that_fails_over_a_connection_takes_back_its_own_work_alone(behind: Path) -> None:
    """A caller that catches the error and commits has a file at its old revision."""
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE idx_vods_egress (id)")
        with pytest.raises(CommandError, match="already a table named idx_vods_egress"):
            command.upgrade(configured(APP, connection=connection), "head")
    engine.dispose()
    assert revision_of(behind) == APP.parity
    found = query(behind, "SELECT name FROM sqlite_master WHERE name LIKE 'idx_%_stream_key'")
    assert found == []


@pytest.mark.parametrize("kind", ["autocommit", "foreign keys", "other world"])
def test_connection_that_cannot_hold_a_migration_is_refused_untouched(
    behind: Path, kind: str
) -> None:
    before = bytes_of(behind.parent)
    options = {"isolation_level": "AUTOCOMMIT"} if kind == "autocommit" else {}
    engine = sa.create_engine(f"sqlite:///{behind}", **options)
    if kind == "foreign keys":
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = ON"))
    words = {"autocommit": "autocommit", "foreign keys": "foreign_keys = OFF"}
    world = GLOBAL if kind == "other world" else APP
    with engine.connect() as connection, pytest.raises(CommandError) as refused:
        command.upgrade(configured(world, connection=connection), "head")
    engine.dispose()
    assert words.get(kind, "the database of an app") in str(refused.value)
    assert bytes_of(behind.parent) == before


def test_connection_that_reads_changes_nothing(behind: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{behind}")
    before = bytes_of(behind.parent)
    with engine.connect() as connection:
        command.current(configured(APP, connection=connection))
        with pytest.raises(CommandError, match="not up to date"):
            command.check(configured(APP, connection=connection))
    engine.dispose()
    assert bytes_of(behind.parent) == before


def test_no_file_is_left_open(behind: Path) -> None:
    """After a refusal by a handed connection others can write at once."""
    engine = sa.create_engine(f"sqlite:///{behind}")
    with engine.connect() as connection, pytest.raises(CommandError):
        command.downgrade(configured(APP, connection=connection), "base")
    with sqlite3.connect(behind, timeout=0) as other:
        other.execute("DELETE FROM vods")
    other.close()
    engine.dispose()

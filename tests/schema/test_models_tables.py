"""The tables that the models describe: those of the field, of the history, and their look-ups."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.orm import DeclarativeBase, Session

from streamhub_orm.app_db import AppBase, IngressAuth, Vod
from streamhub_orm.global_db import GlobalBase, User
from tests.support.installations.ddl import (
    APP_STEPS,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
)
from tests.support.installations.facts import APP_PARITY, GLOBAL_PARITY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.history

ROOT = Path(__file__).parents[2]
WORLDS: dict[str, type[DeclarativeBase]] = {"global": GlobalBase, "app": AppBase}
PARITY = {"global": GLOBAL_PARITY, "app": APP_PARITY}
HISTORIES = {"global": ROOT / "alembic" / "versions", "app": ROOT / "alembic_app" / "versions"}


@contextmanager
def session_on(path: Path, base: type[DeclarativeBase]) -> Iterator[Session]:
    """Open a session on a file with the tables of one world."""
    engine = sa.create_engine(f"sqlite:///{path}")
    base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def run_history(connection: sqlite3.Connection, world: str, upto: str = "~") -> None:
    """Run the revisions of a world up to one, or to head, in order, as plain functions."""
    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
    with engine.connect() as opened, Operations.context(MigrationContext.configure(opened)):
        for path in sorted(HISTORIES[world].glob("*.py")):
            if path.stem.partition("_")[0] > upto:
                break
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            revision = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(revision)
            revision.upgrade()
        opened.commit()


def structure(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what the PRAGMAs say about each table, without names of constraints and column order.

    NOT NULL of a key column is left out: see GlobalBase.
    """
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {
        name: {
            "columns": {
                row[1]: (row[2], row[3] if not row[5] else "key", *row[4:])
                for row in rows(connection, "table_xinfo", name)
            },
            "foreign keys": {row[2:] for row in rows(connection, "foreign_key_list", name)},
            "unique": unique_columns(connection, name),
            "checks": checks(sql),
            "autoincrement": "AUTOINCREMENT" in sql,
        }
        for name, sql in tables
        if name != "sqlite_sequence"
    }


def rows(connection: sqlite3.Connection, pragma: str, name: str) -> list[tuple[Any, ...]]:
    return connection.execute(f'PRAGMA {pragma}("{name}")').fetchall()


def unique_columns(connection: sqlite3.Connection, table: str) -> set[tuple[str, ...]]:
    unique = [row[1] for row in rows(connection, "index_list", table) if row[3] == "u"]
    return {tuple(row[2] for row in rows(connection, "index_info", name)) for name in unique}


def checks(sql: str) -> set[str]:
    found = re.findall(r"CHECK \((\w+ IN \([^)]*\))\)", sql)
    assert len(found) == sql.count("CHECK")
    return {re.sub(r"\s", "", text) for text in found}


def index_statements(connection: sqlite3.Connection) -> dict[str, str]:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'")
    return {name: re.sub(r"\s|IF NOT EXISTS", "", sql) for name, sql in found}


@pytest.fixture(params=WORLDS)
def databases(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """One world's file as the Node core makes it, and as the history makes it at parity."""
    world: str = request.param
    with (
        closing(sqlite3.connect(":memory:")) as field,
        closing(sqlite3.connect(":memory:")) as ours,
    ):
        run_history(ours, world, PARITY[world])
        apply_steps(field, GLOBAL_STEPS if world == "global" else APP_STEPS, 8)
        if world == "global":
            apply_runtime(field, GLOBAL_RUNTIME)
        yield field, ours


def test_tables_are_the_node_cores_at_parity(
    databases: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Columns, types, NOT NULL, defaults, keys, CHECKs and AUTOINCREMENT are as in the field."""
    field, ours = databases
    assert structure(ours) == structure(field)


def test_indices_are_the_node_cores_at_parity(
    databases: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Every index of the field is there under its name, and no other."""
    field, ours = databases
    assert index_statements(ours) == index_statements(field)


@pytest.mark.parametrize("world", WORLDS)
def test_tables_are_those_of_the_histories_head(tmp_path: Path, world: str) -> None:
    """The models and the revisions say the same, so neither is changed alone."""
    with (
        closing(sqlite3.connect(tmp_path / "history.db")) as history,
        session_on(tmp_path / "models.db", WORLDS[world]),
        closing(sqlite3.connect(tmp_path / "models.db")) as ours,
    ):
        run_history(history, world)
        assert structure(ours) == structure(history)
        assert index_statements(ours) == index_statements(history)


# --- hot look-ups ---------------------------------------------------------------------------


def plan(session: Session, statement: sa.Select[Any]) -> str:
    compiled = statement.compile(session.get_bind())
    parameters = tuple(compiled.params[name] for name in compiled.positiontup or ())
    explained = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters)
    return "; ".join(row[3] for row in explained)


@pytest.mark.parametrize("analyzed", [False, True])
def test_hot_lookups_use_their_index(tmp_path: Path, *, analyzed: bool) -> None:
    """The look-ups written on the models are served by the indices made for them."""
    with session_on(tmp_path / "rows.db", AppBase) as session:
        if analyzed:
            session.add_all(
                Vod(app_id=1, name="v", stream_id=f"s{number % 50}", status="ready")
                for number in range(1000)
            )
            session.flush()
            session.connection().exec_driver_sql("ANALYZE")
        by_egress = sa.select(Vod).where(Vod.written_by_egress("EG_1"))
        in_progress = sa.select(Vod).where(Vod.in_progress("r/p")).order_by(Vod.id.desc()).limit(1)
        by_key = sa.select(IngressAuth).where(IngressAuth.stream_key == "k")
        assert "USING INDEX idx_vods_egress (<expr>=?)" in plan(session, by_egress)
        explained = plan(session, in_progress)
        assert "TEMP B-TREE" not in explained
        if analyzed:  # without statistics the newer of two is taken; metadata has no order
            assert "USING INDEX idx_vods_stream_in_progress (stream_id=?)" in explained
        assert "USING INDEX idx_ingress_auth_stream_key" in plan(session, by_key)


def test_user_is_found_by_email_in_any_case(tmp_path: Path) -> None:
    """The look-up without case is served by its index."""
    with session_on(tmp_path / "rows.db", GlobalBase) as session:
        session.add(User(id="u", email="Ann@Example.org"))
        session.flush()
        statement = sa.select(User).where(User.email.collate("NOCASE") == "ann@example.ORG")
        assert session.scalars(statement).one().id == "u"
        assert "USING INDEX idx_users_email_nocase (email=?)" in plan(session, statement)


def test_malformed_metatags_neither_fail_a_write_nor_hide_a_recording(tmp_path: Path) -> None:
    """The egress index leaves rows out whose metatags are no JSON, whoever writes them."""
    with session_on(tmp_path / "rows.db", AppBase) as session:
        insert = "INSERT INTO vods (app_id, name, metatags_json) VALUES (1, 'v', ?)"
        for metatags in ("not json", None, b"\x00", "[1]", "7", '{"egressId":"EG_1"}'):
            session.connection().exec_driver_sql(insert, (metatags,))
        session.connection().exec_driver_sql("UPDATE vods SET metatags_json = '{' WHERE id = 4")
        session.connection().exec_driver_sql("REINDEX")
        found = session.scalars(sa.select(Vod.id).where(Vod.written_by_egress("EG_1"))).all()
        assert found == [6]


def test_recording_in_progress_is_the_latest_of_its_stream(tmp_path: Path) -> None:
    """Recordings that are done and those of other streams do not count."""
    with session_on(tmp_path / "rows.db", AppBase) as session:
        for stream_id, status in [("a", "recording"), ("a", "uploading"), ("a", "ready")]:
            session.add(Vod(app_id=1, name="v", stream_id=stream_id, status=status))
        session.add(Vod(app_id=1, name="v", stream_id="b"))
        session.flush()
        statement = sa.select(Vod.id).where(Vod.in_progress("a")).order_by(Vod.id.desc()).limit(1)
        assert session.scalars(statement).one() == 2

"""The models: their rows survive a round trip, their tables are the field's, their secrets stay."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Session

from streamhub_orm import app_db, global_db
from streamhub_orm.app_db import AppBase, AppPlugin, RestreamTarget, Stream, Vod, VodVariant
from streamhub_orm.global_db import (
    ApiToken,
    App,
    GlobalBase,
    IpBan,
    IpRule,
    MagicToken,
    Membership,
    Node,
    Quota,
    ServerLog,
    Tenant,
    User,
    UserSession,
)
from tests.installations.ddl import (
    APP_STEPS,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
)

if TYPE_CHECKING:
    from pathlib import Path

WORLDS: dict[str, type[DeclarativeBase]] = {"global": GlobalBase, "app": AppBase}
MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123000, tzinfo=UTC)
SECOND = MOMENT.replace(microsecond=0)

OWN_INDICES = {
    "global": {"idx_users_email_nocase"},
    "app": {"idx_ingress_auth_stream_key", "idx_vods_egress", "idx_vods_in_progress"},
}
"""What the models have beyond the Node core's files: the first revision of our own."""

ISO_COLUMNS = {
    "vods": {"started_at", "ended_at"},
    "server_logs": {"ts"},
    "sessions": {"created_at"},
    "magic_tokens": {"created_at", "expires_at"},
    "ip_bans": {"first_seen", "banned_until"},
}

INGRESS = {"ingress_id": "wsi_1", "app": "live", "stream_key": "SECRET", "password_hash": "SECRET"}

ROWS: list[tuple[type[DeclarativeBase], dict[str, Any]]] = [
    (App, {"name": "live", "settings_json": {"a": [1]}}),
    (ApiToken, {"name": "ci", "token_hash": "SECRET", "scope": "app", "allowed_ips_json": ["::1"]}),
    (ServerLog, {"level": "info", "message": "SECRET", "ts": MOMENT}),
    (global_db.IngressAuth, {**INGRESS, "validated_at": SECOND}),
    (Tenant, {"id": "t", "name": "T"}),
    (User, {"id": "u", "password_hash": "SECRET", "totp_secret": "SECRET", "totp_enabled": True}),
    (Membership, {"user_id": "u", "tenant_id": "t", "role": "owner"}),
    (Quota, {"tenant_id": "t", "max_apps": -1}),
    (Node, {"id": "n", "stats_json": {"cpu": 0.5}, "last_seen_at": SECOND}),
    (global_db.Meta, {"key": "k", "value": "SECRET"}),
    (UserSession, {"id": "SECRET", "user_id": "u", "created_at": MOMENT, "revoked_at": SECOND}),
    (MagicToken, {"token_hash": "SECRET", "email": "e", "expires_at": MOMENT, "used": True}),
    (IpBan, {"ip": "::1", "reason": "r", "first_seen": MOMENT, "banned_until": MOMENT}),
    (IpRule, {"cidr": "::/0", "action": "block"}),
    (Stream, {"app_id": 1, "stream_id": "r/p", "type": "ws-mjpeg", "ended_at": SECOND}),
    (Vod, {"app_id": 1, "name": "v", "started_at": MOMENT, "duration_s": 1.5}),
    (app_db.IngressAuth, {**INGRESS, "password_salt": "SECRET", "requires_password": True}),
    (app_db.Meta, {"key": "k", "value": "SECRET"}),
    (AppPlugin, {"plugin_id": "p", "enabled": False, "config_json": {"key": "SECRET"}}),
    (VodVariant, {"vod_id": 1, "format": "mp4", "kind": "master", "extra_json": {}}),
    (RestreamTarget, {"app": "live", "room": "r", "url": "rtmp://SECRET", "url_masked": "***"}),
]


def model_id(value: object) -> str | None:
    return f"{value.__module__}.{value.__name__}" if isinstance(value, type) else None


@contextmanager
def session_on(path: Path, base: type[DeclarativeBase]) -> Iterator[Session]:
    """A session on a file that has the tables of one world, with foreign keys enforced."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        base.metadata.create_all(connection)
        connection.commit()
        with Session(connection) as session:
            yield session
    engine.dispose()


def base_of(model: type[DeclarativeBase]) -> type[DeclarativeBase]:
    return GlobalBase if issubclass(model, GlobalBase) else AppBase


# --- rows -----------------------------------------------------------------------------------


def test_every_model_has_a_row_here() -> None:
    """A new model is tested or this fails."""
    mapped = {mapper.class_ for base in WORLDS.values() for mapper in base.registry.mappers}
    assert mapped == {model for model, _ in ROWS}


@pytest.mark.parametrize(("model", "values"), ROWS, ids=model_id)
def test_row_survives_a_round_trip(
    tmp_path: Path, model: type[DeclarativeBase], values: dict[str, Any]
) -> None:
    """What is written is read back, and every column that may not be NULL has got a value."""
    with session_on(tmp_path / "rows.db", base_of(model)) as session:
        if model in {Membership, Quota}:
            session.add_all([Tenant(id="t", name="T"), User(id="u")])
            session.flush()
        session.add(model(**values))
        session.commit()
        session.expire_all()
        row = session.scalars(sa.select(model)).one()
        assert {name: getattr(row, name) for name in values} == values
        required = [column for column in model.__table__.columns if not column.nullable]
        assert all(getattr(row, column.name) is not None for column in required)


@pytest.mark.parametrize(("model", "values"), ROWS, ids=model_id)
@pytest.mark.parametrize("state", ["new", "stored", "expired", "detached"])
def test_repr_names_the_row_and_no_secret(
    tmp_path: Path, model: type[DeclarativeBase], values: dict[str, Any], state: str
) -> None:
    """A row in a log or traceback shows its class and key only, and needs no query to do so."""
    row = model(**values)
    with session_on(tmp_path / "rows.db", base_of(model)) as session:
        session.connection().exec_driver_sql("PRAGMA foreign_keys")
        if state != "new":
            if model in {Membership, Quota}:
                session.add_all([Tenant(id="t", name="T"), User(id="u")])
                session.flush()
            session.add(row)
            session.flush()
        if state in {"expired", "detached"}:
            session.expire(row)
        if state == "detached":
            session.expunge(row)
        shown = repr(row)
    assert "SECRET" not in shown
    assert re.fullmatch(rf"<{model.__name__}( \w+=.*)?>", shown)
    if state == "stored":
        assert "=" in shown


def test_repr_shows_the_key_of_an_expired_row(tmp_path: Path) -> None:
    """The key is known without asking the database again."""
    with session_on(tmp_path / "rows.db", AppBase) as session:
        vod = Vod(app_id=1, name="v")
        session.add(vod)
        session.commit()
        assert repr(vod) == "<Vod id=1>"


def test_timestamps_keep_the_format_of_their_column(tmp_path: Path) -> None:
    """The ORM writes ISO exactly where JavaScript does, by default too; all else is SQL format."""
    iso = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    sql = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
    for number, (model, values) in enumerate(ROWS):
        with session_on(tmp_path / f"{number}.db", base_of(model)) as session:
            session.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            session.add(model(**values))
            session.flush()
            raw = session.connection().exec_driver_sql(f'SELECT * FROM "{model.__tablename__}"')
            for name, stored in raw.mappings().one().items():
                if isinstance(stored, str) and re.match(r"\d{4}-\d\d-\d\d", stored):
                    wants_iso = name in ISO_COLUMNS.get(model.__tablename__, ())
                    assert (iso if wants_iso else sql).fullmatch(stored), (model, name, stored)


@pytest.mark.parametrize("model", [ServerLog, UserSession, MagicToken])
def test_iso_columns_with_a_server_default_are_filled_in_iso(
    tmp_path: Path, model: type[DeclarativeBase]
) -> None:
    """Left to the server, the default would come in the SQL format, which sorts elsewhere."""
    values = dict(next(row for candidate, row in ROWS if candidate is model))
    column = "ts" if model is ServerLog else "created_at"
    values.pop(column, None)
    with session_on(tmp_path / "rows.db", GlobalBase) as session:
        session.add(model(**values))
        session.flush()
        table = model.__tablename__
        raw = session.connection().exec_driver_sql(f"SELECT {column} FROM {table}").scalar_one()
        assert re.fullmatch(r".{10}T.{12}Z", raw)


# --- relationships --------------------------------------------------------------------------


def test_deleting_a_parent_lets_the_database_cascade(tmp_path: Path) -> None:
    """Tokens, memberships and quotas go with their parent, log lines stay; nothing is loaded."""
    with session_on(tmp_path / "rows.db", GlobalBase) as session:
        app = App(name="live", tokens=[ApiToken(name="t", token_hash="h", scope="app")])  # noqa: S106
        tenant = Tenant(
            id="t", name="T", quota=Quota(), memberships=[Membership(user=User(id="u"))]
        )
        session.add_all([app, tenant])
        session.flush()
        session.add(ServerLog(level="info", message="m", app_id=app.id))
        session.commit()
        session.delete(app)
        session.delete(tenant)
        session.commit()
        for model in (ApiToken, Membership, Quota):
            assert session.scalars(sa.select(model)).all() == []
        assert session.scalars(sa.select(ServerLog.app_id)).all() == [None]
        assert session.scalars(sa.select(User.id)).all() == ["u"]


def test_relationships_never_query_unasked(tmp_path: Path) -> None:
    """A relationship that was not loaded with its row raises instead of a query per row."""
    with session_on(tmp_path / "rows.db", GlobalBase) as session:
        session.add(App(name="live"))
        session.commit()
        with pytest.raises(InvalidRequestError, match="tokens"):
            _ = session.scalars(sa.select(App)).one().tokens


# --- tables ---------------------------------------------------------------------------------


def structure(connection: sqlite3.Connection) -> dict[str, Any]:
    """What the PRAGMAs say about each table; names of constraints and order of columns left out."""
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {
        name: {
            "columns": {row[1]: row[2:] for row in rows(connection, "table_xinfo", name)},
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
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[str, sqlite3.Connection, sqlite3.Connection]]:
    """One world's file as the Node core makes it, and as the models make it."""
    world: str = request.param
    with (
        closing(sqlite3.connect(tmp_path / "field.db")) as field,
        session_on(tmp_path / "models.db", WORLDS[world]),
        closing(sqlite3.connect(tmp_path / "models.db")) as ours,
    ):
        apply_steps(field, GLOBAL_STEPS if world == "global" else APP_STEPS, 8)
        if world == "global":
            apply_runtime(field, GLOBAL_RUNTIME)
        yield world, field, ours


def test_tables_are_the_node_cores(
    databases: tuple[str, sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Columns, types, NOT NULL, defaults, keys, CHECKs and AUTOINCREMENT are as in the field."""
    _, field, ours = databases
    assert structure(ours) == structure(field)


def test_indices_are_the_node_cores_and_our_own(
    databases: tuple[str, sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Every index of the field is there under its name, and no more than our own are added."""
    world, field, ours = databases
    found, expected = index_statements(ours), index_statements(field)
    assert {name: found[name] for name in expected} == expected
    assert found.keys() - expected.keys() == OWN_INDICES[world]


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
        bound = sa.select(Vod).where(Vod.stream_id == "r/p", Vod.status == "recording")
        by_key = sa.select(app_db.IngressAuth).where(app_db.IngressAuth.stream_key == "k")
        assert "USING INDEX idx_vods_egress (<expr>=?)" in plan(session, by_egress)
        assert "USING INDEX idx_vods_in_progress (stream_id=?)" in plan(session, in_progress)
        assert "USING INDEX idx_vods_in_progress (stream_id=?)" in plan(session, bound)
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
        for stream_id, status in [("a", "recording"), ("a", "recording"), ("a", "ready")]:
            session.add(Vod(app_id=1, name="v", stream_id=stream_id, status=status))
        session.add(Vod(app_id=1, name="v", stream_id="b"))
        session.flush()
        statement = sa.select(Vod.id).where(Vod.in_progress("a")).order_by(Vod.id.desc()).limit(1)
        assert session.scalars(statement).one() == 2

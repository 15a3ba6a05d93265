"""The models: their rows survive a round trip and show no secret."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Session, joinedload, selectinload

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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORLDS: dict[str, type[DeclarativeBase]] = {"global": GlobalBase, "app": AppBase}
MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123000, tzinfo=UTC)
SECOND = MOMENT.replace(microsecond=0)

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
    """Open a session on a file with the tables of one world, foreign keys enforced."""
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


def test_relationships_that_are_only_read_are_loaded_on_request(tmp_path: Path) -> None:
    """One statement for all rows, or a join."""
    with session_on(tmp_path / "app.db", AppBase) as session:
        session.add_all(
            [
                Stream(id=1, app_id=1, stream_id="stage/ann", type="whip"),
                Stream(id=2, app_id=1, stream_id="stage/ben", type="whip"),
                Vod(id=1, app_id=1, name="one", stream_id="stage/ann"),
                Vod(id=2, app_id=1, name="two", stream_id="stage/ann"),
                Vod(id=3, app_id=1, name="of nobody", stream_id="stage/zoe"),
                VodVariant(id=1, vod_id=1, format="hls"),
                VodVariant(id=2, vod_id=1, format="mp4"),
                VodVariant(id=3, vod_id=77, format="mp4"),
            ]
        )
        session.commit()
        for load in (selectinload, joinedload):
            session.expire_all()
            wanted = sa.select(Vod).options(load(Vod.variants)).order_by(Vod.id)
            vods = session.scalars(wanted).unique().all()
            assert [[variant.id for variant in it.variants] for it in vods] == [[1, 2], [], []]
            session.expire_all()
            streams = session.scalars(sa.select(Stream).options(load(Stream.vods))).unique()
            assert {it.id: [vod.id for vod in it.vods] for it in streams} == {1: [1, 2], 2: []}


def test_apps_and_tenants_know_each_other(tmp_path: Path) -> None:
    with session_on(tmp_path / "global.db", GlobalBase) as session:
        apps_of = {"one": "t", "two": "t", "three": "of nobody"}
        session.add_all([Tenant(id="t", name="T"), Tenant(id="u", name="U")])
        session.add_all([App(name=name, tenant_id=tenant) for name, tenant in apps_of.items()])
        session.commit()
        for load in (selectinload, joinedload):
            session.expire_all()
            tenants = session.scalars(sa.select(Tenant).options(load(Tenant.apps))).unique()
            found = {it.id: [app.name for app in it.apps] for it in tenants}
            assert found == {"t": ["one", "two"], "u": []}
            session.expire_all()
            apps = session.scalars(sa.select(App).options(load(App.tenant)).order_by(App.id))
            assert [it.tenant and it.tenant.name for it in apps.unique()] == ["T", "T", None]


@pytest.mark.parametrize(
    ("model", "name"),
    [(Vod, "variants"), (Stream, "vods"), (App, "tenant"), (Tenant, "apps")],
)
def test_relationship_that_is_only_read_writes_nothing(model: type[Any], name: str) -> None:
    relationship = sa.inspect(model).relationships[name]
    assert (relationship.viewonly, relationship.lazy) == (True, "raise")

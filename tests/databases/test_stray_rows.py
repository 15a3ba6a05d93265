"""No row strays: a session refuses what belongs to another app, and names both."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from streamhub_orm import Databases
from streamhub_orm.app_db import AppPlugin, IngressAuth, Meta, RestreamTarget, Stream, Vod
from streamhub_orm.errors import SessionEndedError, StrayRowError
from streamhub_orm.global_db import App
from streamhub_orm.global_db import Meta as GlobalMeta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh

LIVE, TV = 1, 2
"""The registry ids of the two apps."""
FOREIGN = [
    Vod(app_id=TV, name="v"),
    Stream(app_id=TV, stream_id="r/p", type="webrtc"),
    IngressAuth(app="tv-2", ingress_id="i"),
    RestreamTarget(app="tv-2", room="r", url="rtmp://h/k", url_masked="rtmp://h/***"),
]


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh(["tv-2"])) as opened:
        yield opened


def count(databases: Databases, app: str, model: type) -> int:
    with databases.app_session(app, read_only=True) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def load_plugin(databases: Databases, app: str) -> AppPlugin:
    """Return a plugin of an app after its session has ended."""
    with databases.app_session(app) as session:
        session.add(AppPlugin(plugin_id="chat"))
    with databases.app_session(app, read_only=True) as session:
        return session.get_one(AppPlugin, "chat")


def test_session_knows_its_app(databases: Databases) -> None:
    with databases.app_session("tv-2", read_only=True) as session:
        assert (session.info["app"], session.info["app_id"]) == ("tv-2", TV)
    with databases.global_session(read_only=True) as session:
        assert "app" not in session.info


def test_new_row_without_an_app_gets_that_of_its_session(databases: Databases) -> None:
    with databases.app_session("tv-2") as session:
        session.add_all([Vod(name="v"), IngressAuth(ingress_id="i")])
    with databases.app_session("tv-2", read_only=True) as session:
        assert session.scalars(sa.select(Vod.app_id)).all() == [TV]
        assert session.scalars(sa.select(IngressAuth.app)).all() == ["tv-2"]


@pytest.mark.parametrize("row", FOREIGN, ids=lambda row: type(row).__name__)
def test_new_row_that_names_another_app_is_refused_at_flush(
    databases: Databases, row: Vod | Stream | IngressAuth | RestreamTarget
) -> None:
    """The error names both apps, and nothing of the transaction stays."""
    with (  # noqa: PT012 - the flush is what must raise
        pytest.raises(StrayRowError, match=r"app 'tv-2'.*app 'live'") as refused,
        databases.app_session("live") as session,
    ):
        session.add(Meta(key="k"))
        session.add(pickle.loads(pickle.dumps(row)))  # noqa: S301 - our own, so each test has its own
        session.flush()
        pytest.fail("it was written")
    assert (refused.value.owner, refused.value.home) == ("app 'tv-2'", "app 'live'")
    assert "rtmp" not in str(refused.value)
    assert count(databases, "live", type(row)) == 0


def test_new_row_of_an_app_that_is_not_registered_is_refused(databases: Databases) -> None:
    with (
        pytest.raises(StrayRowError, match="app id 77, which no app has"),
        databases.app_session("live") as session,
    ):
        session.add(Vod(app_id=77, name="v"))


def test_old_row_that_names_another_app_can_be_changed(databases: Databases) -> None:
    """Imported rows keep what they had."""
    with databases.app_connection("live") as connection:
        connection.execute(sa.insert(Vod).values(app_id=TV, name="imported"))
    with databases.app_session("live") as session:
        session.scalars(sa.select(Vod)).one().name = "renamed"
    with databases.app_session("live", read_only=True) as session:
        vod = session.scalars(sa.select(Vod)).one()
    assert (vod.app_id, vod.name) == (TV, "renamed")


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("way", ["add", "merge", "delete"])
def test_object_loaded_from_another_app_is_refused(
    databases: Databases, way: str, *, changed: bool
) -> None:
    """The table has no column that says whose its rows are, and the other app has the same key."""
    load_plugin(databases, "live")
    stray = load_plugin(databases, "tv-2")
    if changed:
        stray.enabled = False
    with (
        pytest.raises(StrayRowError, match=r"app 'tv-2'.*app 'live'"),
        databases.app_session("live") as session,
    ):
        getattr(session, way)(stray)
    with databases.app_session("live", read_only=True) as session:
        assert session.get_one(AppPlugin, "chat").enabled


def test_object_written_in_another_app_is_refused(databases: Databases) -> None:
    """It was never loaded, but it is that app's row since the commit."""
    row = AppPlugin(plugin_id="chat")
    with databases.app_session("tv-2") as session:
        session.add(row)
    with pytest.raises(StrayRowError), databases.app_session("live") as session:
        session.add(row)


def test_object_of_the_same_app_comes_back_in_a_later_session(databases: Databases) -> None:
    """Detached, changed and added again: this is no stray, in whichever way it comes."""
    plugin = load_plugin(databases, "live")
    plugin.enabled = False
    with databases.app_session("live") as session:
        session.add(plugin)
    with databases.app_session("live") as session:
        session.merge(pickle.loads(pickle.dumps(plugin)))  # noqa: S301 - our own
    with databases.app_session("live", read_only=True) as session:
        assert not session.get_one(AppPlugin, "chat").enabled


def test_stray_survives_pickling(databases: Databases) -> None:
    """What came through a cache or a queue is still another app's."""
    stray = pickle.loads(pickle.dumps(load_plugin(databases, "tv-2")))  # noqa: S301 - our own
    with pytest.raises(StrayRowError), databases.app_session("live") as session:
        session.merge(stray)


def test_row_of_the_other_world_is_refused(databases: Databases) -> None:
    """Both worlds have a table of this name, so SQLite would take it."""
    with (
        pytest.raises(StrayRowError, match=r"the global database.*app 'live'"),
        databases.app_session("live") as session,
    ):
        session.add(GlobalMeta(key="k"))
    with (
        pytest.raises(StrayRowError, match=r"an app.*the global database"),
        databases.global_session() as session,
    ):
        session.add(Meta(key="k"))
    with databases.global_session() as session:
        assert session.get(GlobalMeta, "k") is None
        session.add(App(name="third"))


def test_session_cannot_be_used_after_its_end(databases: Databases) -> None:
    """Its connection may be another's by then. What it loaded can still be read."""
    with databases.app_session("live") as session:
        vod = Vod(name="v")
        session.add(vod)
    assert vod.name == "v"
    with pytest.raises(SessionEndedError, match="app 'live'"):
        session.scalars(sa.select(Vod))


def test_plain_session_checks_nothing(databases: Databases) -> None:
    """Whoever opens a session by other means keeps SQLAlchemy's behaviour."""
    with databases.app_connection("live") as connection, Session(connection) as session:
        session.add(Vod(app_id=TV, name="v"))
        session.flush()
    assert count(databases, "live", Vod) == 1

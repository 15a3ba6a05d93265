"""Checks that users of this package are given: they hold, and they fail where they should."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import StreamStatus, Vod, VodStatus
from streamhub_orm.global_db import App, Role, User
from streamhub_orm.services import ingress, memberships, tokens, users
from streamhub_orm.testing.checks import assert_no_row_strays, assert_uses_index
from streamhub_orm.testing.rows import (
    add_ingress,
    add_member,
    add_stream,
    add_tenant,
    add_token,
    add_user,
    add_vod,
)

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.storage import LocalStore


def test_a_statement_that_uses_an_index_passes(streamhub: Databases) -> None:
    with streamhub.app_session("live") as session:
        by_room = sa.select(Vod).where(Vod.room == sa.bindparam("room"))
        assert_uses_index(session, by_room, params={"room": "stage"})
        assert_uses_index(session, by_room, "idx_vods_room", {"room": "stage"})
        assert_uses_index(session, sa.select(Vod).where(Vod.id == 7))
        newest = sa.select(Vod).order_by(Vod.started_at.desc(), Vod.id.desc()).limit(5)
        assert_uses_index(session, newest)
        assert_uses_index(session, sa.delete(Vod).where(Vod.id.in_([1, 2])))
    with streamhub.global_session() as session:
        assert_uses_index(session, sa.select(User).where(User.id == "x"))


def test_a_statement_that_uses_none_fails_with_its_plan(streamhub: Databases) -> None:
    with streamhub.app_session("live") as session:
        with pytest.raises(AssertionError, match=r"no index is used by: SCAN vods"):
            assert_uses_index(session, sa.select(Vod).where(Vod.local_path == "x"))
        with pytest.raises(AssertionError, match=r"idx_vods_room is not used.*\n.*SEARCH vods"):
            assert_uses_index(session, sa.select(Vod).where(Vod.id == 7), "idx_vods_room")
        alias = sa.orm.aliased(Vod)
        joined = sa.select(Vod).join(alias, alias.local_path == Vod.local_path)
        with pytest.raises(AssertionError, match="no index is used"):
            assert_uses_index(session, joined)


def test_statements_on_a_server_are_looked_at_too(
    streamhub_place: DataDir, streamhub_global_url: str
) -> None:
    """A table of a few rows is walked over there; what counts is whether an index can serve."""
    with (
        Databases(streamhub_place.root, global_url=streamhub_global_url) as databases,
        databases.global_session() as session,
    ):
        by_id = sa.select(User).where(User.id == "x")
        assert_uses_index(session, by_id, "pk_users")
        assert_uses_index(session, lambda: session.get(User, "x"), "pk_users")
        with pytest.raises(AssertionError, match=r"no index is used by: .*Seq Scan on users"):
            assert_uses_index(session, sa.select(User).where(User.name == "x"))
        with pytest.raises(AssertionError, match=r"idx_users_email is not used.*\n.*Index Scan"):
            assert_uses_index(session, by_id, "idx_users_email")
        assert session.scalar(sa.text("SHOW enable_seqscan")) == "on"


def test_index_of_a_constraint_has_its_name_on_a_file(streamhub: Databases) -> None:
    with streamhub.global_session() as session:
        assert_uses_index(session, sa.select(User).where(User.id == "x"), "pk_users")
        assert_uses_index(session, sa.select(App.id).where(App.name == "x"), "uq_apps_name")
        assert_uses_index(session, sa.select(App.name).where(App.id == 1), "pk_apps")


def test_rows_of_another_app_are_found_and_named(streamhub: Databases) -> None:
    with streamhub.app_session("live") as session:
        add_vod(session)
        add_stream(session)
        add_ingress(session)
    with closing(sqlite3.connect(streamhub.place.app_db("live"))) as connection, connection:
        connection.execute("INSERT INTO vods (app_id, name) VALUES (0, 'of an unknown app')")
    assert_no_row_strays(streamhub)
    with closing(sqlite3.connect(streamhub.place.app_db("live"))) as connection, connection:
        connection.execute("INSERT INTO vods (app_id, name) VALUES (2, 'stray')")
        connection.execute("INSERT INTO ingress_auth (app, ingress_id) VALUES ('tv-2', 'i')")
    with pytest.raises(AssertionError, match="live: 1 in ingress_auth, live: 1 in vods"):
        assert_no_row_strays(streamhub)


def test_rows_are_what_was_asked_for(streamhub: Databases) -> None:
    with streamhub.app_session("live") as session:
        for status in VodStatus:
            assert add_vod(session, status=status, room="hall").status is status
        assert add_stream(session).status is StreamStatus.ACTIVE
        ended = add_stream(session, ended=True, room="hall")
        assert (ended.status, ended.room) == (StreamStatus.ENDED, "hall")
        secured = add_ingress(session, password="let me in").ingress_id  # noqa: S106
        assert not ingress.is_authorised(session, secured)
        assert ingress.is_authorised(session, add_ingress(session).ingress_id)
    with streamhub.global_session() as session:
        user = add_user(session, password="correct horse")  # noqa: S106
        team = add_tenant(session, owner=user)
        member = add_member(session, team, Role.EDITOR)
        assert memberships.find_role(session, team.id, user.id) is Role.OWNER
        assert memberships.find_role(session, team.id, member.id) is Role.EDITOR
        assert add_tenant(session).id != team.id
        token = add_token(session, app="live").plaintext
        email = user.email
    assert email
    assert users.authenticate(streamhub, email, "correct horse")
    assert tokens.check_request(streamhub, token, address=None, app="live")


def test_the_store_is_a_folder(streamhub: Databases, streamhub_store: LocalStore) -> None:
    stored = streamhub_store.put(streamhub.place.app_db("live"), "live/app.db")
    assert streamhub_store.head("live/app.db").sha256 == stored.sha256

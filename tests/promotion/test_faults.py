"""Faults amid a promotion or demotion: a server that dies, a full disk, locks that do not come."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import (
    CommitInDoubtError,
    ConnectionLostError,
    ControlPlaneBusyError,
    ControlPlaneError,
    HalfDoneError,
    PromotedDatabaseError,
    PromotionError,
    SpaceError,
    StreamHubError,
)
from streamhub_orm.global_db import App
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.promotion import copying
from streamhub_orm.promotion import promote as promotion
from streamhub_orm.promotion import sides as both
from streamhub_orm.promotion.demote import demote
from streamhub_orm.promotion.promote import promote, undo_promotion
from streamhub_orm.promotion.status import read_global_status
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.testing.postgresql import start_postgres
from tests.promotion.conftest import Sides
from tests.promotion.contents import fill, read_all, rows_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamhub_orm.testing.plugin import MakeStreamHub
    from streamhub_orm.testing.postgresql import PostgresServer


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    with start_postgres() as server:
        yield server


@pytest.fixture
def mortal(own_server: PostgresServer, make_streamhub: MakeStreamHub) -> Iterator[Sides]:
    place = make_streamhub()
    fill(place.global_db)
    yield Sides(place, own_server.create("mortal"))
    own_server.drop("mortal")


def takes_writes(found: Sides) -> bool:
    with closing(sqlite3.connect(found.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("INSERT INTO tenants (id, name) VALUES ('probe', '')")
        except sqlite3.IntegrityError:
            return False
        finally:
            connection.execute("ROLLBACK")
        return True


def killing(server: PostgresServer, work: Callable[..., Any], at: int = 1) -> Callable[..., Any]:
    """Return the same function, at whose n-th call the server is killed first."""
    calls = 0

    def killed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if calls == at:
            server.kill()
        return work(*arguments, **options)

    return killed


@pytest.mark.parametrize("point", ["copy_to_server", "hash_of_server", "write_mark"])
def test_server_killed_before_the_commit_leaves_the_file_as_it_was(
    mortal: Sides, own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """At the mark the file is fenced already: the fence is lifted again."""
    with Databases(mortal.root) as databases:
        expected = read_all(databases)
    at, module = (1, promotion) if point == "write_mark" else (5, copying)
    with monkeypatch.context() as patch:
        patch.setattr(module, point, killing(own_server, getattr(module, point), at))
        with pytest.raises(ConnectionLostError) as error:
            promote(mortal.root, mortal.url)
    assert error.value.exit_code == 3
    assert takes_writes(mortal)
    own_server.start()
    with Databases(mortal.root) as databases:
        assert read_all(databases) == expected
    assert promote(mortal.root, mortal.url).changed
    with Databases(mortal.root, global_url=mortal.text) as databases:
        assert read_all(databases) == expected


@pytest.mark.parametrize("is_committed", [False, True])
def test_server_killed_amid_the_commit_leaves_neither_side_writable_until_it_is_known(
    mortal: Sides,
    own_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    is_committed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    commit = both._commit

    def interrupted(server: Any, name: str) -> None:  # noqa: ANN401
        if is_committed:
            server.execute("SET synchronous_commit = on")
            commit(server, name)
        own_server.kill()
        raise CommitInDoubtError(name)

    with monkeypatch.context() as patch:
        patch.setattr(both, "_commit", interrupted)
        with pytest.raises(HalfDoneError, match="--undo") as error:
            promote(mortal.root, mortal.url)
    assert error.value.exit_code == 1
    assert not takes_writes(mortal)
    with pytest.raises(ControlPlaneError):
        undo_promotion(mortal.root, mortal.url)
    assert not takes_writes(mortal)
    found = read_global_status(mortal.root, mortal.url)
    assert (found.where, found.under_way) == (None, "promotion")
    own_server.start()
    found = read_global_status(mortal.root, mortal.url)
    assert (found.where, found.under_way) == ("server" if is_committed else None, "promotion")
    with (
        pytest.raises(PromotedDatabaseError, match="being promoted to"),
        Databases(mortal.root) as databases,
        databases.global_session(),
    ):
        pass
    if is_committed:
        with pytest.raises(PromotionError, match="has its rows"):
            undo_promotion(mortal.root, mortal.url)
        assert not takes_writes(mortal)
    else:
        assert undo_promotion(mortal.root, mortal.url).changed
        assert takes_writes(mortal)
    assert promote(mortal.root, mortal.url).changed
    with Databases(mortal.root, global_url=mortal.text) as databases:
        assert len(read_all(databases)["apps"]) == 3


def test_copy_that_differs_is_given_up(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    real = copying.copy_to_server

    def falsify(server: Any, *rest: Any) -> Any:  # noqa: ANN401
        done = real(server, *rest)
        server.execute("UPDATE apps SET display_name = 'false' WHERE id = 7")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy_to_server", falsify)
        with pytest.raises(StreamHubError, match="apps has other values"):
            promote(sides.root, sides.url)
    assert takes_writes(sides)


def test_file_that_cannot_be_unfenced_says_half(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up between the fence and its end: the next run lifts it or goes on."""
    real = both.write_file_mark

    def fail(path: Any, mark: Any, **options: Any) -> None:  # noqa: ANN401
        if mark is None:
            raise SpaceError(path, "no room", "room", "Free space.")
        real(path, mark, **options)

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "write_mark", lambda *_: 1 / 0)
        patch.setattr(promotion, "write_file_mark", fail)
        with pytest.raises(HalfDoneError):
            promote(sides.root, sides.url)
    assert not takes_writes(sides)
    assert undo_promotion(sides.root, sides.url).changed
    assert takes_writes(sides)


def test_server_that_somebody_reads_all_the_while_is_waited_for_at_most_so_long(
    sides: Sides, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(sides.root, sides.url)
    demote(sides.root, sides.url)
    name = str(sides.url.url.database)
    postgres.drop(name)
    postgres.create(name)
    with Databases(sides.root) as databases:
        expected = read_all(databases)
    promote(sides.root, sides.url)
    steady = tuple(it.replace("60s", "100ms") for it in both._STEADY)
    monkeypatch.setattr(both, "_STEADY", steady)
    with postgres.connect(name) as other:
        other.execute("BEGIN")
        other.execute("UPDATE apps SET display_name = display_name WHERE id = 7")
        with pytest.raises(ControlPlaneBusyError):
            demote(sides.root, sides.url)
        other.execute("ROLLBACK")
    with Databases(sides.root, global_url=sides.text) as databases:
        assert read_all(databases) == expected
        with databases.global_session() as session:
            session.add(App(name="goes-on"))


def test_promotion_of_another_url_while_one_is_under_way_is_refused(
    sides: Sides, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object, name: str) -> None:
        raise CommitInDoubtError(name)

    with monkeypatch.context() as patch:
        patch.setattr(both, "_commit", interrupted)
        with pytest.raises(HalfDoneError):
            promote(sides.root, sides.url)
    name = f"another_{os.getpid()}"
    other = postgres.create(name)
    try:
        url: Final = ServerUrl.parse(other, "x")
        for attempt in (promote, undo_promotion):
            with pytest.raises(PromotionError, match="under way"):
                attempt(sides.root, url)
    finally:
        postgres.drop(name)
    before = rows_of_file(sides.file)
    assert promote(sides.root, sides.url).changed
    assert rows_of_file(sides.file) == before


def test_user_who_may_not_read_the_server_is_told_so(
    sides: Sides, postgres: PostgresServer
) -> None:
    name = str(sides.url.url.database)
    engine = ServerEngine(sides.url)
    upgrade_server(engine)
    engine.close()
    user = f"stranger_{os.getpid()}"
    with postgres.connect(name) as connection:
        connection.execute(f"CREATE USER {user} PASSWORD 'secret-password'")
    text = sides.text.replace(f"{postgres.user}:{postgres.password}", f"{user}:secret-password")
    try:
        for attempt in (promote, demote):
            with pytest.raises(ControlPlaneError) as error:
                attempt(sides.root, ServerUrl.parse(text, "x"))
            assert "permission denied" in str(error.value)
            assert "secret-password" not in str(error.value)
        assert not promote(sides.root, ServerUrl.parse(text, "x"), dry_run=True).ok
    finally:
        with postgres.connect() as connection:
            connection.execute(f"DROP USER {user}")
    assert takes_writes(sides)

"""Sessions: pragmas, commit and rollback, read-only snapshots, and no lost update."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Meta, Vod
from streamhub_orm.errors import OpenAppsError, SessionEndedError
from streamhub_orm.global_db import App, Membership
from streamhub_orm.services import vods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from tests.databases.conftest import MakeFresh

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh(["tv-2"])) as opened:
        yield opened


def pragma(session: Session, name: str) -> object:
    return session.scalar(sa.text(f"PRAGMA {name}"))


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("world", ["global", "app"])
def test_session_has_the_pragmas_of_the_contract(
    databases: Databases, world: str, *, read_only: bool
) -> None:
    """foreign_keys ON, synchronous NORMAL, WAL, busy timeout 5 s, on whichever connection."""
    opened = (
        databases.global_session(read_only=read_only)
        if world == "global"
        else databases.app_session("live", read_only=read_only)
    )
    with opened as session:
        names = ("foreign_keys", "synchronous", "journal_mode", "busy_timeout", "query_only")
        assert [pragma(session, name) for name in names] == [1, 1, "wal", 5000, int(read_only)]


def test_every_connection_of_the_pool_has_the_pragmas(databases: Databases) -> None:
    """Readers at the same time get connections of their own, each set up alike."""
    gate = threading.Barrier(6)

    def look(_: int) -> list[object]:
        with databases.app_session("live", read_only=True) as session:
            gate.wait(timeout=30)
            return [pragma(session, name) for name in ("foreign_keys", "synchronous")]

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(look, range(6))) == [[1, 1]] * 6


def test_session_commits_at_the_end_and_rolls_back_on_an_error(databases: Databases) -> None:
    """What was written before the error is gone, what came in another session stays."""
    with databases.app_session("live") as session:
        session.add(Vod(name="kept"))
    with pytest.raises(KeyError), databases.app_session("live") as session:  # noqa: PT012
        session.add(Vod(name="gone"))
        session.flush()
        raise KeyError
    with databases.app_session("live") as session:
        assert list(session.scalars(sa.select(Vod.name))) == ["kept"]


def test_session_that_met_an_error_leaves_no_lock_behind(databases: Databases) -> None:
    """The next writer, in another connection, writes at once."""
    with pytest.raises(sa.exc.IntegrityError), databases.app_session("live") as session:  # noqa: PT012
        session.execute(sa.text("INSERT INTO vods (app_id, name) VALUES (1, 'x')"))
        session.execute(sa.text("INSERT INTO vods (app_id) VALUES (1)"))
    path = databases.place.app_db("live")
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("INSERT INTO vods (app_id, name) VALUES (1, 'y')")
    with databases.app_session("live", read_only=True) as session:
        assert list(session.scalars(sa.select(Vod.name))) == ["y"]


def test_read_only_session_cannot_write(databases: Databases) -> None:
    """SQLite itself refuses; the connection can write again in the next session."""
    with (
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        databases.app_session("live", read_only=True) as session,
    ):
        session.add(Vod(name="x"))
    with databases.app_session("live") as session:
        assert session.scalar(sa.select(sa.func.count(Vod.id))) == 0
        session.add(Vod(name="y"))
    with databases.app_session("live", read_only=True) as session:
        assert list(session.scalars(sa.select(Vod.name))) == ["y"]


@pytest.mark.parametrize("change", ["add", "set", "delete"])
def test_read_only_session_refuses_what_waits_at_its_end(databases: Databases, change: str) -> None:
    """Nothing that was to be written is dropped without a word."""
    with databases.app_session("live") as session:
        session.add(Vod(id=1, name="kept"))
    with (  # noqa: PT012 - the end of the block is what raises
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        databases.app_session("live", read_only=True) as session,
    ):
        vod = session.get_one(Vod, 1)
        if change == "add":
            session.add(Vod(name="new"))
        elif change == "set":
            vod.name = "changed"
        else:
            session.delete(vod)
    with databases.app_session("live", read_only=True) as session:
        assert list(session.scalars(sa.select(Vod.name))) == ["kept"]


def test_commit_inside_a_writing_block_ends_it(databases: Databases) -> None:
    """The block is one transaction: what follows a commit is refused, not half of it kept."""
    with databases.app_session("live") as session:
        session.add(Vod(name="first"))
        session.commit()
        with pytest.raises(SessionEndedError, match="Open a new session"):
            session.scalar(sa.select(Vod.id))
    with databases.app_session("live") as session:
        assert list(session.scalars(sa.select(Vod.name))) == ["first"]


def test_block_whose_flush_failed_does_not_end_as_if_all_were_kept(databases: Databases) -> None:
    """Whoever swallows the error of a flush is told at the end that nothing was committed."""
    with (  # noqa: PT012 - the end of the block is what raises
        pytest.raises(sa.exc.PendingRollbackError, match="NOT NULL constraint failed"),
        databases.app_session("live") as session,
    ):
        session.add(Vod(name="first"))
        session.flush()
        session.add(Vod(name=None))
        with suppress(sa.exc.IntegrityError):
            session.flush()
    with databases.app_session("live") as session:
        assert session.scalars(sa.select(Vod.name)).all() == []


def test_rollback_inside_a_writing_block_ends_it(databases: Databases) -> None:
    with databases.app_session("live") as session:
        session.add(Vod(name="first"))
        session.rollback()
        with pytest.raises(SessionEndedError):
            session.add(Vod(name="second"))
    with databases.app_session("live") as session:
        assert session.scalars(sa.select(Vod.name)).all() == []


USES: list[Callable[[Session], object]] = [
    lambda session: session.scalar(sa.select(Vod.id)),
    lambda session: session.execute(sa.select(Vod.id)),
    lambda session: session.get(Vod, 1),
    lambda session: session.add(Vod(name="late")),
    lambda session: session.connection(),
    lambda session: session.begin(),
    lambda session: vods.get(session, 1),
    lambda session: vods.create(session, name="late"),
    vods.list_,
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("end", ["end", "error", "close"])
@pytest.mark.parametrize("read_only", [False, True])
def test_session_of_an_ended_block_cannot_be_used(
    databases: Databases, use: Callable[[Session], object], end: str, *, read_only: bool
) -> None:
    """Its connection may be another's by then. What was loaded can be read."""
    with databases.app_session("live") as session:
        session.add(Vod(id=1, name="kept"))
    with (
        suppress(KeyError),
        databases.app_session("live", read_only=read_only) as session,
    ):
        vod = session.get_one(Vod, 1)
        if end == "error":
            raise KeyError
    if end == "close":
        databases.close()
    with pytest.raises(SessionEndedError, match="app 'live'") as refused:
        use(session)
    assert "Open a new session" in str(refused.value)
    assert end == "error" or vod.name == "kept"  # a rollback forgets it


def test_fewer_than_one_open_app_is_refused(databases: Databases) -> None:
    for number in (0, -1):
        with pytest.raises(OpenAppsError, match=f"found {number}; expected 1 or more"):
            Databases(databases.place.root, max_open_apps=number)


def test_read_only_session_sees_one_snapshot_and_stops_no_writer(databases: Databases) -> None:
    """A row that is committed meanwhile shows in the next session, not in this one."""
    count = sa.select(sa.func.count(Vod.id))
    with databases.app_session("live", read_only=True) as reader:
        assert reader.scalar(count) == 0
        with databases.app_session("live") as writer:
            writer.add(Vod(name="x"))
        assert reader.scalar(count) == 0
    with databases.app_session("live", read_only=True) as reader:
        assert reader.scalar(count) == 1


def test_connections_commit_and_roll_back_as_sessions_do(databases: Databases) -> None:
    """app_connection and global_connection are one transaction each."""
    insert = sa.insert(Vod).values(app_id=1, name="x")
    with databases.app_connection("live") as connection:
        connection.execute(insert)
    with pytest.raises(KeyError), databases.app_connection("live") as connection:  # noqa: PT012
        connection.execute(insert)
        raise KeyError
    with databases.app_connection("live", read_only=True) as connection:
        assert connection.scalar(sa.select(sa.func.count(Vod.id))) == 1
    with databases.global_connection(read_only=True) as connection:
        assert connection.scalars(sa.select(App.name)).all() == ["live", "tv-2"]


def test_foreign_keys_hold_in_sessions(databases: Databases) -> None:
    """A row that points to no row is refused."""
    with pytest.raises(sa.exc.IntegrityError), databases.global_session() as session:
        session.add(Membership(user_id="nobody", tenant_id="platform"))


COUNTING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from streamhub_orm import Databases
from streamhub_orm.app_db import Meta

THREADS, ROUNDS = 8, 6
with Databases(sys.argv[1]) as databases:
    def count(_):
        for _ in range(ROUNDS):
            with databases.app_session("live") as session:
                row = session.get(Meta, "counter")
                row.value = str(int(row.value) + 1)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(count, range(THREADS)))
"""


def test_read_then_write_by_threads_of_processes_loses_no_update(databases: Databases) -> None:
    """Four processes of eight threads count together; none meets a locked database."""
    with databases.app_session("live") as session:
        session.add(Meta(key="counter", value="0"))
    command = [sys.executable, "-c", COUNTING, str(databases.place.root)]
    running = [
        subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, errors
    with databases.app_session("live") as session:
        counter = session.get(Meta, "counter")
        assert counter is not None
        assert counter.value == str(4 * 8 * 6)

"""Locked databases: one error everywhere, which names the holder; and work that is done again."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases, retrying
from streamhub_orm.app_db import Meta, Vod
from streamhub_orm.engine import connections
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.forks import TrackedConnection
from streamhub_orm.engine.lock_holders import find_writer
from streamhub_orm.errors import (
    DatabaseReplacedError,
    LockedDatabaseError,
    SessionSharedError,
    StrayRowError,
)
from streamhub_orm.global_db import App
from streamhub_orm.services import vods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session
    from tenacity import RetryCallState

    from tests.databases.conftest import MakeFresh

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = " + sys.argv[2])
connection.execute(sys.argv[3])
connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("ready", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""


Holder: TypeAlias = "subprocess.Popen[str]"


@contextmanager
def held(path: Path, mode: str = "WAL", begin: str = "BEGIN IMMEDIATE") -> Iterator[Holder]:
    """Have another process hold the write lock until the end, or until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, str(path), mode, begin]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        yield holder
        holder.stdin.close()
        assert holder.wait(30) == 0


@pytest.fixture
def databases(make_fresh: MakeFresh, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    """An open installation whose connections wait 0.2 s instead of 5."""
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 0.2)
    with Databases(make_fresh()) as opened:
        with opened.app_session("live"), opened.global_session():
            pass
        yield opened


def first_statement(databases: Databases) -> None:
    with databases.app_session("live") as session:
        session.scalar(sa.select(Vod.name))


def flush(databases: Databases) -> None:
    with databases.app_session("live") as session:
        session.add(Vod(name="x"))


def by_key(databases: Databases) -> None:
    with databases.app_session("live") as session:
        session.get(Vod, 1)


def connection(databases: Databases) -> None:
    with databases.app_connection("live") as opened:
        opened.execute(sa.insert(Vod).values(app_id=1, name="x"))


def service(databases: Databases) -> None:
    with databases.app_session("live") as session:
        vods.find_by_egress(session, "EG_1")


def in_global(databases: Databases) -> None:
    with databases.global_session() as session:
        session.add(App(name="tv-2"))


@pytest.mark.parametrize("use", [first_statement, flush, by_key, connection, service, in_global])
def test_locked_database_says_who_holds_it_and_how_long_it_was_waited_for(
    databases: Databases, use: Callable[[Databases], None]
) -> None:
    place = databases.place
    path = place.global_db if use is in_global else place.app_db("live")
    with held(path) as holder:
        process = holder.pid
        with pytest.raises(LockedDatabaseError) as refused:
            use(databases)
        error = refused.value
        assert error.path == path
        assert error.holder is not None
        assert error.holder.startswith(f"process {process} (python")
        assert error.waited_seconds is not None
        assert 0.15 < error.waited_seconds < 4
        assert str(process) in str(error)
        assert str(process) not in error.public_message
        assert error.may_be_repeated
        assert isinstance(error.__cause__, sqlite3.OperationalError)
    use(databases)


def test_upgrade_of_a_connection_that_reads_to_one_that_writes_is_not_needed(
    databases: Databases,
) -> None:
    """A read-only session waits for no writer."""
    with held(databases.place.app_db("live")), databases.app_session("live", read_only=True) as it:
        assert it.scalar(sa.select(sa.func.count(Vod.id))) == 0


def test_session_of_this_process_is_named_as_the_holder(databases: Databases) -> None:
    with databases.app_session("live") as outer:
        outer.scalar(sa.select(Vod.name))
        with pytest.raises(LockedDatabaseError, match="by another session of this process"):
            flush(databases)


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_holder_is_found_in_both_modes(tmp_path: Path, mode: str, begin: str) -> None:
    path = tmp_path / "one.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (x)")
    assert find_writer(path) is None
    with held(path, mode, begin) as holder:
        assert (find_writer(path) or "").startswith(f"process {holder.pid} (python")
    assert find_writer(path) is None


def test_open_of_a_locked_file_says_who_holds_it(databases: Databases) -> None:
    databases.close_app("live")
    path = databases.place.app_db("live")
    with held(path, "DELETE", "BEGIN EXCLUSIVE") as holder:
        with pytest.raises(LockedDatabaseError) as refused, databases.app_session("live"):
            pytest.fail("a session on a locked file")
        assert (refused.value.holder or "").startswith(f"process {holder.pid} ")


# --- retrying ---------------------------------------------------------------------------------


def test_block_beside_a_busy_writer_is_done_again(databases: Databases) -> None:
    """The writer ends after the first attempt; what the block adds is there once."""
    faults: list[object] = []
    with held(databases.place.app_db("live")) as holder:

        def let_go(state: RetryCallState) -> None:
            faults.append(state.outcome and type(state.outcome.exception()))
            assert holder.stdin is not None
            holder.stdin.close()
            assert holder.wait(30) == 0

        for attempt in retrying.attempts(before_pause=let_go):
            with attempt, databases.app_session("live") as session:
                session.add(Vod(name="once"))
    assert faults == [LockedDatabaseError]
    with databases.app_session("live", read_only=True) as session:
        assert session.scalars(sa.select(Vod.name)).all() == ["once"]


def test_function_is_done_again_a_bounded_number_of_times() -> None:
    tried = []

    def work(argument: str) -> None:
        tried.append(argument)
        raise DatabaseReplacedError(Path("/data/app.db"))

    with pytest.raises(DatabaseReplacedError):
        retrying.attempts(4, longest_pause_seconds=0.001)(work, "x")
    assert tried == ["x"] * 4


@pytest.mark.parametrize(
    "error", [KeyError("x"), StrayRowError("row", "tv-2", "live"), KeyboardInterrupt()]
)
def test_other_errors_are_raised_at_once(error: BaseException) -> None:
    """A row that is refused is refused again, and what a KeyError left behind is not known."""
    tried = []

    def work() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)):
        retrying.attempts()(work)
    assert tried == [1]


def test_no_attempt_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 attempts"):
        retrying.attempts(0)


def test_writers_that_collide_all_get_through(databases: Databases) -> None:
    """Each waits 0.2 s for a lock that is held most of the time, and tries again."""

    def write(number: int) -> None:
        for attempt in retrying.attempts(50, longest_pause_seconds=0.05):
            with attempt, databases.app_session("live") as session:
                session.add(Meta(key=str(number), value="x"))
                session.flush()
                time.sleep(0.04)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(24)))
    with databases.app_session("live", read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count(Meta.key)).where(Meta.value == "x")) == 24


# --- one session, two threads -------------------------------------------------------------------

SLOW: Final = sa.text(
    "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
    "SELECT count(*) FROM n"
)


@pytest.mark.parametrize("use", [vods.list_, partial(vods.get, vod_id=1)])
def test_session_that_another_thread_is_using_is_refused(
    databases: Databases, use: Callable[[Session], object]
) -> None:
    """The statement under way ends as if nothing had been."""
    with databases.app_session("live") as session, ThreadPoolExecutor(1) as threads:
        session.add(Vod(name="x"))
        session.flush()
        running = threads.submit(lambda: session.connection().execute(SLOW).scalar())
        raw = raw_connection(session.connection())
        assert isinstance(raw, TrackedConnection)
        while not raw.turn.locked():
            assert not running.done()
        with pytest.raises(SessionSharedError, match="in each thread"):
            use(session)
        assert running.result(30) == 3000001


def test_session_may_be_handed_from_thread_to_thread(databases: Databases) -> None:
    """As web frameworks do: a dependency is entered, used and left in threads of a pool."""
    block = databases.app_session("live")
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        session = first.submit(block.__enter__).result(30)
        second.submit(lambda: session.add(Vod(name="handed"))).result(30)
        first.submit(block.__exit__, None, None, None).result(30)
    with databases.app_session("live", read_only=True) as session:
        assert session.scalars(sa.select(Vod.name)).all() == ["handed"]

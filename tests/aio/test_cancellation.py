"""What a cancelled task leaves: nothing that was not committed, and no lock."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import Vod
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

# Minutes of work, all of it inside SQLite.
_MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
READ = sa.text(f"{_MANY} SELECT max(i) FROM n")
CHANGE = sa.text(f"{_MANY} UPDATE vods SET size_bytes = (SELECT max(i) FROM n)")
ADD = sa.text("INSERT INTO vods (app_id, name) VALUES (1, :name)")
UNREAD = sa.text("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")


def rows_after_a_write_without_waiting(databases: AsyncDatabases, app: str = "live") -> list[str]:
    """Write as another process does; return what was committed before."""
    with closing(sqlite3.connect(databases.sync.place.app_db(app), timeout=0)) as other, other:
        found = [name for (name,) in other.execute("SELECT name FROM vods ORDER BY id")]
        other.execute("INSERT INTO vods (app_id, name) VALUES (1, 'from outside')")
    return found


class Steps:
    """Functions that tell when they have come to the point."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.go = threading.Event()
        self.went_on = False

    def read(self, session: Session) -> None:
        session.add(Vod(name="gone"))
        session.flush()
        self.there.set()
        session.execute(READ)
        self.went_on = True

    def change(self, session: Session) -> None:
        session.add(Vod(name="gone"))
        session.flush()
        self.there.set()
        session.execute(CHANGE)
        self.went_on = True

    def read_amid_a_result(self, session: Session) -> None:
        """With interrupt() of SQLite no ROLLBACK would succeed."""
        session.execute(ADD, {"name": "gone"})
        unread = session.execute(UNREAD)
        unread.fetchone()
        self.read(session)
        unread.close()

    def catch_too_much(self, session: Session) -> None:
        """SQLite has rolled back by then; what follows would be committed on its own."""
        try:
            self.change(session)
        except Exception:  # noqa: BLE001 - as some code does
            with pytest.raises(sa.exc.OperationalError, match="interrupted"):
                session.connection().exec_driver_sql("INSERT INTO vods (app_id) VALUES (1)")

    def work_in_python(self, session: Session) -> None:
        session.add(Vod(name="gone"))
        session.flush()
        self.there.set()
        assert self.go.wait(20)

    def end_early(self, session: Session) -> None:
        session.add(Vod(name="gone"))
        self.there.set()
        assert self.go.wait(20)
        session.commit()
        self.went_on = True

    def many_small_ones(self, session: Session) -> None:
        session.add(Vod(name="gone"))
        self.there.set()
        while True:
            session.execute(UNREAD).all()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "function",
    [
        Steps.read,
        Steps.change,
        Steps.read_amid_a_result,
        Steps.catch_too_much,
        Steps.work_in_python,
        Steps.end_early,
        Steps.many_small_ones,
    ],
)
def test_task_cancelled_within_its_function_is_rolled_back(
    make_fresh: MakeFresh, function: Callable[[Steps, Session], None], times: int
) -> None:
    """Also where it is cancelled again while it cleans up."""

    async def story() -> None:
        steps = Steps()
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live")
            task = asyncio.create_task(session.run(lambda it: function(steps, it)))
            await asyncio.to_thread(steps.there.wait)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.002)
            steps.go.set()
            with pytest.raises(asyncio.CancelledError) as raised:
                async with asyncio.timeout(10):
                    await task
            assert not steps.went_on
            assert not hasattr(raised.value, "__notes__")
            assert rows_after_a_write_without_waiting(databases) == []
            assert await session.run(lambda it: it.scalar(sa.text("SELECT name FROM vods")))
            assert await databases.close_app("live"), "a lease is out"

    asyncio.run(story())


def test_timeout_of_a_long_statement_is_a_timeout(make_fresh: MakeFresh) -> None:
    async def story() -> float:
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live", read_only=True)
            await session.run(lambda _: None)
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await session.run(lambda it: it.scalar(READ))
            return time.monotonic() - begun

    assert asyncio.run(story()) < 5


def test_task_cancelled_before_it_had_a_thread_or_its_turn_does_nothing(
    make_fresh: MakeFresh,
) -> None:
    called: list[Session] = []

    async def story() -> None:
        steps = Steps()
        async with AsyncDatabases(make_fresh(["tv-2"]), threads=1) as databases:
            session = databases.app_session("live")
            held = asyncio.create_task(session.run(steps.work_in_python))
            await asyncio.to_thread(steps.there.wait)
            waiting = [
                asyncio.create_task(it.run(called.append))
                for it in (session, databases.app_session("tv-2"))
            ]
            await asyncio.sleep(0.01)
            for task in waiting:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(asyncio.shield(task), 5)
            assert not held.done()
            steps.go.set()
            await held
            await session.run(lambda _: None)

    asyncio.run(story())
    assert called == []


def test_task_cancelled_after_a_commit_is_told_of_it(make_fresh: MakeFresh) -> None:
    """The second session does not begin, however the function goes on."""
    steps = Steps()

    def work(databases: Databases) -> None:
        with databases.app_connection("live") as connection:
            connection.execute(ADD, {"name": "kept"})
        steps.there.set()
        assert steps.go.wait(20)
        with databases.app_session("live") as session:
            session.add(Vod(name="gone"))
            steps.went_on = True

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            task = asyncio.create_task(databases.run(work))
            await asyncio.to_thread(steps.there.wait)
            task.cancel()
            await asyncio.sleep(0)
            steps.go.set()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            assert raised.value.__notes__ == ["1 transaction(s) had been committed by then."]
            assert not steps.went_on
            assert rows_after_a_write_without_waiting(databases) == ["kept"]

    asyncio.run(story())


def test_function_on_a_connection_is_rolled_back(make_fresh: MakeFresh) -> None:
    steps = Steps()

    def work(databases: Databases) -> None:
        with databases.app_connection("live") as connection:
            connection.execute(ADD, {"name": "gone"})
            steps.there.set()
            assert steps.go.wait(20)

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            task = asyncio.create_task(databases.run(work))
            await asyncio.to_thread(steps.there.wait)
            task.cancel()
            await asyncio.sleep(0)
            steps.go.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert rows_after_a_write_without_waiting(databases) == []

    asyncio.run(story())


def test_writers_who_wait_behind_a_cancelled_one_go_on(make_fresh: MakeFresh) -> None:
    async def story() -> None:
        steps = Steps()
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live")
            first = asyncio.create_task(session.run(steps.read))
            others = [
                asyncio.create_task(session.run(lambda it, n=n: it.add(Vod(name=n))))  # type: ignore[misc]
                for n in "abc"
            ]
            await asyncio.to_thread(steps.there.wait)
            others[0].cancel()
            first.cancel()
            await asyncio.wait([first, *others], timeout=20)
            assert [it.cancelled() for it in (first, *others)] == [True, True, False, False]
            assert rows_after_a_write_without_waiting(databases) == ["b", "c"]

    asyncio.run(story())


def test_stop_leaves_the_work_of_ordinary_threads_alone(make_fresh: MakeFresh) -> None:
    """A connection that a stopped task had is nobody's afterwards, or as new."""

    async def story() -> None:
        steps = Steps()
        async with AsyncDatabases(make_fresh()) as databases:
            task = asyncio.create_task(databases.app_session("live").run(steps.work_in_python))
            await asyncio.to_thread(steps.there.wait)
            task.cancel()
            await asyncio.sleep(0)
            steps.go.set()
            await asyncio.wait([task])
            count = f"{_MANY.replace('2000000000', '200000')} SELECT count(*) FROM n"

            def work() -> object:
                with databases.sync.app_session("live") as session:
                    return session.scalar(sa.text(count))

            assert await asyncio.to_thread(work) == 200_000

    asyncio.run(story())

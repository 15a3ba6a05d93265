"""What a cancelled task leaves on a control plane: no transaction, and no statement at work."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.errors import TransactionConflictError
from streamhub_orm.global_db import App, Tenant
from streamhub_orm.postgresql.engine import connect
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.postgresql.dialect import ServerConnection

    Story = Callable[[AsyncDatabases], Coroutine[None, None, None]]

SLEEP = sa.text("SELECT pg_sleep(60)")
LOCK = sa.text("UPDATE tenants SET name = 'x' WHERE id = 'platform'")
CONFLICT = TransactionConflictError("the server")
TELL = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""


@pytest.fixture
def other(streamhub_global_url: str) -> Iterator[ServerConnection]:
    """A connection of somebody else's."""
    with connect(ServerUrl.parse(streamhub_global_url, "the test's")) as connection:
        yield connection


@pytest.fixture
def play(streamhub_place: DataDir, streamhub_global_url: str) -> Callable[[Story], None]:
    def run(story: Story) -> None:
        async def whole() -> None:
            url = streamhub_global_url
            async with AsyncDatabases(streamhub_place.root, global_url=url) as databases:
                await story(databases)

        asyncio.run(whole())

    return run


def require_idle(other: ServerConnection) -> None:
    deadline = time.monotonic() + 5
    while other.execute(TELL).fetchone() != (0,):
        assert time.monotonic() < deadline, "a transaction is open"
        time.sleep(0.02)


class Steps:
    """Functions that tell when they have come to the point."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.went_on = False

    def sleep(self, session: Session) -> None:
        session.add(Tenant(id="gone", name="gone"))
        session.flush()
        self.there.set()
        session.execute(SLEEP)
        self.went_on = True

    def wait_for_a_lock(self, session: Session) -> None:
        session.add(Tenant(id="gone", name="gone"))
        session.flush()
        self.there.set()
        session.execute(LOCK)
        self.went_on = True

    def catch_too_much(self, session: Session) -> None:
        session.add(Tenant(id="gone", name="gone"))
        session.flush()
        self.there.set()
        try:
            session.execute(SLEEP)
        except Exception:  # noqa: BLE001 - as some code does
            session.rollback()
            session.add(Tenant(id="gone", name="gone"))
            session.flush()
        self.went_on = True

    def many_small_ones(self, session: Session) -> None:
        session.add(Tenant(id="gone", name="gone"))
        session.flush()
        self.there.set()
        while True:
            session.execute(sa.text("SELECT 1")).all()


@pytest.mark.parametrize(
    "function",
    [Steps.sleep, Steps.wait_for_a_lock, Steps.catch_too_much, Steps.many_small_ones],
)
def test_cancelled_task_stops_its_statement_and_leaves_no_transaction(
    play: Callable[[Story], None],
    other: ServerConnection,
    function: Callable[[Steps, Session], None],
) -> None:
    async def story(databases: AsyncDatabases) -> None:
        steps = Steps()
        sessions = databases.global_session()
        await sessions.run(lambda it: it.scalar(sa.select(App.id)))
        with other.transaction():
            if function is Steps.wait_for_a_lock:
                other.execute(str(LOCK))
            task = asyncio.create_task(sessions.run(lambda it: function(steps, it)))
            await asyncio.to_thread(steps.there.wait)
            await asyncio.sleep(0.05)
            begun = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                async with asyncio.timeout(5):
                    await task
            assert time.monotonic() - begun < 2
        assert not steps.went_on
        assert not hasattr(raised.value, "__notes__")
        await asyncio.to_thread(require_idle, other)
        names = await sessions.run(lambda it: it.scalars(sa.select(Tenant.id)).all())
        assert names == ["platform"]

    play(story)


def test_task_cancelled_while_it_waits_for_its_turn_does_nothing(
    play: Callable[[Story], None], other: ServerConnection
) -> None:
    called: list[bool] = []

    def work(databases: Databases) -> None:
        with databases.global_session(turn="quota acme"):
            called.append(True)

    async def story(databases: AsyncDatabases) -> None:
        await databases.run(work)
        other.execute("SELECT pg_advisory_lock(hashtextextended('quota acme', 0))")
        task = asyncio.create_task(databases.run(work))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(3):
                await task
        other.execute("SELECT pg_advisory_unlock_all()")
        await databases.run(work)

    play(story)
    assert called == [True, True]


def test_commit_before_the_end_is_noted(play: Callable[[Story], None]) -> None:
    there = threading.Event()

    def work(databases: Databases) -> None:
        with databases.global_session() as session:
            session.add(Tenant(id="kept", name="kept"))
        with databases.global_session() as session:
            session.add(Tenant(id="gone", name="gone"))
            session.flush()
            there.set()
            session.execute(SLEEP)

    async def story(databases: AsyncDatabases) -> None:
        task = asyncio.create_task(databases.run(work))
        await asyncio.to_thread(there.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert raised.value.__notes__ == ["1 transaction(s) had been committed by then."]
        query = sa.select(Tenant.id).order_by(Tenant.id)
        names = await databases.global_session(read_only=True).run(
            lambda it: it.scalars(query).all()
        )
        assert names == ["kept", "platform"]

    play(story)


def test_services_run_as_on_a_file(play: Callable[[Story], None]) -> None:
    async def story(databases: AsyncDatabases) -> None:
        issued = await databases.global_session().run(tokens.issue, "player")
        checks = [
            databases.run(tokens.check_request, issued.plaintext, address=None) for _ in range(20)
        ]
        assert all(await asyncio.gather(*checks))

    play(story)


def test_function_is_done_again_after_a_conflict(play: Callable[[Story], None]) -> None:
    """And once only where it fails for another reason."""
    calls: list[int] = []

    def work(session: Session) -> int:
        calls.append(len(calls))
        session.add(Tenant(id=f"t{len(calls)}", name="x"))
        if len(calls) < 3:
            session.flush()
            raise CONFLICT
        return len(calls)

    def fail(session: Session) -> None:
        calls.append(session.scalar(sa.select(sa.func.count(Tenant.id))) or 0)
        raise KeyError

    async def story(databases: AsyncDatabases) -> None:
        assert await databases.global_session().run(work) == 3
        with pytest.raises(KeyError):
            await databases.global_session().run(fail)

    play(story)
    assert calls == [0, 1, 2, 2]

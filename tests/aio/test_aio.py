"""`AsyncDatabases` on a real event loop: sessions, services, the cache, close."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import Meta, StreamType, Vod, VodStatus
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import (
    DatabasesClosedError,
    StrayRowError,
    UnknownAppError,
    VodStateError,
)
from streamhub_orm.global_db import App
from streamhub_orm.services import apps as app_service
from streamhub_orm.services import quotas, streams, tokens, vods
from streamhub_orm.services.quotas import Metric
from tests.aio.work import add, read
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from tests.conftest import MakeInstallation
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

CHECKOUT = Path(__file__).parents[2]


def test_function_is_committed_at_its_end_and_rolled_back_on_an_error(
    make_fresh: MakeFresh,
) -> None:
    def fail(session: Session) -> None:
        add(session, "gone")
        raise KeyError

    async def story() -> list[str | None]:
        async with AsyncDatabases(make_fresh()) as databases:
            assert await databases.app_session("live").run(add, "kept") == 1
            with pytest.raises(KeyError):
                await databases.app_session("live").run(fail)
            return await read(databases)

    assert asyncio.run(story()) == ["kept"]


@pytest.mark.parametrize("read_only", [False, True])
def test_session_has_the_pragmas_of_the_contract(make_fresh: MakeFresh, *, read_only: bool) -> None:
    pragmas = ("foreign_keys", "synchronous", "journal_mode", "busy_timeout", "query_only")

    def look(session: Session) -> list[object]:
        return [session.scalar(sa.text(f"PRAGMA {name}")) for name in pragmas]

    async def story() -> list[object]:
        async with AsyncDatabases(make_fresh()) as databases:
            return await databases.app_session("live", read_only=read_only).run(look)

    assert asyncio.run(story()) == [1, 1, "wal", 5000, int(read_only)]


def test_services_of_a_session_and_of_the_databases_run_on_an_event_loop(
    make_fresh: MakeFresh,
) -> None:
    """The same objects open the files once, so an app can be deleted."""

    def add_app(databases: Databases, name: str) -> None:
        with quotas.reserve(databases, "platform", Metric.APPS) as session:
            session.add(App(name=name, tenant_id="platform"))

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live")
            assert (
                await session.run(
                    streams.upsert, room="stage", participant="ann", type=StreamType.WHIP
                )
                == 1
            )
            later = datetime.now(UTC) + timedelta(minutes=1)
            changed = await session.run(streams.reconcile, "stage", [], now=later)
            assert changed.ended == ["stage/ann"]
            vod = await session.run(vods.create, name="opening")
            with pytest.raises(VodStateError):
                await session.run(vods.set_status, vod.id, VodStatus.RECORDING)
            page = await databases.app_session("live", read_only=True).run(vods.list_, limit=5)
            assert [row.name for row in page] == ["opening"]

            issued = await databases.global_session().run(tokens.issue, "deploy", app="live")
            check = databases.run(tokens.check_request, issued.plaintext, address=None, app="live")
            assert (await check).name == "deploy"
            assert (await databases.run(quotas.measure, "platform")).apps == 1
            await databases.run(add_app, "tv-2")
            assert await databases.app_session("tv-2").run(add, "x") == 1
            await databases.run(app_service.delete, "tv-2", purge=True)
            with pytest.raises(UnknownAppError):
                await read(databases, "tv-2")

    asyncio.run(story())


def test_row_of_another_app_is_refused(make_fresh: MakeFresh) -> None:
    def stray(session: Session) -> None:
        session.add(Vod(app_id=2, name="x"))

    async def story() -> None:
        async with AsyncDatabases(make_fresh(["tv-2"])) as databases:
            with pytest.raises(StrayRowError, match=r"app 'tv-2'.*app 'live'"):
                await databases.app_session("live").run(stray)

    asyncio.run(story())


def test_function_sees_the_context_of_its_task(make_fresh: MakeFresh) -> None:
    request: ContextVar[str] = ContextVar("request")

    async def story() -> str:
        async with AsyncDatabases(make_fresh()) as databases:
            request.set("of the task")
            return await databases.run(lambda _: request.get())

    assert asyncio.run(story()) == "of the task"


def test_read_then_write_by_many_tasks_loses_no_update(make_fresh: MakeFresh) -> None:
    """A hundred tasks count together, and one thread at a time works for them."""
    at_work: list[int] = []
    most = 0

    def begin(session: Session) -> None:
        session.add(Meta(key="counter", value="0"))

    def add_one(session: Session) -> None:
        nonlocal most
        at_work.append(1)
        most = max(most, len(at_work))
        row = session.get_one(Meta, "counter")
        row.value = str(int(row.value or "") + 1)
        at_work.pop()

    async def story() -> str | None:
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live")
            await session.run(begin)
            await asyncio.gather(*(session.run(add_one) for _ in range(100)))
            assert databases.counters.misses == 1
            return await session.run(lambda session: session.get_one(Meta, "counter").value)

    assert asyncio.run(story()) == "100"
    assert most == 1


def test_many_tasks_over_many_apps_keep_to_the_limit(make_fresh: MakeFresh) -> None:
    """Each app is opened, evicted when idle and opened again, and every row is there."""
    apps = [f"app-{number}" for number in range(9)]

    async def story() -> None:
        async with AsyncDatabases(make_fresh(apps), max_open_apps=3) as databases:

            async def write(number: int) -> int:
                await databases.app_session(apps[number % 9]).run(add, str(number))
                return databases.counters.open

            assert max(await asyncio.gather(*(write(number) for number in range(90)))) <= 3
            assert databases.counters.evictions >= 6
            assert [len(await read(databases, app)) for app in apps] == [10] * 9

    asyncio.run(story())


def test_open_of_an_old_app_by_many_tasks_upgrades_it_once_off_the_loop(
    make_installation: MakeInstallation,
) -> None:
    """Meanwhile the loop turns."""
    installation = make_installation("node_head")
    app = next(name for name in installation.apps if installation.app_db(name).is_file())
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async def story() -> None:
        async with AsyncDatabases(installation.data_dir) as databases:
            ticking = asyncio.create_task(tick())
            found = await asyncio.gather(*(read(databases, app) for _ in range(20)))
            ticking.cancel()
            assert all(it == found[0] for it in found)
            assert databases.counters.migrated == 1

    asyncio.run(story())
    assert turns > 5
    assert len(list_backups(installation.app_db(app))) == 1


class Held:
    """Work that holds its thread until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, *_: object) -> str:
        self.begun.set()
        assert self.go.wait(20)
        return "held"


def test_app_in_use_is_not_closed(make_fresh: MakeFresh) -> None:
    held = Held()

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            task = asyncio.create_task(databases.app_session("live", read_only=True).run(held))
            await asyncio.to_thread(held.begun.wait)
            assert not await databases.close_app("live")
            held.go.set()
            await task
            assert await databases.close_app("live")
            assert await read(databases) == []

    asyncio.run(story())


def test_close_lets_a_function_end_its_work_and_admits_no_other(make_fresh: MakeFresh) -> None:
    data_dir = make_fresh()
    held = Held()

    def work(session: Session) -> None:
        add(session, "kept")
        held()

    async def story() -> None:
        databases = AsyncDatabases(data_dir)
        task = asyncio.create_task(databases.app_session("live").run(work))
        await asyncio.to_thread(held.begun.wait)
        late = asyncio.create_task(databases.app_session("live").run(add, "late"))
        await asyncio.sleep(0)
        closing_ = asyncio.create_task(databases.close())
        await asyncio.sleep(0)
        held.go.set()
        await asyncio.gather(task, closing_)
        await databases.close()
        for it in (late, read(databases), databases.run(lambda _: None)):
            with pytest.raises(DatabasesClosedError):
                await it

    asyncio.run(story())
    with closing(sqlite3.connect(data_dir / "apps/live/app.db")) as connection:
        assert connection.execute("SELECT name FROM vods").fetchall() == [("kept",)]
    assert not list((data_dir / "apps").rglob("*-wal"))


def test_program_that_forgets_to_close_still_ends(make_fresh: MakeFresh) -> None:
    """No thread keeps the interpreter alive."""
    script = """
import asyncio, sys
import sqlalchemy as sa
from streamhub_orm.aio import AsyncDatabases

async def story():
    databases = AsyncDatabases(sys.argv[1])
    await databases.app_session("live").run(lambda session: session.scalar(sa.text("SELECT 1")))

asyncio.run(story())
"""
    command = [sys.executable, "-c", script, str(make_fresh())]
    assert subprocess.run(command, cwd=CHECKOUT, timeout=60, check=False).returncode == 0

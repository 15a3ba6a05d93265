"""`AsyncDatabases` on a real event loop: many tasks, cancellation, eviction, close."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.aio import open_database as async_open_database
from streamhub_orm.app_db import Meta, Vod
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import (
    DatabasesClosedError,
    LockedDatabaseError,
    StrayRowError,
    UnknownAppError,
)
from streamhub_orm.global_db import App
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.conftest import MakeInstallation
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

CHECKOUT = Path(__file__).parents[2]
INSERT = sa.text("INSERT INTO vods (app_id, name) VALUES (1, :name)")
COUNT = sa.text("SELECT count(*) FROM vods")
# Minutes of work, all of it inside SQLite.
LONG = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
    " SELECT max(i) FROM n"
)


async def count(databases: AsyncDatabases, app: str = "live") -> int:
    async with databases.app_session(app, read_only=True) as session:
        return await session.scalar(COUNT) or 0


def write_from_outside(databases: AsyncDatabases, name: str) -> None:
    """Write as another process does, without waiting for any lock."""
    path = databases.place.app_db("live")
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("INSERT INTO vods (app_id, name) VALUES (1, ?)", (name,))


def test_session_commits_at_the_end_and_rolls_back_on_an_error(make_fresh: MakeFresh) -> None:
    async def story() -> list[str]:
        async with AsyncDatabases(make_fresh()) as databases:
            async with databases.app_session("live") as session:
                session.add(Vod(name="kept"))
            with pytest.raises(KeyError):  # noqa: PT012 - the session's end is what raises
                async with databases.app_session("live") as session:
                    session.add(Vod(name="gone"))
                    await session.flush()
                    raise KeyError
            async with databases.app_session("live", read_only=True) as session:
                return list(await session.scalars(sa.select(Vod.name)))

    assert asyncio.run(story()) == ["kept"]


@pytest.mark.parametrize("read_only", [False, True])
def test_session_has_the_pragmas_of_the_contract(make_fresh: MakeFresh, *, read_only: bool) -> None:
    names = ("foreign_keys", "synchronous", "journal_mode", "busy_timeout", "query_only")

    async def story() -> list[object]:
        async with (
            AsyncDatabases(make_fresh()) as databases,
            databases.app_session("live", read_only=read_only) as session,
        ):
            return [await session.scalar(sa.text(f"PRAGMA {name}")) for name in names]

    assert asyncio.run(story()) == [1, 1, "wal", 5000, int(read_only)]


def test_first_statement_of_a_writing_session_takes_the_write_lock(make_fresh: MakeFresh) -> None:
    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            async with databases.app_session("live") as session:
                await session.scalar(COUNT)
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    write_from_outside(databases, "x")
            write_from_outside(databases, "x")
            assert await count(databases) == 1

    asyncio.run(story())


def test_sync_function_runs_in_an_async_session(make_fresh: MakeFresh) -> None:
    """The services' functions are shared, with their queries and flushes."""

    def rename(session: Session, name: str) -> int:
        vod = session.scalars(sa.select(Vod)).one()
        vod.name = name
        session.flush()
        return vod.id

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            async with databases.app_session("live") as session:
                session.add(Vod(name="old"))
                assert await session.run_sync(rename, "new") == 1
            async with databases.app_session("live", read_only=True) as session:
                assert await session.scalar(sa.select(Vod.name)) == "new"

    asyncio.run(story())


def test_row_of_another_app_is_refused(make_fresh: MakeFresh) -> None:
    async def story() -> None:
        async with AsyncDatabases(make_fresh(["tv-2"])) as databases:
            with pytest.raises(StrayRowError, match=r"app 'tv-2'.*app 'live'"):
                async with databases.app_session("live") as session:
                    session.add(Vod(app_id=2, name="x"))

    asyncio.run(story())


def test_global_session_and_connections_do_as_their_names_say(make_fresh: MakeFresh) -> None:
    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            async with databases.global_session() as session:
                session.add(App(name="tv-2"))
            async with databases.global_connection(read_only=True) as connection:
                names = await connection.scalars(sa.select(App.name))
                assert names.all() == ["live", "tv-2"]
            async with databases.app_connection("tv-2") as connection:
                await connection.execute(INSERT, {"name": "x"})
            assert await count(databases, "tv-2") == 1
            assert await count(databases, "live") == 0

    asyncio.run(story())


def test_unregistered_app_is_refused(make_fresh: MakeFresh) -> None:
    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            with pytest.raises(UnknownAppError):
                await count(databases, "tv-2")

    asyncio.run(story())


def test_read_then_write_by_many_tasks_loses_no_update(make_fresh: MakeFresh) -> None:
    """A hundred tasks count together, a few threads carry them, and none meets a locked file."""

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            async with databases.app_session("live") as session:
                session.add(Meta(key="counter", value="0"))

            async def add_one() -> None:
                async with databases.app_session("live") as session:
                    row = await session.get_one(Meta, "counter")
                    row.value = str(int(row.value or "") + 1)

            threads = threading.active_count()
            await asyncio.gather(*(add_one() for _ in range(100)))
            assert threading.active_count() <= threads + 4
            async with databases.app_session("live", read_only=True) as session:
                assert (await session.get_one(Meta, "counter")).value == "100"
            assert databases.counters.misses == 1

    asyncio.run(story())


def test_many_tasks_over_many_apps_keep_to_the_limit(make_fresh: MakeFresh) -> None:
    """Each app is opened, evicted when idle and opened again, and every row is there."""
    apps = [f"app-{number}" for number in range(9)]

    async def story() -> None:
        async with AsyncDatabases(make_fresh(apps), max_open_apps=3) as databases:

            async def write(number: int) -> int:
                async with databases.app_session(apps[number % 9]) as session:
                    await session.execute(INSERT, {"name": str(number)})
                return databases.counters.open

            assert max(await asyncio.gather(*(write(number) for number in range(90)))) <= 3
            assert databases.counters.evictions >= 6
            assert [await count(databases, app) for app in apps] == [10] * 9

    asyncio.run(story())


def test_open_of_an_old_app_by_many_tasks_upgrades_it_once_off_the_loop(
    make_installation: MakeInstallation,
) -> None:
    """Meanwhile the loop turns: a task that only sleeps is never held up for long."""
    installation = make_installation("node_head")
    app = next(name for name in installation.apps if installation.app_db(name).is_file())

    async def story() -> float:
        pauses: list[float] = []

        async def tick() -> None:
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0)
                pauses.append(time.perf_counter() - before)
                await asyncio.sleep(0.001)

        async with AsyncDatabases(installation.data_dir) as databases:
            ticking = asyncio.create_task(tick())
            counts = await asyncio.gather(*(count(databases, app) for _ in range(20)))
            ticking.cancel()
            assert len(set(counts)) == 1
            assert databases.counters.migrated == 1
        return len(pauses)

    assert asyncio.run(story()) > 5
    assert len(list_backups(installation.app_db(app))) == 1


def test_task_cancelled_inside_a_transaction_rolls_back_and_frees_the_lock(
    make_fresh: MakeFresh,
) -> None:
    """Cancelled while it waits for something else than the database."""

    async def story() -> None:
        async with AsyncDatabases(make_fresh()) as databases:
            written = asyncio.Event()

            async def write() -> None:
                async with databases.app_session("live") as session:
                    await session.execute(INSERT, {"name": "gone"})
                    written.set()
                    await asyncio.sleep(60)

            task = asyncio.create_task(write())
            await written.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            write_from_outside(databases, "kept")
            assert await count(databases) == 1

    asyncio.run(story())


@pytest.mark.parametrize("times", [1, 2])
def test_task_cancelled_inside_a_statement_frees_the_lock_and_leaks_no_connection(
    make_fresh: MakeFresh, times: int
) -> None:
    """Cancelled while SQLite works, and again while it cleans up."""

    async def story() -> None:
        databases = AsyncDatabases(make_fresh())
        before = threading.active_count()
        assert await count(databases) == 0

        async def write() -> None:
            async with databases.app_session("live") as session:
                await session.execute(INSERT, {"name": "gone"})
                await session.execute(LONG)
                pytest.fail("it was cancelled")

        task = asyncio.create_task(write())
        await asyncio.sleep(0.15)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with databases.app_session("live") as session:
            await session.execute(INSERT, {"name": "kept"})
        assert await count(databases) == 1
        await databases.close()
        assert threading.active_count() <= before + 1  # the default executor's

    asyncio.run(story())


def test_task_cancelled_while_its_app_is_opened_gives_the_app_back(make_fresh: MakeFresh) -> None:
    """The open ends in its thread; the app is then idle, so it can be evicted."""

    async def story() -> None:
        async with AsyncDatabases(make_fresh(["tv-2"]), max_open_apps=1) as databases:
            for _ in range(5):
                task = asyncio.create_task(count(databases, "tv-2"))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await count(databases, "live") == 0
            assert await databases.close_app("live")

    asyncio.run(story())


def test_app_in_use_survives_eviction(make_fresh: MakeFresh) -> None:
    """The other apps come and go beside it, and close_app leaves it open."""
    apps = ["tv-2", "tv-3", "tv-4"]

    async def story() -> None:
        async with AsyncDatabases(make_fresh(apps), max_open_apps=2) as databases:
            async with databases.app_session("live") as session:
                await session.execute(INSERT, {"name": "kept"})
                assert [await count(databases, app) for app in apps] == [0, 0, 0]
                assert not await databases.close_app("live")
                assert await session.scalar(COUNT) == 1
            assert await databases.close_app("live")
            assert await count(databases) == 1

    asyncio.run(story())


def test_close_lets_a_session_end_its_work_and_admits_no_other(make_fresh: MakeFresh) -> None:
    data_dir = make_fresh()

    async def story() -> None:
        databases = AsyncDatabases(data_dir)
        async with databases.app_session("live") as session:
            await session.execute(INSERT, {"name": "kept"})
            await databases.close()
            await databases.close()
            with pytest.raises(DatabasesClosedError):
                await count(databases)

    asyncio.run(story())
    with closing(sqlite3.connect(data_dir / "apps/live/app.db")) as connection:
        assert connection.execute("SELECT name FROM vods").fetchall() == [("kept",)]
    assert not list((data_dir / "apps").rglob("*-wal"))


def test_writing_session_inside_another_is_told_what_is_wrong(
    make_fresh: MakeFresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for itself for ever."""
    monkeypatch.setattr(async_open_database, "_WRITER_SECONDS", 0.1)

    async def story() -> None:
        async with (
            AsyncDatabases(make_fresh()) as databases,
            databases.app_session("live") as session,
        ):
            await session.execute(INSERT, {"name": "x"})
            with pytest.raises(LockedDatabaseError, match="a writing session of this process"):
                async with databases.app_session("live"):
                    pytest.fail("it would deadlock")

    asyncio.run(story())


def test_program_that_forgets_to_close_still_ends(make_fresh: MakeFresh) -> None:
    """No thread of a connection keeps the interpreter alive."""
    script = """
import asyncio, sys
import sqlalchemy as sa
from streamhub_orm.aio import AsyncDatabases

async def story():
    databases = AsyncDatabases(sys.argv[1])
    async with databases.app_session("live") as session:
        await session.scalar(sa.text("SELECT 1"))

asyncio.run(story())
"""
    command = [sys.executable, "-c", script, str(make_fresh())]
    assert subprocess.run(command, cwd=CHECKOUT, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("aiosqlite", "streamhub_orm.aio", "aio"),
        ("greenlet", "streamhub_orm.aio", "aio"),
        ("prometheus_client", "streamhub_orm.metrics", "metrics"),
    ],
)
def test_import_without_its_extra_says_what_to_install(
    package: str, module: str, extra: str
) -> None:
    """The package is hidden from a new interpreter, as if it were not installed."""
    script = f"""
import sys
sys.modules[{package!r}] = None
from streamhub_orm.errors import MissingExtraError
try:
    import {module}
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert f"streamhub-orm[{extra}]" in done.stdout

"""Whom a task of `AsyncDatabases` waits for: the writers of its app, and nobody else."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from tests.aio.work import add, names, read
from tests.databases.conftest import make_fresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

CHECKOUT = Path(__file__).parents[2]


class Held:
    """Work that holds its thread until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, *_: object) -> str:
        self.begun.set()
        assert self.go.wait(20)
        return "held"


@pytest.mark.parametrize("crowd", ["writers of an app", "openers of an app"])
def test_crowd_of_one_app_leaves_threads_for_the_others(
    make_fresh: MakeFresh, monkeypatch: pytest.MonkeyPatch, crowd: str
) -> None:
    held = Held()

    async def story() -> None:
        async with AsyncDatabases(make_fresh(["tv-2"]), threads=2) as databases:
            work: Callable[[Session], str | list[str | None]] = held
            if crowd == "openers of an app":
                opener = databases.sync._opener
                find = opener.app
                work = names

                def find_slowly(name: str) -> object:
                    if name == "live":
                        held()
                    return find(name)

                monkeypatch.setattr(opener, "app", find_slowly)
            session = databases.app_session("live", read_only=work is names)
            many = [asyncio.create_task(session.run(work)) for _ in range(8)]
            await asyncio.to_thread(held.begun.wait)
            assert await asyncio.wait_for(read(databases, "tv-2"), 10) == []
            held.go.set()
            await asyncio.gather(*many)

    asyncio.run(story())


def test_neither_apps_nor_the_global_database_wait_for_the_other(make_fresh: MakeFresh) -> None:
    """All threads of the one are taken, and one app is all that may be open."""
    apps = [f"app-{number}" for number in range(4)]

    async def story() -> None:
        async with AsyncDatabases(make_fresh(apps), max_open_apps=1, threads=2) as databases:
            for crowd, others in (
                (
                    [databases.app_session(app).run for app in apps],
                    [databases.global_session().run, databases.run],
                ),
                (
                    [databases.global_session(read_only=True).run] * 4,
                    [databases.app_session("live").run, databases.run],
                ),
                (
                    [databases.run] * 4,
                    [databases.app_session("live").run, databases.global_session().run],
                ),
            ):
                held = Held()
                many = [asyncio.create_task(run(held)) for run in crowd]
                await asyncio.to_thread(held.begun.wait)
                for run in others:
                    assert await asyncio.wait_for(run(lambda _: "free"), 10) == "free"
                held.go.set()
                assert await asyncio.gather(*many) == ["held"] * 4

    asyncio.run(story())


def test_sessions_of_both_databases_within_one_another_cannot_deadlock_at_a_cold_start(
    make_fresh: MakeFresh,
) -> None:
    """Functions that hold a session on an app open the global database, and the reverse."""
    apps = [f"app-{number}" for number in range(4)]

    def app_first(databases: Databases, app: str) -> None:
        with databases.app_session(app) as outer, databases.global_session(read_only=True) as inner:
            assert outer.scalar(sa.text("SELECT 1")) == inner.scalar(sa.text("SELECT 1"))

    def global_first(databases: Databases, app: str) -> None:
        with databases.global_session() as outer, databases.app_session(app) as inner:
            assert outer.scalar(sa.text("SELECT 1")) == inner.scalar(sa.text("SELECT 1"))

    async def story() -> None:
        async with AsyncDatabases(make_fresh(apps), max_open_apps=2, threads=4) as databases:
            work = [databases.run(it, app) for app in apps for it in (app_first, global_first)]
            sessions = [databases.app_session(app).run(names) for app in apps]
            async with asyncio.timeout(20):
                await asyncio.gather(*work, *sessions)

    asyncio.run(story())


def test_writers_of_one_app_begin_in_the_order_in_which_they_came(make_fresh: MakeFresh) -> None:
    async def story() -> list[str | None]:
        async with AsyncDatabases(make_fresh()) as databases:
            session = databases.app_session("live")
            await asyncio.gather(*(session.run(add, str(number)) for number in range(20)))
            assert len(databases._turns) == 0, "a lock that nobody needs is kept"
            return await read(databases)

    assert asyncio.run(story()) == [str(number) for number in range(20)]


def test_wait_for_anothers_lock_holds_no_other_app_up(make_fresh: MakeFresh) -> None:
    async def story() -> float:
        async with AsyncDatabases(make_fresh(["tv-2"]), threads=2) as databases:
            await databases.app_session("live").run(add, "x")
            path = databases.sync.place.app_db("live")
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                session = databases.app_session("live")
                many = [asyncio.create_task(session.run(add, "y")) for _ in range(8)]
                await asyncio.sleep(0.02)
                begun = time.monotonic()
                await databases.app_session("tv-2").run(add, "x")
                waited = time.monotonic() - begun
                other.execute("ROLLBACK")
            await asyncio.gather(*many)
            return waited

    assert asyncio.run(story()) < 4, "it waited for the busy timeout of the other app"

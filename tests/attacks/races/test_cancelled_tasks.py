"""Tasks that are cancelled at any moment: no lock, row, thread, descriptor or error is left."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import Vod
from tests.databases.conftest import make_fresh
from tests.support import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from tests.databases.conftest import MakeFresh

__all__ = ["make_fresh"]

CANCELS: Final = int(os.environ.get("STREAMHUB_CANCELS", "400"))
APPS: Final = [f"app-{number}" for number in range(8)]
TASKS: Final = 16
SEED: Final = 7
# Minutes of work, all of it inside SQLite.
LONG: Final = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
    " SELECT max(i) FROM n"
)
LONG_WRITE: Final = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
    " UPDATE vods SET size_bytes = (SELECT max(i) FROM n)"
)
ROWS: Final = sa.text("SELECT id, name FROM vods UNION ALL SELECT 1, 'one' UNION ALL SELECT 2, ''")


def write(session: Session, name: str) -> None:
    session.add(Vod(name=name))
    session.flush()
    time.sleep(random.random() / 400)  # noqa: S311 - not a secret
    session.execute(sa.text("UPDATE vods SET room = 'x'"))


def work_long(session: Session, name: str) -> None:
    write(session, name)
    session.execute(LONG)


def change_long(session: Session, name: str) -> None:
    """SQLite itself rolls the transaction back when it stops this."""
    write(session, name)
    session.execute(LONG_WRITE)


def leave_unread(session: Session, name: str) -> None:
    write(session, name)
    unread = session.execute(ROWS)
    unread.fetchone()
    session.execute(LONG)
    unread.close()


def swallow(session: Session, name: str) -> None:
    """Go on after what stops it, as code does that catches too much."""
    work: Callable[[Session, str], None]
    for work in (change_long, write):
        with suppress(Exception):
            work(session, name)


def read(session: Session, _: str) -> None:
    session.execute(ROWS).all()


def write_twice(databases: Databases, app: str, name: str) -> None:
    """Commit one transaction on a connection, then another in a session."""
    with databases.app_connection(app) as connection:
        app_id = connection.scalar(sa.text("SELECT ifnull(max(app_id), 1) FROM vods"))
        values = {"app": app_id, "name": f"{name} first"}
        connection.execute(sa.text("INSERT INTO vods (app_id, name) VALUES (:app, :name)"), values)
    with databases.app_session(app) as session:
        write(session, name)


ON_SESSIONS: Final = (write, write, work_long, change_long, leave_unread, swallow, read)


class Attack:
    """Starts tasks, cancels each after some milliseconds, and keeps what it was told."""

    def __init__(self, databases: AsyncDatabases) -> None:
        self.databases = databases
        self.told: defaultdict[str, set[str]] = defaultdict(set)
        """Names of rows by app that are committed by what the tasks were told."""
        self.ends: Counter[str] = Counter()
        self.slowest = 0.0
        self._random = random.Random(SEED)  # noqa: S311 - the same attack in every run

    async def go_on(self, number: int) -> None:
        """Be one of the tasks."""
        for turn in range(-(-CANCELS // TASKS)):
            app = self._random.choice(APPS)
            name = f"{number}-{turn}"
            if self._random.random() < 0.2:
                task = asyncio.create_task(self.databases.run(write_twice, app, name))
                names = [f"{name} first", name]
            else:
                function = self._random.choice(ON_SESSIONS)
                task = asyncio.create_task(self._run(function, app, name))
                names = [] if function is read else [name]
            await asyncio.wait([task], timeout=self._random.random() / 40)
            for _ in range(self._random.choice((1, 1, 2))):
                task.cancel()
                await asyncio.sleep(0)
            self.told[app].update(names[: await self._committed(task, names)])

    async def _run(self, function: Callable[[Session, str], None], app: str, name: str) -> None:
        asked = time.monotonic()

        def begin(session: Session) -> None:
            session.execute(sa.text("SELECT 1"))
            self.slowest = max(self.slowest, time.monotonic() - asked)
            function(session, name)

        session = self.databases.app_session(app, read_only=function is read)
        await session.run(begin)

    async def _committed(self, task: asyncio.Task[None], names: list[str]) -> int:
        """Return how many of its transactions the task was told of."""
        try:
            await task
        except asyncio.CancelledError as cancelled:
            notes = " ".join(getattr(cancelled, "__notes__", ["0"]))
            committed = int(notes.split()[0])
        else:
            committed = len(names)
            self.ends["returned"] += 1
            return committed
        self.ends["cancelled after a commit" if committed else "cancelled"] += 1
        return committed


def rows(path: Path) -> set[str]:
    """Read what is committed, after a write that waits for no lock."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        found = [name for (name,) in other.execute("SELECT name FROM vods")]
    assert len(found) == len(set(found))
    return set(found)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_tasks_cancelled_at_any_moment_leave_nothing_behind(
    make_fresh: MakeFresh, caplog: pytest.LogCaptureFixture
) -> None:
    data_dir = make_fresh(APPS)
    faults: list[dict[str, Any]] = []

    async def story() -> Attack:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        await asyncio.to_thread(int)  # the loop's own threads
        async with AsyncDatabases(data_dir, threads=4) as databases:
            attack = Attack(databases)
            await asyncio.gather(*(attack.go_on(number) for number in range(TASKS)))
            assert threading.active_count() <= threads + 2 + 3 * 4
            for app in APPS:
                assert rows(databases.sync.place.app_db(app)) == attack.told[app]
                assert await databases.close_app(app)  # no lease is out
        return attack

    threads = threading.active_count()
    before = descriptors()
    attack = asyncio.run(story())
    assert (descriptors(), threading.active_count()) == (before, threads)
    assert attack.ends["cancelled"] > CANCELS / 4
    assert attack.slowest < 1, "a task waited so long for its app"
    assert faults == []
    assert [it.getMessage() for it in caplog.records if it.levelname in ("ERROR", "CRITICAL")] == []
    figures.count("tasks cancelled at a random moment", attack.ends.total())

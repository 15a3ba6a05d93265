"""Clients of the mixed load: plain sqlite3 and ours, in threads, tasks and processes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import multiprocessing
import random
import sqlite3
import time
from contextlib import ExitStack, closing, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from benchmarks.contest import Sample

CLIENTS: Final = 8
SERVER: Final = ("verify", "verify", "verify", "page", "page", "upsert")
WITH_LOG: Final = (*SERVER, "log")
_PAGE: Final = 50
_ADDRESS: Final = "10.1.2.3"
_LOG_LINES: Final = 100_000
_NOW: Final = "2026-01-31 12:00:00"

_VERIFY: Final = """
    SELECT api_tokens.id, api_tokens.name, api_tokens.tenant_id, scope, allowed_ips_json,
           last_used_at, revoked, apps.name
    FROM api_tokens LEFT OUTER JOIN apps ON apps.id = api_tokens.app_id
    WHERE token_hash = ? ORDER BY revoked DESC, api_tokens.id"""
_FIRST: Final = "SELECT * FROM vods ORDER BY started_at DESC, id DESC LIMIT ?"
_UPSERT: Final = """
    INSERT INTO streams (app_id, stream_id, type, room, participant, started_at)
    VALUES (1, ?, 'whip', ?, ?, ?)
    ON CONFLICT (stream_id) DO UPDATE SET
        type = CASE WHEN excluded.type = 'webrtc' THEN type ELSE excluded.type END,
        room = excluded.room, participant = excluded.participant, status = 'active', ended_at = NULL
    RETURNING id"""
_LOG: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message)
    VALUES (?, 'info', 'egress', (SELECT id FROM apps WHERE name = ?), ?)"""

Call = tuple[str, str, str]
"""Kind, app, and the token or the participant."""


def calls(
    client: int, apps: list[str], tokens: list[str], count: int, kinds: tuple[str, ...] = SERVER
) -> Iterator[Call]:
    """Yield what one client does, in its order; the same in every run."""
    chosen = random.Random(client)  # noqa: S311 - no secret
    for _ in range(count):
        kind = chosen.choice(kinds)
        app = chosen.choice(apps)
        yield kind, app, chosen.choice(tokens) if kind == "verify" else f"PA_{chosen.randrange(50)}"


@contextmanager
def plain(root: Path, apps: list[str]) -> Iterator[Callable[[Call], object]]:
    """Do the same SQL on connections that are held, as many for each file as it takes."""
    paths = {app: root / "apps" / app / "app.db" for app in apps}
    paths[""] = root / "data/streamhub.db"
    with ExitStack() as stack:

        def open_(path: Path) -> sqlite3.Connection:
            opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            stack.enter_context(closing(opened))
            opened.execute("PRAGMA foreign_keys = ON")
            opened.execute("PRAGMA synchronous = NORMAL")
            return opened

        ready = {app: [open_(path)] for app, path in paths.items()}

        def do(call: Call) -> None:
            kind, app, what = call
            place = "" if kind in {"verify", "log"} else app
            try:
                connection = ready[place].pop()
            except IndexError:
                connection = open_(paths[place])
            if kind == "verify":
                wanted = hashlib.sha256(what.encode()).hexdigest()
                connection.execute(_VERIFY, (wanted,)).fetchone()
            elif kind == "page":
                connection.execute(_FIRST, (_PAGE,)).fetchall()
            elif kind == "upsert":
                connection.execute("BEGIN IMMEDIATE")
                values = (f"stage/{what}", "stage", what, _NOW)
                connection.execute(_UPSERT, values).fetchone()
                connection.execute("COMMIT")
            else:
                connection.execute(_LOG, (_NOW, app, f"{what} came"))
            ready[place].append(connection)

        yield do


@contextmanager
def ours(
    root: Path, apps: list[str], *, open_apps: int | None = None
) -> Iterator[Callable[[Call], object]]:
    """Do it with the services, a session for each call; a thread beside writes the log."""
    # Here, so that a process of the floor need not import it.
    from streamhub_orm import Databases  # noqa: PLC0415
    from streamhub_orm.app_db import StreamType  # noqa: PLC0415
    from streamhub_orm.services import streams, tokens, vods  # noqa: PLC0415
    from streamhub_orm.services.log_handler import (  # noqa: PLC0415
        QueueLimits,
        ServerLogHandler,
    )

    with Databases(root, max_open_apps=open_apps or len(apps)) as databases:
        logger = logging.Logger("load")  # noqa: LOG001 - one that nobody else uses
        handler = ServerLogHandler(
            databases.place, source="egress", limits=QueueLimits(capacity=_LOG_LINES)
        )
        logger.addHandler(handler)
        for app in apps if open_apps is None else ():
            with databases.app_session(app, read_only=True):
                pass

        def do(call: Call) -> None:
            kind, app, what = call
            if kind == "verify":
                with databases.global_session(read_only=True) as session:
                    assert tokens.verify(session, what, address=_ADDRESS)  # noqa: S101
            elif kind == "page":
                with databases.app_session(app, read_only=True) as session:
                    vods.list_(session, order=vods.VodOrder.NEWEST, limit=_PAGE)
            elif kind == "upsert":
                with databases.app_session(app) as session:
                    streams.upsert(session, room="stage", participant=what, type=StreamType.WHIP)
            else:
                logger.info("%s came", what, extra={"app": app})

        yield do
        handler.close()
        assert handler.dropped == 0  # noqa: S101


async def in_tasks(root: Path, apps: list[str], clients: list[list[Call]]) -> Sample:
    """Do it with the services as tasks of one event loop."""
    from streamhub_orm.aio import AsyncDatabases  # noqa: PLC0415
    from streamhub_orm.app_db import StreamType  # noqa: PLC0415
    from streamhub_orm.services import streams, tokens, vods  # noqa: PLC0415

    seconds: list[float] = []
    async with AsyncDatabases(root, max_open_apps=len(apps)) as databases:
        for app in apps:
            await databases.app_session(app, read_only=True).run(vods.list_, limit=1)

        async def do(call: Call) -> None:
            kind, app, what = call
            if kind == "verify":
                session = databases.global_session(read_only=True)
                assert await session.run(tokens.verify, what, address=_ADDRESS)  # noqa: S101
            elif kind == "page":
                session = databases.app_session(app, read_only=True)
                await session.run(vods.list_, order=vods.VodOrder.NEWEST, limit=_PAGE)
            else:
                await databases.app_session(app).run(
                    streams.upsert, room="stage", participant=what, type=StreamType.WHIP
                )

        async def be_client(calls: list[Call]) -> None:
            for call in calls:
                begun = time.perf_counter()
                await do(call)
                seconds.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(*map(be_client, clients))
        return sample(time.perf_counter() - begun, seconds)


def in_threads(
    doing: AbstractContextManager[Callable[[Call], object]], clients: list[list[Call]]
) -> Sample:
    """Let each client be a thread."""
    with doing as do:
        begun = time.perf_counter()
        seconds = each_in_a_thread(do, clients)
        return sample(time.perf_counter() - begun, seconds)


def each_in_a_thread(
    do: Callable[[Call], object], clients: Iterable[Iterable[Call]]
) -> list[float]:
    """Run the calls of each client in a thread, and return how long each took."""
    seconds: list[float] = []
    failed: list[BaseException] = []

    def be_client(calls: Iterable[Call]) -> None:
        own = []
        try:
            for call in calls:
                begun = time.perf_counter()
                do(call)
                own.append(time.perf_counter() - begun)
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)
        seconds.extend(own)

    threads = [Thread(target=be_client, args=(calls,)) for calls in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return seconds


def in_processes(
    side: str, root: Path, apps: list[str], clients: list[list[Call]], workers: int
) -> Sample:
    """Share the clients out to so many processes, in which each is a thread."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(
            target=_work, args=(side, root, apps, clients[number::workers], barrier, results)
        )
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    begun, ended, seconds = zip(*found, strict=True)
    return sample(max(ended) - min(begun), [it for own in seconds for it in own])


def _work(  # noqa: PLR0913, PLR0917 - what a process is told
    side: str,
    root: Path,
    apps: list[str],
    clients: list[list[Call]],
    barrier: Barrier,
    results: Queue[tuple[float, float, list[float]]],
) -> None:
    with SIDES[side](root, apps) as do:
        barrier.wait(timeout=600)
        begun = time.perf_counter()
        seconds = each_in_a_thread(do, clients)
        results.put((begun, time.perf_counter(), seconds))


def sample(total: float, seconds: list[float]) -> Sample:
    """Return what a run took, and percentiles of its calls."""
    ordered = sorted(seconds)
    return {
        "seconds": total,
        **{f"p{part}": ordered[len(ordered) * part // 100] for part in (50, 95, 99)},
    }


SIDES: Final = {"floor": plain, "ours": ours}

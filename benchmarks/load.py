"""Benchmark of the mixed load of a service: 8 clients over many apps, a session for each call."""

from __future__ import annotations

import asyncio
import hashlib
import random
import resource
import sqlite3
import time
from contextlib import ExitStack, closing
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contest import Benchmark, Contest, Line
from benchmarks.installations import make_fleet, names
from streamhub_orm import Databases
from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import StreamType
from streamhub_orm.services import streams, tokens, vods

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale

_CLIENTS: Final = 8
_PAGE: Final = 50
_TOKENS: Final = 1_000
_ADDRESS: Final = "10.1.2.3"
_NOW: Final = "2026-01-31 12:00:00"
_KINDS: Final = ("verify", "verify", "verify", "page", "page", "upsert")

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

_Call = tuple[str, str, str]
"""Kind, app, and the token or the participant."""


def _load(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    apps = names(scale.files)
    make_fleet(root, scale.files, rows=scale.rows_per_app)
    with Databases(root) as databases, databases.global_session() as session:
        issued = [
            tokens.issue(session, f"token {number}", allowed_ips=["10.0.0.0/8"]).plaintext
            for number in range(_TOKENS)
        ]
    clients = [_calls(number, apps, issued, scale.lookups // 2) for number in range(_CLIENTS)]
    calls = sum(map(len, clients))
    against = partial(Line, unit="µs", per=calls)
    percentile = partial(Line, unit="µs", figure="p99", floor_figure="p99")
    return Contest(
        {
            "floor": lambda: _plainly(root, apps, clients),
            "threads": lambda: _in_threads(root, apps, clients),
            "asyncio": lambda: asyncio.run(_in_tasks(root, apps, clients)),
        },
        [
            against("load, threads", "threads", "floor", goal=1.54),
            percentile("  99th percentile", "threads", "floor", goal=1.2),
            against("load, asyncio", "asyncio", "floor", goal=3.33),
            percentile("  99th percentile", "asyncio", "floor"),
        ],
        work=calls,
    )


def _calls(client: int, apps: list[str], issued: list[str], count: int) -> list[_Call]:
    """Return what one client does, in its order; the same in every run."""
    chosen = random.Random(client)  # noqa: S311 - no secret
    return [
        (
            kind := chosen.choice(_KINDS),
            chosen.choice(apps),
            chosen.choice(issued) if kind == "verify" else f"PA_{chosen.randrange(50)}",
        )
        for _ in range(count)
    ]


def _plainly(root: Path, apps: list[str], clients: list[list[_Call]]) -> Sample:
    """Run the same SQL on connections that are held, as many for each file as it takes."""
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

        def do(call: _Call) -> None:
            kind, app, what = call
            held = ready["" if kind == "verify" else app]
            try:
                connection = held.pop()
            except IndexError:
                connection = open_(paths["" if kind == "verify" else app])
            if kind == "verify":
                wanted = hashlib.sha256(what.encode()).hexdigest()
                connection.execute(_VERIFY, (wanted,)).fetchone()
            elif kind == "page":
                connection.execute(_FIRST, (_PAGE,)).fetchall()
            else:
                connection.execute("BEGIN IMMEDIATE")
                values = (f"stage/{what}", "stage", what, _NOW)
                connection.execute(_UPSERT, values).fetchone()
                connection.execute("COMMIT")
            held.append(connection)

        return _by_threads(do, clients)


def _in_threads(root: Path, apps: list[str], clients: list[list[_Call]]) -> Sample:
    _allow_files(len(apps))
    with Databases(root, max_open_apps=len(apps)) as databases:
        for app in apps:
            with databases.app_session(app, read_only=True):
                pass

        def do(call: _Call) -> None:
            kind, app, what = call
            if kind == "verify":
                with databases.global_session(read_only=True) as session:
                    assert tokens.verify(session, what, address=_ADDRESS)  # noqa: S101
            elif kind == "page":
                with databases.app_session(app, read_only=True) as session:
                    vods.list_(session, order=vods.VodOrder.NEWEST, limit=_PAGE)
            else:
                with databases.app_session(app) as session:
                    streams.upsert(session, room="stage", participant=what, type=StreamType.WHIP)

        return _by_threads(do, clients)


async def _in_tasks(root: Path, apps: list[str], clients: list[list[_Call]]) -> Sample:
    _allow_files(len(apps))
    seconds: list[float] = []
    async with AsyncDatabases(root, max_open_apps=len(apps)) as databases:
        for app in apps:
            await databases.app_session(app, read_only=True).run(vods.list_, limit=1)

        async def do(call: _Call) -> None:
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

        async def be_client(calls: list[_Call]) -> None:
            for call in calls:
                begun = time.perf_counter()
                await do(call)
                seconds.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(*map(be_client, clients))
        return _sample(time.perf_counter() - begun, seconds)


def _by_threads(do: Callable[[_Call], object], clients: list[list[_Call]]) -> Sample:
    seconds: list[float] = []

    def be_client(calls: list[_Call]) -> None:
        own = []
        for call in calls:
            begun = time.perf_counter()
            do(call)
            own.append(time.perf_counter() - begun)
        seconds.extend(own)

    threads = [Thread(target=be_client, args=(calls,)) for calls in clients]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seconds) != sum(map(len, clients)):
        message = "a client failed"
        raise AssertionError(message)
    return _sample(time.perf_counter() - begun, seconds)


def _sample(total: float, seconds: list[float]) -> dict[str, Any]:
    return {"seconds": total, "p99": sorted(seconds)[len(seconds) * 99 // 100]}


def _allow_files(apps: int) -> None:
    """Raise the limit on open files to what so many apps take, where it is lower."""
    least = 64 + 3 * (2 * apps + _CLIENTS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(least, hard), hard))


BENCHMARKS: Final = (Benchmark("load", "services", "8 clients over many apps", _load),)

"""Benchmarks of the mixed load of a service: 8 clients over many apps, a session for each call."""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import load_clients
from benchmarks.contest import Benchmark, Contest, Line
from benchmarks.fresh import in_fresh_process
from benchmarks.installations import make_fleet, names
from benchmarks.load_clients import CLIENTS, WITH_LOG, calls, in_processes, in_tasks, in_threads
from streamhub_orm import Databases
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Run
    from benchmarks.scale import Scale

_TOKENS: Final = 1_000
_OPEN_APPS: Final = 50


def _installation(folder: Path, apps: int, rows: int) -> tuple[Path, list[str]]:
    """Make an installation, and return its folder and its tokens."""
    root = folder / "installation"
    make_fleet(root, apps, rows=rows)
    with Databases(root) as databases, databases.global_session() as session:
        return root, [
            tokens.issue(session, f"token {number}", allowed_ips=["10.0.0.0/8"]).plaintext
            for number in range(_TOKENS)
        ]


def _load(folder: Path, scale: Scale) -> Contest:
    root, issued = _installation(folder, scale.files, scale.rows_per_app)
    apps = names(scale.files)
    each = scale.lookups // 2
    clients = [list(calls(number, apps, issued, each)) for number in range(CLIENTS)]
    logging = [list(calls(number, apps, issued, each, WITH_LOG)) for number in range(CLIENTS)]
    _allow_files(len(apps))
    contestants: dict[str, Run] = {
        "floor": lambda: in_threads(load_clients.plain(root, apps), clients),
        "threads": lambda: in_threads(load_clients.ours(root, apps), clients),
        "asyncio": lambda: asyncio.run(in_tasks(root, apps, clients)),
        "floor, with a log": lambda: in_threads(load_clients.plain(root, apps), logging),
        "with a log": lambda: in_threads(load_clients.ours(root, apps), logging),
    }
    against = partial(Line, unit="µs", per=each * CLIENTS)
    lines = [
        against("load, threads", "threads", "floor", goal=1.54),
        *(_percentile(part, "threads", "floor") for part in (50, 95)),
        _percentile(99, "threads", "floor", goal=1.2),
        against("load, asyncio", "asyncio", "floor", goal=3.33),
        *(_percentile(part, "asyncio", "floor") for part in (50, 95, 99)),
    ]
    for workers in scale.workers:
        pair = f"{workers} processes", f"floor, {workers} processes"
        for name, side in zip(pair, ("ours", "floor"), strict=True):
            contestants[name] = partial(in_processes, side, root, apps, clients, workers)
        lines += [against(f"load, {pair[0]}", *pair), _percentile(99, *pair)]
    lines += [
        against("load, threads, with log lines", "with a log", "floor, with a log"),
        _percentile(99, "with a log", "floor, with a log"),
    ]
    return Contest(contestants, lines, work=each * CLIENTS)


def _percentile(part: int, ours: str, floor: str, *, goal: float | None = None) -> Line:
    figure = f"p{part}"
    label = f"  {part}th percentile"
    return Line(label, ours, floor, goal, figure=figure, floor_figure=figure, unit="µs")


def _endure(folder: Path, scale: Scale) -> Contest:
    """Read memory and descriptors as requests go by, over many more apps than may be open."""
    root, issued = _installation(folder, scale.many_apps, scale.rows_per_app)
    apps = names(scale.many_apps)
    run = {
        "apps": apps,
        "tokens": issued,
        "after": list(scale.requests),
        "open_apps": min(_OPEN_APPS, scale.many_apps // 2),
    }
    first, last = scale.requests[0], scale.requests[-1]
    return Contest(
        {"ours": lambda: in_fresh_process("endure", root, **run)},
        [
            *(
                Line(
                    f"endure: {label} after {count} requests",
                    "ours",
                    None if count == first else "ours",
                    None if count == first else 1.1,
                    figure=f"{figure}_{count}",
                    floor_figure=f"{figure}_{first}",
                    unit=unit,
                )
                for figure, label, unit in (
                    ("rss", "peak memory", "MiB"),
                    ("descriptors", "descriptors", ""),
                )
                for count in scale.requests
            ),
            Line("endure: errors", "ours", goal=0, figure="errors", unit=""),
            Line("endure: a request", "ours", unit="µs", per=last),
        ],
        work=last,
    )


def _allow_files(apps: int) -> None:
    """Raise the limit on open files to what so many apps take, where it is lower."""
    least = 64 + 3 * (2 * apps + CLIENTS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(least, hard), hard))


BENCHMARKS: Final = (
    Benchmark("load", "services", "8 clients over many apps", _load),
    Benchmark("endure", "memory", "requests over more apps than may be open", _endure),
)

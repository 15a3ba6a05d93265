"""Benchmarks of reads over all apps of a fleet: short ones, and a pass over a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet, names
from streamhub_orm.data_dir import DataDir
from streamhub_orm.fleet import count_active_streams, read_apps, vod_totals
from streamhub_orm.fleet.readings import ACTIVE_STREAMS, VOD_TOTALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contest import Run, Sample
    from benchmarks.scale import Scale

_ROWS: Final = 40
_LONG_ROWS: Final = 50
"""So many times the rows for the long reading, and so many times fewer apps."""
_JOBS: Final = (2, 4)


def _fan_out(folder: Path, scale: Scale) -> Contest:
    contestants: dict[str, Run] = {}
    lines = []
    few = max(2, scale.fleet // _LONG_ROWS)
    for label, apps, rows, query, read in (
        ("active streams", scale.fleet, _ROWS, ACTIVE_STREAMS, count_active_streams),
        ("VOD totals", few, _ROWS * _LONG_ROWS, VOD_TOTALS, vod_totals),
    ):
        root = folder / f"{apps}-{rows}"
        make_fleet(root, apps, rows=rows)
        floor = f"floor, {label}"
        contestants[floor] = partial(_plainly, root, names(apps), query)
        for jobs in (1, *_JOBS):
            ours = label if jobs == 1 else f"{label}, {jobs} threads"
            contestants[ours] = partial(_fanned_out, root, names(apps), read, jobs)
            goal = 2 if jobs == 1 else None
            lines.append(Line(f"fan-out, {ours}", ours, floor, goal, unit="ms/app", per=apps))
    return Contest(contestants, lines, work=scale.fleet)


def _plainly(root: Path, apps: list[str], query: str) -> Sample:
    """Open, ask and close one after the other."""

    def look() -> None:
        for name in apps:
            uri = f"file:{root}/apps/{name}/app.db?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                connection.execute(query).fetchall()

    return _second_time(look)


def _fanned_out(
    root: Path, apps: list[str], read: Callable[[sqlite3.Connection], Any], jobs: int
) -> Sample:
    def look() -> None:
        for found in read_apps(DataDir.find(root), apps, read, jobs=jobs):
            if found.value is None:
                raise AssertionError(found)

    return _second_time(look)


def _second_time(look: Callable[[], None]) -> Sample:
    """Measure with the files in the page cache and their -shm as the last reader left it."""
    look()
    return timed(look)


BENCHMARKS: Final = (Benchmark("fan-out", "fleet", "one reading of every app", _fan_out),)

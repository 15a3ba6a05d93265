"""Benchmarks of the split: a fleet of small apps, and one big app."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line
from benchmarks.fresh import in_fresh_process
from benchmarks.installations import head_schema, make_monolith, names, restore

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale


def _split_many(folder: Path, scale: Scale) -> Contest:
    return _contest(folder, "split_many", scale.fleet, scale.rows_per_app, goal=0.7)


def _split_one(folder: Path, scale: Scale) -> Contest:
    return _contest(folder, "split_one", 1, scale.rows_of_one, goal=0.6)


def _contest(folder: Path, name: str, apps: int, rows_per_app: int, *, goal: float) -> Contest:
    """Measure the split phase, and the whole run, which backs the global database up too."""
    prepared, root = folder / "prepared", folder / "work"
    make_monolith(prepared, apps, rows_per_app)
    schema = head_schema(folder / "scratch")

    def floor(**way: bool) -> Sample:
        restore(prepared, root)
        return in_fresh_process("floor_split", root, names=names(apps), schema=schema, **way)

    def ours() -> Sample:
        restore(prepared, root)
        return in_fresh_process("upgrade", root)

    work = apps * rows_per_app
    line = partial(Line, floor="floor", unit="µs/row", per=work)
    return Contest(
        {
            "floor": floor,
            "floor, indices after": partial(floor, indices_after=True),
            "floor, WAL first": partial(floor, wal_first=True),
            "ours": ours,
        },
        [
            line(name, "ours", goal=goal),
            line("  the split alone, without its backup", "ours", figure="split_seconds"),
            line("  floor with indices after", "floor, indices after"),
            line("  floor with WAL set first", "floor, WAL first"),
        ],
        work=work,
    )


BENCHMARKS: Final = (
    Benchmark("split_many", "split", "upgrade() of many apps from one file", _split_many),
    Benchmark("split_one", "split", "upgrade() of one big app", _split_one),
)

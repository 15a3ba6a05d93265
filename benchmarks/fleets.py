"""Benchmarks of `upgrade()` on a fleet: at head, one revision behind, and as the fleet grows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contest import Benchmark, Contest, Line
from benchmarks.fresh import in_fresh_process
from benchmarks.installations import (
    last_step,
    leave_vods_db,
    make_fleet,
    make_monolith,
    names,
    restore,
)

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Run, Sample
    from benchmarks.scale import Scale

_ROWS: Final = 40
"""Rows of each app: few, so that what is done per file shows."""


@dataclass(frozen=True)
class _Fleet:
    """A fleet on which both contestants work in turn."""

    prepared: Path
    root: Path
    names: list[str]

    @classmethod
    def make(cls, folder: Path, apps: int, *, behind: bool) -> _Fleet:
        kind = f"{apps}-{'behind' if behind else 'head'}"
        make_fleet(folder / kind, apps, rows=_ROWS, behind=behind)
        return cls(folder / kind, folder / f"{kind}-work", names(apps))

    def look_plainly(self) -> Sample:
        self._warm_up()
        return self._look_plainly()

    def look(self) -> Sample:
        """Let the product find that there is nothing to do, so there is nothing to restore."""
        self._warm_up()
        return in_fresh_process("upgrade", self.prepared)

    def _warm_up(self) -> None:
        """Look once unmeasured.

        The first reader of a WAL database truncates its -shm, which takes ten times as long where
        that file has reached the disk since the last look: whoever came first would pay for both.
        """
        self._look_plainly()

    def _look_plainly(self) -> Sample:
        return in_fresh_process("floor_look", self.prepared, names=self.names)

    def upgrade_plainly(self, step: dict[str, Any]) -> Sample:
        restore(self.prepared, self.root)
        return in_fresh_process("floor_upgrade", self.root, names=self.names, **step)

    def upgrade(self) -> Sample:
        restore(self.prepared, self.root)
        return in_fresh_process("upgrade", self.root)


def _at_head(folder: Path, scale: Scale) -> Contest:
    fleet = _Fleet.make(folder, scale.fleet, behind=False)
    return Contest(
        {"floor": fleet.look_plainly, "ours": fleet.look},
        [Line("at_head", "ours", "floor", goal=2, unit="ms/app", per=scale.fleet)],
        work=scale.fleet,
    )


def _left_behind(folder: Path, scale: Scale) -> Contest:
    """Look at fleets whose legacy sources stay: many apps, and few apps with few and many rows."""
    contestants: dict[str, Run] = {}
    for kind, apps, rows in (
        ("fleet", scale.fleet, 200),
        ("few rows", scale.left_behind, 200),
        ("many rows", scale.left_behind, 100 * 200),
    ):
        root = folder / kind
        make_monolith(root, apps, rows)
        leave_vods_db(root, apps, rows)
        in_fresh_process("upgrade", root)
        fleet = _Fleet(root, root, names(apps))
        contestants |= {f"floor, {kind}": fleet.look_plainly, kind: fleet.look}
    few = f"  {scale.left_behind} apps with 20,000 rows each, against 200"
    return Contest(
        contestants,
        [
            Line("left_behind", "fleet", "floor, fleet", goal=2, unit="ms/app", per=scale.fleet),
            Line(few, "many rows", "few rows", goal=1.05, unit="ms/app", per=scale.left_behind),
        ],
        work=scale.fleet,
    )


def _behind(folder: Path, scale: Scale) -> Contest:
    fleet = _Fleet.make(folder, scale.fleet, behind=True)
    step = last_step(folder / "step")
    return Contest(
        {"floor": partial(fleet.upgrade_plainly, step), "ours": fleet.upgrade},
        [Line("behind", "ours", "floor", goal=1, unit="ms/app", per=scale.fleet)],
        work=scale.fleet,
    )


def _growth(folder: Path, scale: Scale) -> Contest:
    step = last_step(folder / "step")
    contestants: dict[str, Run] = {}
    lines = []
    for apps in scale.growth:
        head = _Fleet.make(folder, apps, behind=False)
        behind = _Fleet.make(folder, apps, behind=True)
        contestants |= {
            f"floor at head {apps}": head.look_plainly,
            f"ours at head {apps}": head.look,
            f"floor behind {apps}": partial(behind.upgrade_plainly, step),
            f"ours behind {apps}": behind.upgrade,
        }
        for state in ("at head", "behind"):
            ours, floor = f"ours {state} {apps}", f"floor {state} {apps}"
            lines.append(Line(f"{state}, {apps} apps", ours, floor, unit="ms/app", per=apps))
            lines.append(Line("  peak memory", ours, figure="peak_rss_mib", unit="MiB"))
    return Contest(contestants, lines, work=max(scale.growth))


BENCHMARKS: Final = (
    Benchmark("at_head", "fleet", "upgrade() of a fleet at head", _at_head),
    Benchmark("left_behind", "fleet", "at head, legacy sources left in place", _left_behind),
    Benchmark("behind", "fleet", "upgrade() of a fleet one revision behind", _behind),
    Benchmark("growth", "fleet", "upgrade() as the fleet grows", _growth),
)

"""The harness: contestants that do the same work, run in turn, several rounds, and compared."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.scale import Scale

    Sample = dict[str, float]
    Run = Callable[[], Sample]
    """Does the work once and returns what was measured, `seconds` at least."""


@dataclass(frozen=True)
class Line:
    """One line of the result: a measured figure, what it is held against, and the goal."""

    label: str
    ours: str
    """The contestant."""
    floor: str | None = None
    """The other contestant; None where the goal is an absolute figure."""
    goal: float | None = None
    """At most so many times the floor, or `unit` where there is no floor; None for context."""
    figure: str = "seconds"
    """Which of the measured figures of our contestant."""
    floor_figure: str = "seconds"
    unit: str = "s"
    per: int = 1
    """The figure is divided by this, so that it reads per app or per look-up."""


@dataclass(frozen=True)
class Contest:
    """A benchmark whose data lies ready."""

    contestants: dict[str, Run]
    lines: list[Line]
    work: int = 1
    """How many apps, rows or look-ups one run handles."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark by name; `prepare` builds its data in a folder of its own."""

    name: str
    group: str
    """The chart on which it is shown."""
    about: str
    prepare: Callable[[Path, Scale], Contest]


@dataclass
class Outcome:
    """The samples of all rounds."""

    benchmark: Benchmark
    contest: Contest
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def figures(self, contestant: str, figure: str = "seconds") -> list[float]:
        """Return one figure of every round."""
        return [sample[figure] for sample in self.samples[contestant]]

    def median(self, contestant: str, figure: str = "seconds") -> float:
        """Return the median over the rounds."""
        return statistics.median(self.figures(contestant, figure))

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield each line with its medians, and with the ratio and the goal."""
        for line in self.contest.lines:
            ours = self.median(line.ours, line.figure)
            floor = None if line.floor is None else self.median(line.floor, line.floor_figure)
            reached = ours / line.per if floor is None else ours / floor
            yield {
                "label": line.label,
                "ours": ours / line.per,
                "floor": None if floor is None else floor / line.per,
                "unit": line.unit,
                "ratio": None if floor is None else reached,
                "ratios": self._ratios(line),
                "goal": line.goal,
                "met": None if line.goal is None else reached <= line.goal,
            }

    def to_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "group": self.benchmark.group,
            "about": self.benchmark.about,
            "work": self.contest.work,
            "results": list(self.results()),
            "samples": self.samples,
        }

    def _ratios(self, line: Line) -> list[float]:
        """Return the ratio of each round: what they scatter over tells how far to trust it."""
        if line.floor is None:
            return []
        floors = self.figures(line.floor, line.floor_figure)
        pairs = zip(self.figures(line.ours, line.figure), floors, strict=True)
        return [ours / floor for ours, floor in pairs]


def hold(
    benchmark: Benchmark, folder: Path, scale: Scale, rounds: int, tell: Callable[[str], None]
) -> Outcome:
    """Prepare a benchmark and run its contestants in turn, every other round in reverse order."""
    tell(f"{benchmark.name}: building its data")
    outcome = Outcome(benchmark, benchmark.prepare(folder, scale))
    names = list(outcome.contest.contestants)
    outcome.samples = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            tell(f"{benchmark.name}: round {number + 1} of {rounds}, {name}")
            outcome.samples[name].append(outcome.contest.contestants[name]())
    return outcome


def timed(work: Callable[[], object]) -> Sample:
    """Measure one call in this process."""
    started = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - started}

"""SIGKILL at every call that changes the disk: the next run finishes, and no row is lost.

`python -m tests.support.faults.kill_all` tries every point of every era, in all three ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.support.faults import scenarios
from tests.support.faults.kill_points import Attack, attack_at
from tests.support.faults.sampling import sample
from tests.support.faults.shim import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.conftest import Preparations
    from tests.support.faults.fork_server import ForkServer
    from tests.support.faults.kill_points import Violation
    from tests.support.faults.scenarios import Prepared, Scenario

SLICES: Final = 8
FEWEST_POINTS: Final = {
    "upgrade monolith": 250,
    "open new app": 30,
    "open old app": 120,
    "backup": 40,
    "init": 25,
    "rollback": 15,
    "split cleanup": 40,
}
"""A harness that sees fewer calls than this has gone blind."""


def assert_survives(violations: list[Violation]) -> None:
    """Fail with every violation."""
    assert not violations, "\n".join(map(str, violations))


def numbers(prepared: Prepared, every: int, *, first: int = 1) -> range:
    """Take a sample of the points; the report shows how many."""
    chosen = sample(prepared.points, every, first=first)
    print(f"{prepared.scenario.name}: {len(chosen)} of {prepared.points} points")  # noqa: T201
    return chosen


@pytest.mark.parametrize("slice_", range(SLICES))
def test_upgrade_killed_at_any_point_of_one_era_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations, slice_: int
) -> None:
    """All slices together try every call of the split and upgrade of a monolith."""
    prepared = preparations.get(scenarios.upgrade_of("monolith"))
    assert prepared.points >= (FEWEST_POINTS[prepared.scenario.name] if server.has_shim else 1)
    chosen = range(1 + slice_, prepared.points + 1, SLICES)
    assert_survives(attack_at(server, prepared, chosen, Attack()))


@pytest.mark.parametrize(
    ("make", "every"),
    [
        (scenarios.lazy_open_of_new_app, 3),
        (scenarios.lazy_open_of_old_app, 19),
        (scenarios.backup_alone, 3),
        (scenarios.fresh_installation, 3),
        (scenarios.rollback, 11),
        (scenarios.split_cleanup, 19),
    ],
    ids=lambda it: getattr(it, "__name__", None),
)
def test_other_work_that_is_killed_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations, make: Callable[[], Scenario], every: int
) -> None:
    """Lazy opens, `init`, `rollback` and a single backup leave nothing half done."""
    prepared = preparations.get(make())
    assert prepared.points >= (FEWEST_POINTS[prepared.scenario.name] if server.has_shim else 1)
    assert_survives(attack_at(server, prepared, numbers(prepared, every), Attack()))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: scenarios.upgrade_of("vods_db"), id="vods_db"),
        pytest.param(lambda: scenarios.upgrade_of("pre_tenancy"), id="pre_tenancy"),
        pytest.param(lambda: scenarios.upgrade_of("node_split"), id="node_split"),
        pytest.param(lambda: scenarios.upgrade_of("node_head"), id="node_head"),
        pytest.param(scenarios.upgrade_of_restored_files, id="restored"),
    ],
)
def test_upgrade_of_any_era_killed_at_some_points_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations, make: Callable[[], Scenario]
) -> None:
    """A sample here; every point in the longer run."""
    prepared = preparations.get(make())
    assert_survives(attack_at(server, prepared, numbers(prepared, 60, first=6), Attack()))


def test_upgrade_killed_in_the_middle_of_a_write_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations
) -> None:
    """Half a page on the disk is no page."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no half writes")
    prepared = preparations.get(scenarios.upgrade_of("monolith"))
    chosen = numbers(prepared, 19, first=4)
    assert_survives(attack_at(server, prepared, chosen, Attack(Mode.TORN)))


def test_upgrade_killed_before_some_statements_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations
) -> None:
    """The boundaries that Python sees: SQLite's trace, and the calls of `os`."""
    prepared = preparations.get(scenarios.upgrade_of("monolith"), by_python=True)
    chosen = numbers(prepared, 25, first=5)
    assert_survives(attack_at(server, prepared, chosen, Attack(by_python=True)))

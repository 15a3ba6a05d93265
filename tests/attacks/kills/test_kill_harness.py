"""The harness itself: where the product breaks a promise, it turns red."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.faults import scenarios
from tests.support.faults.kill_points import Attack, attack_at
from tests.support.faults.shim import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.conftest import Preparations
    from tests.support.faults.fork_server import ForkServer
    from tests.support.faults.scenarios import Scenario

CALLS: Final = {
    "chmod", "chown", "create", "fsync", "link", "mkdir", "rename", "truncate", "unlink", "write"
}  # fmt: skip


def monolith() -> Scenario:
    return scenarios.upgrade_of("monolith")


def pre_tenancy() -> Scenario:
    return scenarios.upgrade_of("pre_tenancy")


@pytest.mark.parametrize(
    ("sabotage", "make", "every", "complaint"),
    [
        ("statement_by_statement", pre_tenancy, 40, "neither what it was nor what it will be"),
        ("publish_in_place", scenarios.lazy_open_of_new_app, 1, "app.db is damaged"),
        ("write_without_backup", pre_tenancy, 90, "was changed and there is no backup of it"),
        ("mark_first", monolith, 30, "marked as done before every app has its rows"),
        ("keep_leftovers", monolith, 12, ".streamhub-tmp than an undisturbed run leaves"),
        ("rewrite_at_every_run", monolith, 200, "the third run changed data/streamhub.db"),
    ],
)
def test_sabotaged_product_is_found_out(  # noqa: PLR0913, PLR0917
    server: ForkServer,
    preparations: Preparations,
    sabotage: str,
    make: Callable[[], Scenario],
    every: int,
    complaint: str,
) -> None:
    """Each promise that is taken out of the product is missed by the check made for it."""
    if sabotage == "publish_in_place" and not server.has_shim:
        pytest.skip("no C compiler, so no half writes")
    prepared = preparations.get(make())
    mode = Mode.TORN if server.has_shim else Mode.KILL
    attack = Attack(mode, sabotage=sabotage)

    violations = attack_at(server, prepared, range(1, prepared.points + 1, every), attack)

    assert any(complaint in it.complaint for it in violations), violations


def test_shim_kills_at_the_call_that_was_chosen(
    server: ForkServer, preparations: Preparations
) -> None:
    """A kill in the middle of a run is a real one, and the calls are those that reach the disk."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no shim")
    prepared = preparations.get(monolith())
    for number in (1, prepared.points // 2, prepared.points):
        shutil.copytree(prepared.folder, prepared.place)
        job = prepared.scenario.attacked(prepared.place)
        ended = server.run(job.at(number, Mode.KILL))
        shutil.rmtree(prepared.place)
        assert (ended.status, ended.points) == (-signal.SIGKILL, number)
        assert ended.last.partition(" ")[0] in CALLS

"""Every point of every scenario, in every way: `python -m tests.support.faults.kill_all [NAME]…`.

Takes about an hour on two cores, of which `--way kill` is a sixth. Prints the rows of the tables in
docs/RELIABILITY.md and ends with status 1 if any promise was broken.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import figures
from tests.support.faults import scenarios
from tests.support.faults.fork_server import ForkServer
from tests.support.faults.kill_points import Attack, Violation, attack_at, fault_numbers
from tests.support.faults.scenarios import prepare, upgrade_of
from tests.support.faults.shim import Mode
from tests.support.faults.state import scratch_folder
from tests.support.installations.facts import ERAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.faults.scenarios import Scenario

SCENARIOS: Final[dict[str, Callable[[], Scenario]]] = {
    **{era: (lambda era=era: upgrade_of(era)) for era in ERAS},  # type: ignore[misc]
    "restored": scenarios.upgrade_of_restored_files,
    "open-new": scenarios.lazy_open_of_new_app,
    "open-old": scenarios.lazy_open_of_old_app,
    "backup": scenarios.backup_alone,
    "init": scenarios.fresh_installation,
    "rollback": scenarios.rollback,
    "split-cleanup": scenarios.split_cleanup,
}
ATTACKS: Final = {
    "kill": Attack(),
    "torn": Attack(Mode.TORN),
    "statements": Attack(by_python=True),
    "full": Attack(Mode.FAIL_ON, errno.ENOSPC),
    "full-once": Attack(Mode.FAIL_ONCE, errno.ENOSPC),
    "bad": Attack(Mode.FAIL_ON, errno.EIO),
    "bad-once": Attack(Mode.FAIL_ONCE, errno.EIO),
}


def try_slice(name: str, way: str, slice_: int, of: int) -> tuple[dict[str, int], list[Violation]]:
    """Try every `of`-th point in a process of its own; return the figures, and what broke."""
    attack = ATTACKS[way]
    folder = Path(tempfile.mkdtemp(prefix="streamhub-faults-", dir=scratch_folder()))
    try:
        with ForkServer() as server:
            prepared = prepare(server, SCENARIOS[name](), folder, by_python=attack.by_python)
            fails = attack.mode in (Mode.FAIL_ON, Mode.FAIL_ONCE)
            numbers = fault_numbers(server, prepared) if fails else range(1, prepared.points + 1)
            violations = attack_at(server, prepared, numbers[slice_::of], attack)
            return figures.take(), violations
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Try what is asked for, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], metavar="NAME")
    parser.add_argument("--way", choices=ATTACKS, action="append", help="default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    broken = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in options.names or SCENARIOS:
            for way in options.way or ATTACKS:
                started = time.monotonic()
                slices = [
                    pool.submit(try_slice, name, way, slice_, options.jobs)
                    for slice_ in range(options.jobs)
                ]
                tried = sum(it.result()[0].get(ATTACKS[way].word, 0) for it in slices)
                violations = [violation for it in slices for violation in it.result()[1]]
                seconds = time.monotonic() - started
                _say(f"| {name} | {way} | {tried:,} | {len(violations)} | {seconds:.0f} s |")
                for violation in violations:
                    _say(f"    {violation}")
                broken += len(violations)
                for it in slices:
                    figures.add(it.result()[0])
    for line in figures.lines({**figures.take(), "promises broken": broken}):
        _say(line)
    return 1 if broken else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""SIGKILL at a random instant of a real upgrade with worker processes."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pytest

from tests import figures
from tests.faults import scenarios
from tests.faults.kill_points import check_cured, check_interrupted
from tests.installations.commands import CHECKOUT, COMMAND
from tests.installations.facts import find_global_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.conftest import Preparations
    from tests.faults.fork_server import ForkServer
    from tests.faults.scenarios import Prepared

APPS: Final = 24
"""Enough that workers are started."""
INSTANTS: Final = 5


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy"])
@pytest.mark.parametrize("seed", range(INSTANTS))
def test_upgrade_whose_whole_group_is_killed_is_finished_by_the_next_run(
    server: ForkServer, preparations: Preparations, era: str, seed: int
) -> None:
    """Parent and workers die at one instant, as in a loss of power."""
    prepared = preparations.get(scenarios.upgrade_of(era, apps=APPS))
    with _Run(prepared) as run:
        run.wait_for_some_instant(seed)
        os.killpg(run.process.pid, signal.SIGKILL)
        figures.count("kills of whole groups at random instants")
        run.process.wait()
        complaints = [*check_interrupted(prepared, prepared.place)]
        complaints += check_cured(server, prepared)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy"])
@pytest.mark.parametrize("seed", range(INSTANTS))
def test_upgrade_whose_parent_alone_is_killed_keeps_the_lock_until_its_workers_end(
    server: ForkServer, preparations: Preparations, era: str, seed: int
) -> None:
    """No second upgrade starts beside orphaned workers, and they do not stay."""
    prepared = preparations.get(scenarios.upgrade_of(era, apps=APPS))
    with _Run(prepared) as run:
        run.wait_for_some_instant(seed + INSTANTS)
        os.kill(run.process.pid, signal.SIGKILL)
        figures.count("kills of the parent alone at random instants")
        run.process.wait()
        run.wait_for_the_lock()
        assert run.has_ended(), "the lock was free while workers were still there"
        assert "Traceback" not in run.words()
        complaints = [*check_interrupted(prepared, prepared.place)]
        complaints += check_cured(server, prepared)
    assert not complaints, "\n".join(complaints)


class _Run:
    """A real upgrade with two workers, in a process group of its own."""

    def __init__(self, prepared: Prepared) -> None:
        self.data_dir = prepared.place
        shutil.copytree(prepared.folder, self.data_dir, symlinks=True)
        self.lock = find_global_path(self.data_dir).with_name("streamhub.db.lock")
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        self.process = subprocess.Popen(
            [*COMMAND, "--data-dir", str(self.data_dir), "--json", "upgrade", "--jobs", "2"],
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=self.stderr,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stderr.close()
        shutil.rmtree(self.data_dir)

    def wait_for_some_instant(self, seed: int) -> None:
        """Wait until the work has begun, and then for some part of its time."""
        deadline = time.monotonic() + 30
        while not self.lock.exists() and self.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(random.Random(seed).uniform(0, 1.2))  # noqa: S311 - not for secrets

    def wait_for_the_lock(self) -> None:
        """Wait until nobody holds the installation's lock."""
        with self.lock.open("rb") as file:
            for _ in _until(30):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                return

    def has_ended(self) -> bool:
        """Tell whether no process of the group is left; one that ends may need a moment."""
        return any(not self._members() for _ in _until(0.5))

    def words(self) -> str:
        """Read what the processes said on stderr."""
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def _members(self) -> list[Path]:
        """List the processes of the group but those that only wait to be reaped."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state != "Z":
                    found.append(entry)
        return found


def _until(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.01)


def test_upgrade_of_so_many_apps_starts_workers(preparations: Preparations) -> None:
    """The instants above hit a run that really has processes beside its parent."""
    prepared = preparations.get(scenarios.upgrade_of("pre_tenancy", apps=APPS))
    most = 0
    with _Run(prepared) as run:
        children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
        if not children.exists():
            pytest.skip("this kernel does not list the children of a process")
        while run.process.poll() is None:
            with suppress(OSError):
                most = max(most, len(children.read_text().split()))
            time.sleep(0.005)
    assert most >= 2

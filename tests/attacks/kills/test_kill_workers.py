"""SIGKILL and Ctrl-C at a random instant of a real upgrade with worker processes."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from tests.support import figures
from tests.support.faults import scenarios
from tests.support.faults.kill_points import check_cured, check_interrupted
from tests.support.installations.commands import CHECKOUT, COMMAND
from tests.support.installations.facts import find_global_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.conftest import Preparations
    from tests.support.faults.fork_server import ForkServer
    from tests.support.faults.scenarios import Prepared

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


@pytest.mark.parametrize("era", ["monolith", "pre_tenancy"])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_upgrade_that_is_interrupted_stops_between_files(
    server: ForkServer, preparations: Preparations, era: str, jobs: int, seed: int
) -> None:
    """Ctrl-C: status 130, each file done or untouched, nobody left, and the next run finishes."""
    prepared = preparations.get(scenarios.upgrade_of(era, apps=APPS))
    with _Run(prepared, jobs=jobs) as run:
        run.wait_for_the_first_file(seed)
        os.killpg(run.process.pid, signal.SIGINT)
        status = run.process.wait(30)
        assert run.has_ended()
        words = run.words()
        if status == 130:  # it may have been done just before
            last = words.strip().splitlines()[-1]
            assert last.startswith("Stopped by Ctrl-C. Run the same command again")
            assert run.report()["ok"] is False
            assert "Ctrl-C" in run.report()["error"]
        if status == -signal.SIGINT:  # all was done, and Python already on its way out
            assert run.report()["ok"] is True
        assert status in {130, 0, -signal.SIGINT}
        assert "Traceback" not in words
        complaints = [*check_interrupted(prepared, prepared.place)]
        complaints += check_cured(server, prepared)
    assert not complaints, "\n".join(complaints)


def test_upgrade_whose_worker_is_killed_names_its_app_and_does_the_others(
    server: ForkServer, preparations: Preparations
) -> None:
    """As the kernel does where memory runs out: one app failed, status 1, all others done."""
    prepared = preparations.get(scenarios.upgrade_of("pre_tenancy", apps=APPS))
    with _Run(prepared) as run:
        os.kill(run.wait_for_a_worker(), signal.SIGKILL)
        assert run.process.wait(30) == 1
        report = run.report()
        (failed,) = [app for app in report["apps"] if app["error"] is not None]
        assert report["failed"] == 1
        assert str(prepared.place / "apps" / failed["app"] / "app.db") in failed["error"]
        assert "its worker process ended with status -9" in failed["error"]
        complaints = [*check_interrupted(prepared, prepared.place)]
        complaints += check_cured(server, prepared)
    assert not complaints, "\n".join(complaints)


class _Run:
    """A real upgrade with two workers, in a process group of its own."""

    def __init__(self, prepared: Prepared, *, jobs: int = 2) -> None:
        self.data_dir = prepared.place
        shutil.copytree(prepared.folder, self.data_dir, symlinks=True)
        self.lock = find_global_path(self.data_dir).with_name("streamhub.db.lock")
        self.stdout = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [*COMMAND, "--data-dir", str(self.data_dir), "--json", "upgrade", "--jobs", str(jobs)],
            cwd=CHECKOUT,
            stdout=self.stdout,
            stderr=self.stderr,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stdout.close()
        self.stderr.close()
        shutil.rmtree(self.data_dir)

    def wait_for_some_instant(self, seed: int) -> None:
        """Wait until the work has begun, and then for some part of its time."""
        deadline = time.monotonic() + 30
        while not self.lock.exists() and self.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(random.Random(seed).uniform(0, 1.2))  # noqa: S311 - not for secrets

    def wait_for_the_first_file(self, seed: int) -> None:
        """Wait until one app is done or in work, and then for a little."""
        for _ in _until(30):
            if self.process.poll() is not None or any(self._begun()):
                break
        time.sleep(random.Random(seed).uniform(0, 0.1))  # noqa: S311 - not for secrets

    def wait_for_a_worker(self) -> int:
        """Wait until there is a worker, and return its process."""
        for _ in _until(30):
            parent = self.process.pid
            workers = [int(entry.name) for entry in self._members() if entry.name != str(parent)]
            if workers:
                return workers[0]
        raise AssertionError

    def report(self) -> dict[str, Any]:
        """Read the one JSON document on stdout."""
        self.stdout.seek(0)
        document: dict[str, Any] = json.loads(self.stdout.read())
        return document

    def _begun(self) -> Iterator[Path]:
        """Yield temporary files and backups in the folders of the apps."""
        yield from self.data_dir.glob("apps/*/.app.db.*")
        yield from self.data_dir.glob("apps/*/app.db.bak-*")

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

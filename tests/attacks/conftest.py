"""The forking server and the memory that all attacks share."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.promotion.conftest import empty_url, sides  # noqa: F401 - fixtures, here too
from tests.support.faults.fork_server import ForkServer
from tests.support.faults.scenarios import prepare
from tests.support.faults.state import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.faults.scenarios import Prepared, Scenario


class Preparations:
    """Prepares each scenario once per session."""

    def __init__(self, server: ForkServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._known: dict[tuple[str, bool], Prepared] = {}

    def get(self, scenario: Scenario, *, by_python: bool = False) -> Prepared:
        key = (scenario.name, by_python)
        if key not in self._known:
            folder = self._folder / str(len(self._known))
            folder.mkdir()
            self._known[key] = prepare(self._server, scenario, folder, by_python=by_python)
        return self._known[key]


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


@pytest.fixture
def memory() -> Iterator[Path]:
    """Give a folder in memory, where there is some: fsync then costs nothing."""
    yield from _memory()


@pytest.fixture(scope="session")
def preparations(server: ForkServer) -> Iterator[Preparations]:
    for folder in _memory():
        yield Preparations(server, folder)


@pytest.fixture
def small_disk(memory: Path) -> Iterator[Path]:
    """Mount a file system of 16 MiB, which a test may resize."""
    mount = shutil.which("mount")
    disk = memory / "disk"
    disk.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root and the right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def _memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="streamhub-faults-", dir=scratch_folder()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)

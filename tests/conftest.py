"""Fixtures shared by all tests: installations of every era, fresh or upgraded, to play with."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from streamhub_orm.migrations.linting import lint
from tests.support import figures
from tests.support.installations import Options, build_installation
from tests.support.installations.commands import run_in_process
from tests.support.unclosed import tell_of_unclosed_connections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.installations import Installation

tell_of_unclosed_connections()

pytest_plugins = ["streamhub_orm.testing.plugin", "tests.support.object_stores.fixtures"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """End the run at once where a revision breaks a rule: all else that fails would follow from it.

    A file in the wrong folder alone would fail hundreds of tests, none of which names it.
    """
    if not hasattr(session.config, "workerinput"):
        findings = lint()
        if findings:
            pytest.exit("\n".join(map(str, ["revisions:", *findings])), returncode=1)


class MakeInstallation(Protocol):
    """Gives a test an installation of its own."""

    def __call__(
        self, era: str, layout: str = "nested", *, rows: int = ..., options: Options | None = None
    ) -> Installation: ...


class InstallationCache:
    """Builds each kind of installation once per session; tests get copies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[tuple[object, ...], Installation] = {}

    def get(
        self, era: str, layout: str, rows: int, options: Options, *, upgraded: bool
    ) -> Installation:
        key = (era, layout, rows, options, upgraded)
        if key not in self._built:
            self._built[key] = self._make(era, layout, rows, options, upgraded=upgraded)
        return self._built[key]

    def _make(
        self, era: str, layout: str, rows: int, options: Options, *, upgraded: bool
    ) -> Installation:
        path = self._folder / str(len(self._built))
        if not upgraded:
            return build_installation(path, era=era, layout=layout, rows=rows, options=options)
        built = self.get(era, layout, rows, options, upgraded=False).copy_to(
            path.with_suffix(".upgraded")
        )
        outcome = run_in_process("--data-dir", built.data_dir, "--json", "upgrade")
        assert outcome.status == 0, outcome
        return built


@pytest.fixture(scope="session")
def installation_cache(tmp_path_factory: pytest.TempPathFactory) -> InstallationCache:
    return InstallationCache(tmp_path_factory.mktemp("installations"))


@pytest.fixture
def make_installation(installation_cache: InstallationCache, tmp_path: Path) -> MakeInstallation:
    """Make an untouched Node-era installation in the test's own folder."""

    def make(
        era: str, layout: str = "nested", *, rows: int = 60, options: Options | None = None
    ) -> Installation:
        built = installation_cache.get(era, layout, rows, options or Options(), upgraded=False)
        return built.copy_to(tmp_path / f"{era}-{layout}")

    return make


@pytest.fixture
def make_upgraded(installation_cache: InstallationCache, tmp_path: Path) -> MakeInstallation:
    """Make an installation of an era that has been upgraded, in the test's own folder."""

    def make(
        era: str, layout: str = "nested", *, rows: int = 60, options: Options | None = None
    ) -> Installation:
        built = installation_cache.get(era, layout, rows, options or Options(), upgraded=True)
        return built.copy_to(tmp_path / f"{era}-{layout}-upgraded")

    return make


class MakeDisk(Protocol):
    """Gives a test a file system of its own, of so many KiB."""

    def __call__(self, kibibytes: int) -> Path: ...


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mount a small file system, which is full as soon as anything of size is written to it."""
    with ExitStack() as mounted:

        def make(kibibytes: int) -> Path:
            disk = tmp_path / "disk"
            disk.mkdir()
            mount, umount = shutil.which("mount"), shutil.which("umount")
            options = ["-t", "tmpfs", "-o", f"size={kibibytes}k,mode=755", "tmpfs", str(disk)]
            if (
                mount is None
                or umount is None
                or subprocess.run([mount, *options], check=False).returncode
            ):
                pytest.skip("mounting a file system needs root and the right to mount")
            mounted.callback(subprocess.run, [umount, str(disk)], check=True)
            return disk

        yield make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and checked, where anything was counted."""
    counted = figures.take()
    if counted:
        terminalreporter.section("figures")
        for line in figures.lines(counted):
            terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures of one of several test processes over to the one that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = figures.take()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - a class of pytest-xdist
    """Take those figures over."""
    figures.add(getattr(node, "workeroutput", {}).get("figures", {}))

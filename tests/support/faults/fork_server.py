"""Starts the product in fresh child processes, a few milliseconds each, and kills them in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tests.support import figures
from tests.support.faults.shim import SHIM_VARIABLE, Mode, build_shim
from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: what the child does, and what befalls it."""

    action: str
    arguments: tuple[str, ...]
    folder: str
    """Calls that concern files below it are counted."""
    mode: Mode = Mode.COUNT
    number: int = 0
    """The call that is chosen, from 1."""
    error: int = 0
    by_python: bool = False
    """Count what Python sees instead of what the disk sees."""
    sabotage: str | None = None
    uid: int = 0
    file_size: int = 0
    """RLIMIT_FSIZE, or 0 for none."""
    racers: int = 1
    """How many processes make the attempt at once."""
    log: str | None = None
    """A file that takes one line per call."""

    def at(self, number: int, mode: Mode, error: int = 0) -> Job:
        """Return the same attempt with something befalling it at a call."""
        return replace(self, number=number, mode=mode, error=error)

    def limited(self, file_size: int) -> Job:
        """Return the same attempt under a limit of file size."""
        return replace(self, file_size=file_size)

    def by_user(self, uid: int) -> Job:
        """Return the same attempt by another user; 0 for the present one."""
        return replace(self, uid=uid)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    status: int
    """The exit status; negative, the signal."""
    pid: int
    points: int
    """How many calls it made below its folder."""
    last: str
    """The chosen call in words."""
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """Parse stdout, which must be exactly one JSON document."""
        parsed = json.loads(self.stdout)
        assert isinstance(parsed, dict)
        return parsed


class ForkServer:
    """The zygote's other side; close it at the end."""

    def __init__(self) -> None:
        library = build_shim()
        self.has_shim = library is not None
        preload = {"LD_PRELOAD": str(library), SHIM_VARIABLE: str(library)} if library else {}
        inherited = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.zygote"],
            cwd=CHECKOUT,
            env={**inherited, **preload},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._answer() == "ready"

    def run(self, job: Job, halfway: Callable[[], None] = lambda: None) -> Ended:
        """Run one attempt to its end; where it pauses, do something `halfway`."""
        (ended,) = self.race(job, 1, halfway)
        return ended

    def race(
        self, job: Job, racers: int, halfway: Callable[[], None] = lambda: None
    ) -> list[Ended]:
        """Run the same attempt in several processes at once."""
        if racers > 1:
            figures.count("racing processes", racers)
        if not self.has_shim:
            assert job.mode in (Mode.COUNT, Mode.KILL)
            job = replace(job, by_python=True)
        self._tell(json.dumps(asdict(replace(job, racers=racers))))
        answer = self._answer()
        while answer == "paused":
            halfway()
            self._tell("go on")
            answer = self._answer()
        return [Ended(**ended) for ended in json.loads(answer)]

    def close(self) -> None:
        """Let the zygote end."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            message = f"the fork server ended with status {self._process.wait()}"
            raise RuntimeError(message)
        return line.rstrip("\n")


def counting(job: Job, *, by_python: bool) -> Job:
    """Return the same attempt, undisturbed."""
    return replace(job, by_python=by_python)


def cli(data_dir: Path, *arguments: str) -> Job:
    """Return the attempt to run `streamhub-db` on an installation."""
    return Job("cli", ("--data-dir", str(data_dir), "--json", *arguments), str(data_dir))


def verbose(data_dir: Path, *arguments: str) -> Job:
    """Return the attempt to run `streamhub-db` with all that it can say."""
    return Job("cli", ("--data-dir", str(data_dir), "-vv", *arguments), str(data_dir))


def upgrade(data_dir: Path, *options: str) -> Job:
    """Return the attempt to upgrade an installation in one process."""
    return cli(data_dir, "upgrade", "--jobs", "1", *options)


def open_app(data_dir: Path, name: str) -> Job:
    """Return the attempt to open an app as a service does."""
    return Job("open", (str(data_dir), name), str(data_dir))


def back_up(data_dir: Path, path: Path) -> Job:
    """Return the attempt to back one file up."""
    return Job("back_up", (str(path),), str(data_dir))

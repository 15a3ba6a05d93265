"""Runs the commands under test: in this process where speed matters, or as an operator would."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CHECKOUT: Final = Path(__file__).parents[3]
COMMAND: Final = (sys.executable, "-m", "streamhub_orm")
ALEMBIC: Final = (sys.executable, "-m", "alembic")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left on its way out."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """Parse stdout, which must be exactly one JSON document.

        Left out are `version` and `seconds`, which every document has.
        """
        parsed = json.loads(self.stdout)
        assert isinstance(parsed, dict)
        parsed.pop("version", None)
        assert parsed.pop("seconds", 0) >= 0
        return parsed


def run_in_process(*arguments: str | Path) -> Outcome:
    """Call `streamhub-db` in this process; an exception that escapes it fails the test."""
    from streamhub_orm.cli import main  # noqa: PLC0415 - the builders must not need the package

    argv = sys.argv
    sys.argv = ["streamhub-db", *map(str, arguments)]
    try:
        return _call(main)
    finally:
        sys.argv = argv


def run_alembic_in_process(*arguments: str | Path) -> Outcome:
    """Call plain `alembic` in this process, in the checkout."""
    from alembic.config import main  # noqa: PLC0415 - the builders must not need the library

    with chdir(CHECKOUT):
        return _call(partial(main, [str(it) for it in arguments], prog="alembic"))


def _call(program: Callable[[], object]) -> Outcome:
    stdout, stderr, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            program()
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


def run_command(
    *arguments: str | Path,
    cwd: Path = CHECKOUT,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Outcome:
    """Run `streamhub-db` as a process of its own."""
    return run_program((*prefix, *COMMAND), arguments, cwd=cwd, environment=environment)


def run_alembic(*arguments: str | Path, data_dir: Path) -> Outcome:
    """Run plain `alembic` in the checkout, with DATA_DIR saying where."""
    return run_program(ALEMBIC, arguments, cwd=CHECKOUT, environment={"DATA_DIR": str(data_dir)})


def run_program(
    program: Sequence[str],
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a program to its end."""
    inherited = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    done = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)

"""Processes that do the same thing at the same moment, as several services of a server would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT: Final = Path(__file__).parents[2]
PRELUDE: Final = """
import sys
from streamhub_orm import Databases
databases = Databases(sys.argv[1])
arguments = sys.argv[2:]
with databases.global_session(read_only=True) as session:
    session.connection()
print("ready", flush=True)
sys.stdin.readline()
"""


def race(script: str, data_dir: Path, *arguments: str, runners: int = 4) -> list[str]:
    """Run the script in processes that start together; return the last line that each printed."""
    command = [sys.executable, "-c", PRELUDE + script, str(data_dir), *arguments]
    running = [_start(command) for _ in range(runners)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in running]
    assert all(process.returncode == 0 for process in running), outcomes
    return sorted(stdout.splitlines()[-1] for stdout, _ in outcomes)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

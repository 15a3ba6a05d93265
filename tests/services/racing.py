"""Processes that do the same thing at the same moment, as several services of a server would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamhub_orm import Databases
    from streamhub_orm.server_url import ServerUrl

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


def race(script: str, on: Databases, *arguments: str, runners: int = 4) -> list[str]:
    """Run the script in processes that start together; return the last line that each printed."""
    command = [sys.executable, "-c", PRELUDE + script, str(on.place.root), *arguments]
    running = [_start(command, on.place.global_url) for _ in range(runners)]
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


def _start(command: Sequence[str], server: ServerUrl | None) -> subprocess.Popen[str]:
    named = (
        {}
        if server is None
        else {"STREAMHUB_GLOBAL_URL": server.url.render_as_string(hide_password=False)}
    )
    return subprocess.Popen(
        command,
        env=os.environ | named,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

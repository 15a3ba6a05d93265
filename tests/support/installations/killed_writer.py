"""Rows that lie only in a -wal, because the process that wrote them was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from .facts import Value

Statement = tuple[str, list["Value"] | None]
"""SQL with its parameters, or a whole script without."""

_PROGRAM: Final = """
import json, sqlite3, sys, time
held = []
for path, statements in json.load(sys.stdin):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    for sql, parameters in statements:
        if parameters is None:
            connection.executescript(sql)
        else:
            connection.execute(sql, parameters)
    held.append(connection)
print("written", flush=True)
time.sleep(600)
"""


def write_and_kill(work: dict[Path, list[Statement]]) -> None:
    """Let a child process write to each file, then SIGKILL it before anything is checkpointed."""
    if not work:
        return
    with subprocess.Popen(
        [sys.executable, "-S", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        try:
            if child.stdin is None or child.stdout is None:
                raise AssertionError
            child.stdin.write(json.dumps([[str(path), todo] for path, todo in work.items()]))
            child.stdin.close()
            answer = child.stdout.readline()
        finally:
            child.kill()
    if answer != "written\n":
        message = "the writer that was to be killed did not get to write"
        raise RuntimeError(message)
    for path in work:
        wal = path.with_name(path.name + "-wal")
        if not wal.stat().st_size:
            message = f"{wal} holds nothing"
            raise RuntimeError(message)

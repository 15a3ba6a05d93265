"""A writer in the Node core's style that commits every 5 ms and notes how long each commit waited.

`python -m tests.support.faults.steady_writer APP_DB PATIENCE` inserts one row into `streams` and
one into `vods` in each transaction until its stdin ends, then prints one JSON document. The core
waits up to 5 s for a lock; without patience this one meets `database is locked` at once.
"""

from __future__ import annotations

import json
import select
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAUSE_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Steady:
    """What the writer did, and met."""

    committed: int
    longest_wait: float
    """The longest time from BEGIN IMMEDIATE to the end of COMMIT, in seconds."""
    errors: list[str]


class SteadyWriter:
    """The writer as a process, from the start of the block to `stop()`."""

    def __init__(self, app_db: Path, *, patience_seconds: float = 0) -> None:
        module = "tests.support.faults.steady_writer"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(app_db), str(patience_seconds)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "writing\n"

    def stop(self) -> Steady:
        """Let it end and tell what it did."""
        answer, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return Steady(**json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def write_until_told(app_db: str, patience_seconds: str) -> Steady:
    """Insert a pair of rows in one transaction, over and over."""
    connection = sqlite3.connect(app_db, isolation_level=None, timeout=float(patience_seconds))
    committed, longest, errors = 0, 0.0, []
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        started = time.perf_counter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO streams (name) VALUES ('steady')")
            connection.execute("INSERT INTO vods (name) VALUES ('steady')")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            errors.append(str(error))
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        else:
            committed += 1
        longest = max(longest, time.perf_counter() - started)
        if committed == 5:
            print("writing", flush=True)  # noqa: T201 - how the other side knows
    connection.close()
    return Steady(committed, longest, errors)


if __name__ == "__main__":
    done = write_until_told(*sys.argv[1:])
    document = {key: getattr(done, key) for key in Steady.__slots__}
    print(json.dumps(document))  # noqa: T201

"""A writer in the Node core's style: its own connections, WAL, autocommit, 5 s busy timeout.

`python -m tests.support.faults.core_writer APP_DB GLOBAL_DB` inserts until its stdin ends, then
prints one JSON document: the keys of the rows that SQLite took, and the errors that it saw.
"""

from __future__ import annotations

import json
import select
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

STREAM: Final = "INSERT INTO streams (app_id, stream_id, type, room) VALUES (1, ?, 'webrtc', 'r')"
VOD: Final = (
    "INSERT INTO vods (app_id, stream_id, room, name, started_at) "
    "VALUES (1, ?, 'r', ?, '2024-02-03T04:05:06.789Z')"
)
LOG: Final = "INSERT INTO server_logs (level, source, message) VALUES ('info', 'core', ?)"
PREFIX: Final = "core-writer/"


@dataclass(frozen=True, slots=True)
class Written:
    """What the writer did."""

    keys: dict[str, list[str]]
    errors: list[str]


class CoreWriter:
    """The writer as a process, from the start of the block to `stop()`."""

    def __init__(self, app_db: Path, global_db: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.core_writer", str(app_db), str(global_db)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "writing\n"

    def stop(self) -> Written:
        """Let it end and tell what it did."""
        answer, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return Written(**json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def write_until_told(app_db: str, global_db: str) -> Written:
    """Insert a stream, a VOD and a log line, over and over."""
    app, registry = _open(app_db), _open(global_db)
    written = Written({"streams": [], "vods": [], "server_logs": []}, [])
    number = 0
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        number += 1
        key = f"{PREFIX}{number}"
        for connection, table, sql, values in (
            (app, "streams", STREAM, (key,)),
            (app, "vods", VOD, (key, f"{key}.mp4")),
            (registry, "server_logs", LOG, (key,)),
        ):
            try:
                connection.execute(sql, values)
            except sqlite3.Error as error:
                written.errors.append(f"{table}: {error}")
            else:
                written.keys[table].append(key)
        if number == 5:
            print("writing", flush=True)  # noqa: T201 - how the other side knows
    for connection in (app, registry):
        connection.close()
    return written


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


if __name__ == "__main__":
    done = write_until_told(*sys.argv[1:])
    print(json.dumps({"keys": done.keys, "errors": done.errors}))  # noqa: T201

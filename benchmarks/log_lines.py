"""Benchmark of the server's log: a line through `logging`, against one insert per line."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet
from streamhub_orm.data_dir import DataDir
from streamhub_orm.services.log_handler import QueueLimits, ServerLogHandler

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale

_INSERT: Final = """
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    VALUES (?, 'info', 'egress', 1, ?, '{"viewers":7}')"""
_TIME: Final = "2026-01-31T12:00:00.137Z"
_TIMES: Final = 4
"""So many lines for each look-up of the scale, so that several batches are under way."""


def _log_lines(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    make_fleet(root, 1)
    count = _TIMES * scale.lookups
    against = partial(Line, floor="floor", unit="µs", per=count)
    return Contest(
        {
            "floor": lambda: _autocommit(root, count),
            "ours": lambda: _logged(root, count),
        },
        [
            against("log line, until it is written", "ours", goal=0.3),
            against("  what its caller waits", "ours", figure="caller"),
        ],
        work=count,
    )


def _autocommit(root: Path, count: int) -> Sample:
    """Insert each line in a transaction of its own, as little durable as ours are."""
    with closing(sqlite3.connect(root / "data/streamhub.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")

        def insert() -> None:
            for number in range(count):
                connection.execute(_INSERT, (_TIME, f"line {number} of the log"))

        return timed(insert)


def _logged(root: Path, count: int) -> Sample:
    """Log through a logger, as an application does, and wait until all lines are written."""
    handler = ServerLogHandler(
        DataDir.find(root), source="egress", limits=QueueLimits(capacity=count)
    )
    logger = logging.Logger("benchmark")  # noqa: LOG001 - one that nobody else uses
    logger.addHandler(handler)
    caller = {}

    def log() -> None:
        caller.update(timed(lambda: _log(logger, count)))
        handler.flush()

    sample = timed(log)
    handler.close()
    if (handler.written, handler.dropped) != (count, 0):
        raise AssertionError(handler.written, handler.dropped)
    return sample | {"caller": caller["seconds"]}


def _log(logger: logging.Logger, count: int) -> None:
    for number in range(count):
        logger.info("line %d of the log", number, extra={"app": "app-00001", "viewers": 7})


BENCHMARKS: Final = (Benchmark("log-lines", "services", "lines of the server's log", _log_lines),)

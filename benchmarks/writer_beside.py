"""Benchmark of a server's writer beside a backup: how long a commit waits at worst."""

from __future__ import annotations

import json
import select
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet, names
from streamhub_orm.engine.backups import back_up, list_backups

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale

_ROOT: Final = Path(__file__).parents[1]
_PAUSE_SECONDS: Final = 0.005
_ALONE_SECONDS: Final = 2.0
_BEGUN: Final = 20
"""So many commits go ahead, so that connecting is not what is measured."""
_INSERT: Final = """
    INSERT INTO vods (app_id, stream_id, room, name, started_at)
    VALUES (1, 'room/PA_1', 'room', ?, '2024-02-03T04:05:06.789Z')"""


def _beside(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    make_fleet(root, 1, rows=scale.rows_backed_up)
    path = root / "apps" / names(1)[0] / "app.db"
    megabytes = path.stat().st_size / 1e6
    return Contest(
        {
            "alone": lambda: _writing(path, lambda: time.sleep(_ALONE_SECONDS)),
            "backup": lambda: _writing(path, lambda: _back_up(path)),
        },
        [
            Line("backup_beside: longest wait", "backup", goal=100, figure="longest", unit="ms"),
            Line("  of 100 commits the slowest", "backup", figure="p99", unit="ms"),
            Line("  longest wait with no backup", "alone", figure="longest", unit="ms"),
            Line(f"  backup of {megabytes:,.0f} MB", "backup"),
        ],
        work=scale.rows_backed_up,
    )


def _back_up(path: Path) -> None:
    back_up(path)
    for backup in list_backups(path):
        backup.unlink()


def _writing(path: Path, work: Callable[[], None]) -> Sample:
    """Measure the work and the writer beside it; the latter in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.writer_beside", str(path)]
    with subprocess.Popen(  # noqa: S603 - this very module
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as writer:
        if writer.stdout is None or writer.stdout.readline() != "writing\n":
            raise AssertionError(command)
        sample = timed(work)
        answer, _ = writer.communicate()
    return {"seconds": sample["seconds"], **json.loads(answer)}


def _write(path: str) -> Sample:
    """Commit every 5 ms until stdin ends, as the Node core does: WAL, synchronous NORMAL."""
    waits: list[float] = []
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0] or len(waits) <= _BEGUN:
            started = time.perf_counter()
            connection.execute(_INSERT, (f"evening {len(waits)}",))
            waits.append(1000 * (time.perf_counter() - started))
            if len(waits) == _BEGUN:
                print("writing", flush=True)  # noqa: T201 - how the other side knows
    measured = sorted(waits[_BEGUN:])
    return {
        "longest": measured[-1],
        "p99": measured[len(measured) * 99 // 100],
        "commits": float(len(measured)),
    }


BENCHMARKS: Final = (
    Benchmark("backup_beside", "backup", "a writer beside a backup of its file", _beside),
)


if __name__ == "__main__":
    json.dump(_write(*sys.argv[1:]), sys.stdout)

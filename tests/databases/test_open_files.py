"""The limit on open files: many apps, many threads, few descriptors, and nothing fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.databases.conftest import MakeFresh

CHECKOUT = Path(__file__).parents[2]

# A process of its own, since the limit stays. Each thread touches every eighth app from where it
# is, reading and writing in turn, and nests a global session as services do.
TOUCH = """
import json, os, resource, sys
from concurrent.futures import ThreadPoolExecutor
import sqlalchemy as sa
from streamhub_orm import Databases

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
data_dir, apps = sys.argv[1], [f"app-{number:04}" for number in range(int(sys.argv[2]))]
INSERT = sa.text("INSERT INTO vods (app_id, name) VALUES (1, 'x')")
peaks = []

def touch(thread):
    for number, app in enumerate(apps[thread::4]):
        with databases.app_session(app, read_only=bool(number % 3)) as session:
            if number % 3 == 0:
                session.execute(INSERT)
            if number % 7 == 0:
                with databases.global_session(read_only=True) as registry:
                    registry.scalar(sa.text("SELECT count(*) FROM apps"))
            assert session.scalar(sa.text("SELECT count(*) FROM vods")) is not None
        if number % 50 == 0:
            peaks.append(len(os.listdir("/proc/self/fd")))

with Databases(data_dir) as databases, ThreadPoolExecutor(8) as threads:
    list(threads.map(touch, [0, 1, 2, 3] * 2))
    print(json.dumps({"open": databases.max_open_apps, "peak": max(peaks),
                      "evictions": databases.counters.evictions}))
"""


def touch_all(data_dir: Path, count: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TOUCH, str(data_dir), str(count)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    left: dict[str, Any] = json.loads(done.stdout)
    return left


@pytest.mark.parametrize("count", [400, pytest.param(1500, marks=pytest.mark.slow)])
def test_many_apps_touched_by_eight_threads_under_256_open_files(
    make_fresh: MakeFresh, count: int
) -> None:
    """Two threads are at each app at the same time; all but fifty files are there already."""
    apps = [f"app-{number:04}" for number in range(count)]
    data_dir = make_fresh(apps)
    template = data_dir / "apps/live/app.db"
    for app in apps[50:]:
        (data_dir / "apps" / app).mkdir()
        shutil.copyfile(template, data_dir / "apps" / app / "app.db")
    left = touch_all(data_dir, count)
    assert left["evictions"] >= count - left["open"]
    assert left["peak"] < 256

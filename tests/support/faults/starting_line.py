"""Processes that have everything loaded, wait in a line, and start at one moment.

Run as a program it is the process that forks them: it reads one JSON list of runs per line.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from argparse import Namespace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from streamhub_orm import Databases
from streamhub_orm.app_db import Stream, Vod
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import UpgradeRunningError
from tests.support import figures
from tests.support.faults.zygote import run_cli, warm_up
from tests.support.installations.commands import CHECKOUT, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS_PER_RUN: Final = 60


class StartingLine:
    """The other side of the forking process; close it at the end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.starting_line"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def start(self, runs: Sequence[Sequence[str]]) -> dict[int, Outcome]:
        """Let one process per run go, all at once; return what each left, by process id."""
        figures.count("racing processes", len(runs))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(runs) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return {int(process): Outcome(*left) for process, left in answer.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(timeout=30)


def open_and_write(arguments: list[str]) -> None:
    """Open an app as a service does, count its rows, and add a stream and a VOD."""
    data_dir, app, label = arguments
    with Databases(data_dir) as databases, databases.app_session(app) as session:
        streams = session.scalar(sa.select(sa.func.count()).select_from(Stream))
        vods = session.scalar(sa.select(sa.func.count()).select_from(Vod))
        session.add(Stream(stream_id=label, type="webrtc"))
        session.add(Vod(name=label))
    print(json.dumps({"streams": streams, "vods": vods}))  # noqa: T201 - its answer


def serve_apps(arguments: list[str]) -> None:
    """Write one stream to each app in turn, with few engines open; tell what was committed."""
    data_dir, label, engines, turns = arguments
    written = []
    with Databases(data_dir, max_open_apps=int(engines)) as databases:
        with databases.global_connection(read_only=True) as connection:
            names = connection.exec_driver_sql("SELECT name FROM apps ORDER BY name").scalars()
            apps = [str(name) for name in names]
        for turn in range(int(turns)):
            for app in apps:
                key = f"{label}/{turn}"
                with databases.app_session(app) as session:
                    session.add(Stream(stream_id=key, type="webrtc"))
                written.append(f"{app}/{key}")
    print(json.dumps({"written": written}))  # noqa: T201 - its answer


def contend(arguments: list[str]) -> None:
    """Take and let go the lock of a run for a while; count refusals that name a wrong holder."""
    path, seconds = Path(arguments[0]), float(arguments[1])
    counts = {"held": 0, "refused": 0, "nobody": 0, "itself": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with run_lock(path):
                counts["held"] += 1
                time.sleep(0.001)
            time.sleep(0.002)  # or one process has it nearly all the time
        except UpgradeRunningError as refused:
            counts["refused"] += 1
            counts["nobody"] += not re.fullmatch(r"process \d+", refused.holder)
            counts["itself"] += refused.holder == f"process {os.getpid()}"
    print(json.dumps(counts))  # noqa: T201 - its answer


def upgrade_by_alembic(arguments: list[str]) -> None:
    """Bring one app to head by plain Alembic, as `alembic -n app -x app=NAME upgrade head` does."""
    data_dir, app = arguments
    options = Namespace(x=[f"data_dir={data_dir}", f"app={app}"])
    ini = str(CHECKOUT / "alembic.ini")
    command.upgrade(Config(ini, ini_section="app", cmd_opts=options), "head")


ACTIONS: Final[dict[str, Callable[[list[str]], None]]] = {
    "cli": run_cli,
    "alembic": upgrade_by_alembic,
    "open": open_and_write,
    "contend": contend,
    "serve": serve_apps,
}


def _serve() -> None:
    for line in sys.stdin:
        go, start = os.pipe()
        started: dict[int, tuple[IO[bytes], IO[bytes]]] = {}
        for action, *arguments in json.loads(line):
            out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _text
            err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
            process = os.fork()
            if process == 0:
                os.close(start)
                _run(go, out, err, action, arguments)
            started[process] = (out, err)
        os.close(go)
        os.close(start)  # the end of the pipe is what they all wait for
        left = {}
        for process, (out, err) in started.items():
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            left[process] = (status, _text(out), _text(err))
        print(json.dumps(left), flush=True)  # noqa: T201 - its answer


def _run(go: int, out: IO[bytes], err: IO[bytes], action: str, arguments: list[str]) -> NoReturn:
    status = 70
    try:
        signal.alarm(SECONDS_PER_RUN)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.read(go, 1)
        ACTIONS[action](arguments)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - the other side must see whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode()


if __name__ == "__main__":
    warm_up()
    _serve()

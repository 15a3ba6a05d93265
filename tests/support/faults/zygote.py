"""The process that has the product loaded and forks a child for every attempt.

It reads one JSON job per line and answers with one line; `fork_server` is its other side.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from streamhub_orm import Databases
from streamhub_orm.cli import main as run_command_line
from streamhub_orm.engine.backups import back_up
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.references import reference_structures, template
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.promotion import demote  # noqa: F401 - loaded once, for every child
from tests.support.faults import python_points, shim
from tests.support.faults.sabotage import SABOTAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_PER_CHILD: Final = 60


def run_cli(arguments: list[str]) -> None:
    """Run `streamhub-db` with these arguments."""
    sys.argv = ["streamhub-db", *arguments]
    run_command_line()


def open_app(arguments: list[str]) -> None:
    """Open an app lazily, as a service would, and read a row."""
    data_dir, name = arguments
    with (
        _answered(),
        Databases(data_dir) as databases,
        databases.app_connection(name, read_only=True) as opened,
    ):
        opened.exec_driver_sql("SELECT count(*) FROM streams")


def back_a_file_up(arguments: list[str]) -> None:
    """Make one backup."""
    path = Path(arguments[0])
    with _answered():
        back_up(path)


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Answer as the command line does; a library's error is 1, since nobody promised more."""
    try:
        yield
    except StreamHubError as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        sys.exit(1)
    print(json.dumps({"ok": True, "error": None}))


ACTIONS: Final[dict[str, Callable[[list[str]], None]]] = {
    "cli": run_cli,
    "open": open_app,
    "back_up": back_a_file_up,
}


def warm_up() -> None:
    """Load, once, what every run needs; nothing of it touches an installation."""
    for world in (GLOBAL, APP):
        reference_structures(world)
        template(world)
    with tempfile.TemporaryDirectory() as folder:
        for command in ("init", "upgrade"):
            with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):
                run_cli(["--data-dir", folder, "--json", command])


def serve() -> None:
    """Answer jobs until stdin ends."""
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(_race(job)), flush=True)


class _Child:
    """One forked child, with what it says and the count of its calls."""

    def __init__(self, job: dict[str, Any], start: tuple[int, int]) -> None:
        self._shared = mmap.mmap(-1, shim.SHARED_BYTES)
        self._stdout = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()  # noqa: SIM115 - the child inherits them
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._pid = os.fork()
        if self._pid == 0:
            os.close(start[1])
            os.read(start[0], 1)
            _be_child(job, self._shared, self._stdout, self._stderr)

    def end(self) -> dict[str, Any]:
        """Wait for its end and tell of it."""
        status = _wait(self._pid)
        with self._shared as shared, self._stdout as stdout, self._stderr as stderr:
            return {
                "status": os.waitstatus_to_exitcode(status),
                "pid": self._pid,
                "points": int.from_bytes(shared[:8], sys.byteorder),
                "last": shared[8:].rstrip(b"\0").decode(errors="replace"),
                "stdout": _text(stdout),
                "stderr": _text(stderr),
            }


def _race(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Fork as many children as the job wants and let them start at one moment."""
    start = os.pipe()
    children = [_Child(job, start) for _ in range(job["racers"])]
    for end in start:
        os.close(end)
    return [child.end() for child in children]


def _wait(child: int) -> int:
    """Wait for the end of a child; where it is paused, let the other side work meanwhile."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        print("paused", flush=True)
        sys.stdin.readline()
        os.kill(child, signal.SIGCONT)


def _be_child(job: dict[str, Any], shared: mmap.mmap, out: IO[bytes], err: IO[bytes]) -> NoReturn:
    status = 70
    try:
        signal.alarm(SECONDS_PER_CHILD)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        if job["sabotage"]:
            SABOTAGES[job["sabotage"]]()
        if job["uid"]:
            os.setgroups([])
            os.setgid(job["uid"])
            os.setuid(job["uid"])
        if job["file_size"]:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_size"], job["file_size"]))
        _arm(job, shared)
        ACTIONS[job["action"]](job["arguments"])
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - the other side must see whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _arm(job: dict[str, Any], shared: mmap.mmap) -> None:
    view = (ctypes.c_char * shim.SHARED_BYTES).from_buffer(shared)
    log = -1
    if job["log"]:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if not job["by_python"]:
        shim.arm(
            os.environ[shim.SHIM_VARIABLE],
            folder=job["folder"],
            mode=shim.Mode(job["mode"]),
            number=job["number"],
            error=job["error"],
            shared=ctypes.addressof(view),
            log=log,
        )
        return

    def count(word: str) -> int:
        number = int.from_bytes(shared[:8], sys.byteorder) + 1
        shared[:8] = number.to_bytes(8, sys.byteorder)
        text = word.encode()[:200]
        shared[8 : 8 + 200] = text.ljust(200, b"\0")
        if log >= 0:
            os.pwritev(log, [text.replace(b"\n", b" "), b"\n"], 0)
        return number

    kills = job["mode"] in (shim.Mode.KILL, shim.Mode.TORN)
    python_points.watch(python_points.killer(job["number"] if kills else 0, count))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


if __name__ == "__main__":
    warm_up()
    gc.freeze()  # a collection in a child would copy every page
    print("ready", flush=True)
    serve()

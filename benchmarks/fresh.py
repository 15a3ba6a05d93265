"""Runs that get a process of their own: `python -m benchmarks.fresh`, a job as JSON on stdin.

The clock starts when everything is imported, so the start of a program is taken off, and memory
and caches are those of this run alone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from benchmarks import floors, load_clients
from streamhub_orm import Databases
from streamhub_orm.upgrade import upgrade_installation

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Sample

_ROOT: Final = Path(__file__).parents[1]
_KIB: Final = 1024


def in_fresh_process(job: str, root: Path, **arguments: object) -> Sample:
    """Run one of the jobs below in a new process and return what it measured."""
    command = [sys.executable, "-m", "benchmarks.fresh"]
    text = json.dumps({"job": job, "root": str(root), **arguments})
    done = subprocess.run(  # noqa: S603 - this very module
        command, input=text, cwd=_ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    sample: Sample = json.loads(done.stdout)
    return sample


def _upgrade(root: Path) -> Sample:
    """Run the main job; the figures that begin with `split_` are those of its split phase alone.

    Processor time of workers is in the whole, and not in the phase.
    """
    phases: dict[str, list[tuple[float, float]]] = {}

    def note(phase: str, _done: int, _total: int) -> None:
        phases.setdefault(phase, []).append((time.perf_counter(), _cpu_seconds()))

    started, cpu = time.perf_counter(), _cpu_seconds()
    report = upgrade_installation(root, progress=note)
    seconds, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
    if report.failed:
        message = f"the upgrade of {root} failed: {report.error}"
        raise RuntimeError(message)
    split = phases.get("split", [(0.0, 0.0)])
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "split_seconds": split[-1][0] - split[0][0],
        "split_cpu_seconds": split[-1][1] - split[0][1],
        **_peak(),
    }


def _touch(root: Path, names: list[str], after: list[int]) -> Sample:
    """Open each app in turn; `rss_N` and `descriptors_N` are those after N apps."""
    sample: Sample = {}
    started = time.perf_counter()
    with Databases(root) as databases:
        for number, name in enumerate(names, 1):
            with databases.app_connection(name, read_only=True) as connection:
                connection.exec_driver_sql("SELECT count(*) FROM vods").fetchall()
            if number in after:
                sample[f"rss_{number}"] = _peak()["peak_rss_mib"]
                sample[f"descriptors_{number}"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names suffice
    return {**sample, "seconds": time.perf_counter() - started}


def _endure(
    root: Path, apps: list[str], tokens: list[str], after: list[int], open_apps: int
) -> Sample:
    """Let clients make requests; `rss_N` and `descriptors_N` are those after N, `errors` all."""
    sample: Sample = {}
    errors: list[str] = []
    started, done = time.perf_counter(), 0
    with load_clients.ours(root, apps, open_apps=open_apps) as do:

        def be_client(client: int, count: int) -> None:
            for call in load_clients.calls(client, apps, tokens, count, load_clients.WITH_LOG):
                try:
                    do(call)
                except Exception as error:  # noqa: BLE001 - counted, and told below
                    errors.append(repr(error))

        for number in after:
            count = (number - done) // load_clients.CLIENTS
            clients = [
                Thread(target=be_client, args=(done + client, count))
                for client in range(load_clients.CLIENTS)
            ]
            for thread in clients:
                thread.start()
            for thread in clients:
                thread.join()
            done = number
            sample[f"rss_{number}"] = _peak()["peak_rss_mib"]
            sample[f"descriptors_{number}"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names suffice
    sys.stderr.writelines(f"{error}\n" for error in sorted(set(errors)))
    return {**sample, "errors": len(errors), "seconds": time.perf_counter() - started}


def _timed_floor(work: Callable[..., None]) -> Callable[..., Sample]:
    def run(root: Path, **arguments: Any) -> Sample:  # noqa: ANN401 - those of the floor
        started, cpu = time.perf_counter(), _cpu_seconds()
        work(root, **arguments)
        seconds, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, **_peak()}

    return run


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended.

    Not what a goal is about, but it tells two programs apart on a machine that is busy.
    """
    return sum(os.times()[:4])


def _peak() -> Sample:
    """Return the highest resident memory so far: of this process, and of a finished worker.

    Not ru_maxrss for this process: it begins with what the parent held at fork.
    """
    status = Path("/proc/self/status").read_text()
    (own,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"peak_rss_mib": int(own) / _KIB, "worker_peak_rss_mib": worker / _KIB}


JOBS: Final[dict[str, Callable[..., Sample]]] = {
    "upgrade": _upgrade,
    "touch": _touch,
    "endure": _endure,
    "floor_look": _timed_floor(floors.look_at_fleet),
    "floor_upgrade": _timed_floor(floors.upgrade_fleet),
    "floor_split": _timed_floor(floors.split),
}


def main() -> None:
    """Read the job, run it and print its figures."""
    arguments = json.load(sys.stdin)
    work = JOBS[arguments.pop("job")]
    json.dump(work(Path(arguments.pop("root")), **arguments), sys.stdout)


if __name__ == "__main__":
    main()

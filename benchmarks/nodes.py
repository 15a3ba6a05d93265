"""Plays the nodes of a cluster: each looks apps up and notes that it is alive, on one server.

A few processes play them all; a node is a thread with a connection of its own for its look-ups.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import statistics
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import TransactionConflictError
from streamhub_orm.registry import open_registry
from streamhub_orm.retrying import attempts
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.services import nodes

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale
    from streamhub_orm.testing.postgresql import PostgresServer

_PROCESSES: Final = 2
_LOOK_UPS_A_SECOND: Final = 50
_HEARTBEAT_SECONDS: Final = 10
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class _Node:
    """One node; its times are in seconds."""

    def __init__(self, databases: Databases, place: DataDir, apps: int, number: int) -> None:
        self._databases = databases
        self._place = place
        self._apps = apps
        self._random = random.Random(number)  # noqa: S311 - the same apps in every run
        for attempt in attempts(20):
            with attempt, databases.global_session() as session:
                self._id = nodes.join(session, f"node-{number}").id
        self.look_ups: list[float] = []
        self.heartbeats: list[float] = []
        self.conflicts = 0

    def run(self, seconds: float) -> None:
        """Work at the given rates; what is late is not made up for."""
        began = time.monotonic()
        due, beat = began, began + self._random.random() * min(_HEARTBEAT_SECONDS, seconds)
        with closing(open_registry(self._place)) as registry:
            while (now := time.monotonic()) < began + seconds:
                if now >= beat:
                    beat += _HEARTBEAT_SECONDS
                    self._note_alive()
                registry.find_id(f"app-{self._random.randint(1, self._apps)}")
                self.look_ups.append(time.monotonic() - now)
                due = max(due + 1 / _LOOK_UPS_A_SECOND, time.monotonic() - 1)
                time.sleep(max(0.0, due - time.monotonic()))

    def _note_alive(self) -> None:
        started = time.monotonic()
        while True:
            try:
                with self._databases.global_session() as session:
                    nodes.heartbeat(session, self._id, {"cpu": 0.5, "streams": 7})
            except TransactionConflictError:
                self.conflicts += 1
            else:
                break
        self.heartbeats.append(time.monotonic() - started)


def play(server: PostgresServer, place: DataDir, scale: Scale) -> Sample:
    """Let all nodes work for a while, and return their times and the server's processor time."""
    assert place.global_url is not None  # noqa: S101 - made so
    url = place.global_url.url.render_as_string(hide_password=False)
    share = scale.nodes // _PROCESSES
    spawn = multiprocessing.get_context("spawn")
    players = []
    for first in range(0, share * _PROCESSES, share):
        ours, theirs = spawn.Pipe()
        numbers = (first, share, scale.fleet, scale.node_seconds)
        process = spawn.Process(target=_player, args=(theirs, str(place.root), url, numbers))
        process.start()
        players.append((process, ours))
    for _, pipe in players:
        pipe.recv()
    used, started = processor_seconds(server), time.monotonic()
    for _, pipe in players:
        pipe.send("go")
    told = [json.loads(pipe.recv()) for _, pipe in players]
    used, seconds = processor_seconds(server) - used, time.monotonic() - started
    for process, pipe in players:
        pipe.send("end")
        process.join()
    look_ups = sorted(it for each in told for it in each["look_ups"])
    heartbeats = sorted(it for each in told for it in each["heartbeats"])
    return {
        "seconds": seconds,
        "rate": len(look_ups) / seconds,
        "look_up_median": statistics.median(look_ups),
        "look_up_p99": look_ups[len(look_ups) * 99 // 100],
        "heartbeat_median": statistics.median(heartbeats),
        "heartbeat_p99": heartbeats[len(heartbeats) * 99 // 100],
        "conflicts": sum(each["conflicts"] for each in told),
        "server_per_look_up": used / len(look_ups),
        "server_share": used / seconds,
    }


def _player(pipe: Connection, root: str, url: str, numbers: tuple[int, int, int, float]) -> None:
    first, share, apps, seconds = numbers
    place = DataDir.find(Path(root), ServerUrl.parse(url, "the benchmark's"))
    with Databases(root, global_url=url) as databases:
        players = [_Node(databases, place, apps, first + number) for number in range(share)]
        pipe.send("ready")
        pipe.recv()
        threads = [threading.Thread(target=partial(it.run, seconds)) for it in players]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipe.send(
            json.dumps(
                {
                    "look_ups": [it for node in players for it in node.look_ups],
                    "heartbeats": [it for node in players for it in node.heartbeats],
                    "conflicts": sum(node.conflicts for node in players),
                }
            )
        )
        pipe.recv()


def processor_seconds(server: PostgresServer) -> float:
    """Return the processor time of the server's processes, and of those that have ended."""
    postmaster = server.pid()
    total = 0
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if folder.name == str(postmaster):
            total += sum(map(int, fields[11:15]))
        elif fields[1] == str(postmaster):
            total += sum(map(int, fields[11:13]))
    return total / _TICKS

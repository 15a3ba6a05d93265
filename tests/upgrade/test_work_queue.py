"""WorkQueue: each item goes to one process, whoever dies when."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.upgrade.work_queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

FORK = multiprocessing.get_context("fork")
ITEMS = 20_000


@pytest.fixture
def claims() -> Iterator[WorkQueue]:
    made = WorkQueue(ITEMS)
    yield made
    made.close()


def take_everything(claims: WorkQueue, worker: int, pipe: Connection) -> None:
    taken = []
    while (item := claims.take(worker)) is not None:
        taken.append(item)
    pipe.send(taken)


def start(claims: WorkQueue, worker: int) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=take_everything, args=(claims, worker, theirs))
    process.start()
    theirs.close()
    return process, ours


def test_items_go_to_one_process_each_in_their_order(claims: WorkQueue) -> None:
    """None is given twice and none is left, however many take at once."""
    started = [start(claims, worker) for worker in (1, 2, 3, 4)]
    taken = [pipe.recv() for _, pipe in started]
    for process, pipe in started:
        process.join()
        pipe.close()
    assert all(items == sorted(items) for items in taken)
    assert Counter(item for items in taken for item in items) == Counter(range(ITEMS))
    for worker, items in zip((1, 2, 3, 4), taken, strict=True):
        assert claims.last_of(worker) == (items[-1] if items else None)


def test_processes_that_are_killed_at_any_instant_stop_nobody(claims: WorkQueue) -> None:
    """The lock falls with its holder; what was free is taken by those that live."""
    chance = random.Random(11)  # noqa: S311 - the same instants in every run
    for victim in range(2, 32):
        process, pipe = start(claims, victim)
        time.sleep(chance.uniform(0, 0.004))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        pipe.close()
    process, pipe = start(claims, 1)
    assert pipe.poll(30)
    rest = pipe.recv()
    process.join()
    pipe.close()
    assert rest == list(range(ITEMS - len(rest), ITEMS))
    assert claims.take(1) is None


def test_take_all_leaves_nothing_to_begin_and_what_is_taken_to_its_owner(claims: WorkQueue) -> None:
    """As at Ctrl-C."""
    assert [claims.take(2), claims.take(3)] == [0, 1]
    claims.take_all(1)
    assert claims.take(2) is None
    assert (claims.last_of(2), claims.last_of(3), claims.last_of(4)) == (0, 1, None)

"""Work on many files in worker processes, since Alembic is not thread-safe."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from streamhub_orm.legacy.progress import Progress, silent
from streamhub_orm.upgrade.work_queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Pipe = Connection[Any, Any]

_WORTH_A_PROCESS: Final = 16
"""Fewer files than this are done sooner than workers are started."""
_PARENT: Final = 1
"""The number under which this process takes items, so that no worker begins them."""
_FORK: Final = multiprocessing.get_context("fork")

Result = TypeVar("Result")


class WorkerDiedError(Exception):
    """The process that worked on an item ended without an answer."""


class _Told(NamedTuple):
    """What a worker sends, before its result, about how far it is."""

    phase: str
    done: int
    total: int


@dataclass
class _Worker:
    number: int
    process: multiprocessing.process.BaseProcess
    answered: int | None = None
    """The item whose result came last."""


def run_on_each(
    work: Callable[[str, Progress], Result],
    items: Iterable[str],
    *,
    jobs: int,
    progress: Progress = silent,
) -> Generator[tuple[str, Result | WorkerDiedError]]:
    """Yield each item with the result of `work`, in the order in which they end.

    `work` also gets a `progress` to call, in this process or in a worker.

    With one job or few items the work is done in this process. Otherwise by forked processes: they
    inherit the run's lock and what is already loaded, end when this process ends, and one that
    dies costs only the item it had. A process with other threads does not fork: what they held
    then, inside SQLite too, would be held in a worker for ever (docs/adr/0015). At
    KeyboardInterrupt no new item is begun.
    """
    waiting = list(items)
    if jobs <= 1 or len(waiting) < _WORTH_A_PROCESS or threading.active_count() > 1:
        yield from ((item, work(item, progress)) for item in waiting)
        return
    pool = _Pool(work, waiting, progress)
    try:
        yield from pool.run(min(jobs, len(waiting)))
    finally:
        pool.close()


class _Pool(Generic[Result]):
    def __init__(
        self, work: Callable[[str, Progress], Result], items: list[str], progress: Progress
    ) -> None:
        self._work = work
        self._items = items
        self._progress = progress
        self._claims = WorkQueue(len(items))
        self._numbers = count(_PARENT + 1)
        self._workers: dict[Pipe, _Worker] = {}

    def run(self, jobs: int) -> Iterator[tuple[str, Result | WorkerDiedError]]:
        for _ in range(jobs):
            self._start()
        while self._workers:
            for pipe in wait(list(self._workers)):
                assert isinstance(pipe, Connection)  # noqa: S101 - they are the keys of _workers
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    yield from self._bury(pipe)
                    continue
                if isinstance(answer, _Told):
                    self._progress(*answer)
                    continue
                item, result = answer
                self._workers[pipe].answered = item
                yield self._items[item], result

    def close(self) -> None:
        """Let the workers end what they are at, and begin nothing else."""
        self._claims.take_all(_PARENT)
        for pipe in self._workers:
            pipe.close()
        for worker in self._workers.values():
            worker.process.join()
        self._claims.close()

    def _bury(self, pipe: Pipe) -> Iterator[tuple[str, WorkerDiedError]]:
        """Part with a worker that has ended, and with the item that it took into its grave."""
        worker = self._workers.pop(pipe)
        worker.process.join()
        pipe.close()
        status = worker.process.exitcode
        item = self._claims.last_of(worker.number)
        if status and item is None:
            # Workers that cannot even begin must come to an end, and every item to an answer.
            item = self._claims.take(worker.number)
        if item is not None and (status or item != worker.answered):
            self._start()
        if item is not None and item != worker.answered:
            died = WorkerDiedError(f"its worker process ended with status {status}")
            yield self._items[item], died

    def _start(self) -> None:
        ours, theirs = _FORK.Pipe()
        number = next(self._numbers)
        # A worker must not hold the parent's ends, or its siblings would never see them close.
        inherited = [*self._workers, ours]
        process = _FORK.Process(target=self._serve, args=(number, theirs, inherited), daemon=True)
        with _interrupts_held_back():
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(number, process)

    def _serve(self, number: int, pipe: Pipe, inherited: list[Pipe]) -> None:
        """Work in a process of its own until nothing is left, or the parent is gone."""
        # Ctrl-C reaches the whole group: the parent decides, a worker ends its file first.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in inherited:
            end.close()

        def tell(phase: str, done: int, total: int) -> None:
            pipe.send(_Told(phase, done, total))

        progress = silent if self._progress is silent else tell
        try:
            while (item := self._claims.take(number)) is not None:
                pipe.send((item, self._work(self._items[item], progress)))
        except ConnectionError:
            pass  # nobody listens any more
        os._exit(0)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a new process until it ignores it; the parent gets it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

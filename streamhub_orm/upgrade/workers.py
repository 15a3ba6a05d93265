"""Work on many files in worker processes, since Alembic is not thread-safe."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from streamhub_orm.legacy.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Pipe = Connection[Any, Any]

_WORTH_A_PROCESS: Final = 16
"""Fewer files than this are done sooner than workers are started."""
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
    process: multiprocessing.process.BaseProcess
    item: str
    """The item that it was handed last."""


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
    dies costs only the item it had. At KeyboardInterrupt no new item is begun.
    """
    waiting = deque(items)
    if jobs <= 1 or len(waiting) < _WORTH_A_PROCESS:
        yield from ((item, work(item, progress)) for item in waiting)
        return
    pool = _Pool(work, waiting, progress)
    try:
        yield from pool.run(min(jobs, len(waiting)))
    finally:
        pool.close()


class _Pool(Generic[Result]):
    """Workers that have one item each, and get the next one when they answer.

    So the parent knows which item dies with a worker, and none waits behind a big one.
    """

    def __init__(
        self, work: Callable[[str, Progress], Result], waiting: deque[str], progress: Progress
    ) -> None:
        self._work = work
        self._waiting = waiting
        self._progress = progress
        self._workers: dict[Pipe, _Worker] = {}

    def run(self, jobs: int) -> Iterator[tuple[str, Result | WorkerDiedError]]:
        for _ in range(jobs):
            self._start()
        while self._workers:
            for pipe in wait(list(self._workers)):
                assert isinstance(pipe, Connection)  # noqa: S101 - they are the keys of _workers
                item = self._workers[pipe].item
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    status = self._end(pipe)
                    if self._waiting:
                        self._start()
                    yield item, WorkerDiedError(f"its worker process ended with status {status}")
                    continue
                if isinstance(answer, _Told):
                    self._progress(*answer)
                    continue
                self._hand_next(pipe)  # before the caller goes on: the worker waits for it
                yield item, answer

    def close(self) -> None:
        """Let the workers end what they are at, and begin nothing else."""
        for pipe in self._workers:
            pipe.close()
        for worker in self._workers.values():
            worker.process.join()

    def _start(self) -> None:
        ours, theirs = _FORK.Pipe()
        item = self._waiting.popleft()
        # A worker must not hold the parent's ends, or its siblings would never see them close.
        inherited = [*self._workers, ours]
        process = _FORK.Process(target=self._serve, args=(theirs, item, inherited), daemon=True)
        with _interrupts_held_back():
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(process, item)

    def _hand_next(self, pipe: Pipe) -> None:
        if not self._waiting:
            self._end(pipe)
            return
        self._workers[pipe].item = item = self._waiting.popleft()
        with suppress(ConnectionError):  # it died since it answered, which the next look tells
            pipe.send(item)

    def _end(self, pipe: Pipe) -> int | None:
        """Let go of a worker that is dead or has nothing left to do; return its exit status."""
        process = self._workers.pop(pipe).process
        pipe.close()
        process.join()
        return process.exitcode

    def _serve(self, pipe: Pipe, item: str, inherited: list[Pipe]) -> None:
        """Work in a process of its own until nothing is left, or the parent is gone."""
        # Ctrl-C reaches the whole group: the parent decides, a worker ends its file first.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in inherited:
            end.close()

        def tell(phase: str, done: int, total: int) -> None:
            pipe.send(_Told(phase, done, total))

        progress = silent if self._progress is silent else tell
        with suppress(EOFError, ConnectionError):  # the parent's end is closed
            while True:
                pipe.send(self._work(item, progress))
                item = pipe.recv()
        os._exit(0)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a new process until it ignores it; the parent gets it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

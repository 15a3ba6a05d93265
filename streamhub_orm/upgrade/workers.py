"""Work on many files in worker processes, since Alembic is not thread-safe."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from contextlib import contextmanager, suppress
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
    def __init__(
        self, work: Callable[[str, Progress], Result], waiting: deque[str], progress: Progress
    ) -> None:
        self._work = work
        self._waiting = waiting
        self._progress = progress
        self._busy: dict[Pipe, str] = {}
        self._processes: dict[Pipe, multiprocessing.process.BaseProcess] = {}

    def run(self, jobs: int) -> Iterator[tuple[str, Result | WorkerDiedError]]:
        for _ in range(jobs):
            self._give(self._start())
        while self._busy:
            for ready in wait(list(self._busy)):
                assert isinstance(ready, Connection)  # noqa: S101 - they are the keys of _busy
                answer = self._answer(ready)
                if isinstance(answer, _Told):
                    self._progress(*answer)
                    continue
                item = self._busy.pop(ready)
                self._give(self._start() if isinstance(answer, WorkerDiedError) else ready)
                yield item, answer

    def close(self) -> None:
        """Let the workers end what they are at; their pipe's end tells them to stop."""
        for pipe in self._processes:
            pipe.close()
        for process in self._processes.values():
            process.join()

    def _give(self, pipe: Pipe) -> None:
        if self._waiting:
            self._busy[pipe] = self._waiting.popleft()
            with suppress(OSError):  # a dead worker's pipe says so when it is read
                pipe.send(self._busy[pipe])

    def _answer(self, pipe: Pipe) -> Result | WorkerDiedError | _Told:
        try:
            return pipe.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            process = self._processes.pop(pipe)
            process.join()
            pipe.close()
            return WorkerDiedError(f"its worker process ended with status {process.exitcode}")

    def _start(self) -> Pipe:
        ours, theirs = _FORK.Pipe()
        # A worker must not hold the parent's ends, or its siblings would never see them close.
        inherited = [*self._processes, ours]
        process = _FORK.Process(
            target=_serve,
            args=(self._work, theirs, inherited),
            kwargs={"tells": self._progress is not silent},
            daemon=True,
        )
        with _interrupts_held_back():
            process.start()
        theirs.close()
        self._processes[ours] = process
        return ours


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a new process until it ignores it; the parent gets it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    work: Callable[[str, Progress], Result], pipe: Pipe, inherited: list[Pipe], *, tells: bool
) -> None:
    # Ctrl-C reaches the whole group: the parent decides, a worker ends its file first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for end in inherited:
        end.close()

    def tell(phase: str, done: int, total: int) -> None:
        pipe.send(_Told(phase, done, total))

    try:
        while True:
            pipe.send(work(pipe.recv(), tell if tells else silent))
    except (EOFError, ConnectionError):
        os._exit(0)

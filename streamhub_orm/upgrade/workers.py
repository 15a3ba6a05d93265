"""Work on many files in worker processes, since Alembic is not thread-safe."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from streamhub_orm.engine.ctrl_c import CtrlC
from streamhub_orm.legacy.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Pipe = Connection[Any, Any]

_WORTH_A_PROCESS: Final = 16
"""Fewer files than this are done sooner than workers are started."""
_AHEAD: Final = 1
_WIDTH: Final = 4
"""Bytes of an item's number; so few are written and read as a whole."""
_FORK: Final = multiprocessing.get_context("fork")

Result = TypeVar("Result")


class WorkerDiedError(Exception):
    """The process that worked on an item ended without an answer."""


class _Told(NamedTuple):
    """Message of a worker, before its result, about how far it is."""

    phase: str
    done: int
    total: int


@dataclass(eq=False)
class _Worker:
    """A process, and the numbers of the items that it was handed and has not answered."""

    process: multiprocessing.process.BaseProcess
    answers: Pipe
    feed: Pipe
    fed: Pipe
    """The other end of `feed`, which the parent holds too, to take items back."""
    items: list[int]

    def hand(self, item: int) -> None:
        os.write(self.feed.fileno(), item.to_bytes(_WIDTH))
        self.items.append(item)

    def take_back(self) -> int | None:
        """Return the next item that was handed and is not begun."""
        item = _read(self.fed)
        if item is not None:
            self.items.remove(item)
        return item


def run_on_each(  # noqa: PLR0913 - what is told of the work, and what is asked
    work: Callable[[str, Progress], Result],
    items: Iterable[str],
    *,
    jobs: int,
    progress: Progress = silent,
    goes_on: Callable[[], bool] = lambda: True,
    at_hand: Callable[[list[str]], None] = lambda _: None,
    breaks_off: Callable[[], bool] = lambda: False,
) -> Generator[tuple[str, Result | WorkerDiedError]]:
    """Yield each item with the result of `work`, in the order in which they end.

    `work` also gets a `progress` to call, in this process or in a worker. Once `goes_on` is False
    nothing is begun, and what is at hand is ended and yielded. `at_hand` is told what is worked on,
    each time that it changes.

    With one job or few items the work is done in this process. Otherwise by forked processes: they
    inherit the run's lock and what is already loaded, end when this process ends, and one that
    dies costs only the item it had. A process with other threads does not fork: what they held
    then, inside SQLite too, would be held in a worker for ever (docs/adr/0015). At
    KeyboardInterrupt no new item is begun, and what is at hand is ended; the workers are killed
    where the run then `breaks_off`.
    """
    all_items = list(items) if goes_on() else []
    if jobs <= 1 or len(all_items) < _WORTH_A_PROCESS or CtrlC.count_other_threads():
        for item in takewhile(lambda _: goes_on(), all_items):
            at_hand([item])
            yield item, work(item, progress)
        return
    with CtrlC.without_thread():
        pool = _Pool(work, all_items, progress, goes_on, at_hand)
        try:
            yield from pool.run(min(jobs, len(all_items)))
        except KeyboardInterrupt:
            if breaks_off():
                pool.kill()
            raise
        finally:
            try:
                pool.close()
            except KeyboardInterrupt:
                if breaks_off():
                    pool.kill()
                raise


class _Pool(Generic[Result]):
    """Workers that have one item at hand and one ahead, so that they need not wait for the parent.

    What lies ahead of a worker that is busy with a big file is taken back when another one has
    nothing to do: whoever reads a number out of the pipe, worker or parent, has that item alone.
    """

    def __init__(
        self,
        work: Callable[[str, Progress], Result],
        items: list[str],
        progress: Progress,
        goes_on: Callable[[], bool],
        at_hand: Callable[[list[str]], None],
    ) -> None:
        self._work = work
        self._items = items
        self._progress = progress
        self._goes_on = goes_on
        self._at_hand = at_hand
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._waiting = deque(range(len(items)))
        self._workers: list[_Worker] = []
        self._selector = DefaultSelector()

    def run(self, jobs: int) -> Iterator[tuple[str, Result | WorkerDiedError]]:
        for worker in [self._start() for _ in range(jobs)]:
            self._supply(worker)
        while self._workers:
            for key, _ in self._selector.select():
                yield from self._hear(key.data)

    def close(self) -> None:
        """Let the workers end what they are at, and begin nothing else."""
        self._take_back_all()
        while self._workers:
            self._end(self._workers[0])
        self._selector.close()

    def kill(self) -> None:
        """End every worker at once; SQLite rolls back what it was at when the file is opened."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()

    def _start(self) -> _Worker:
        answers, theirs = _FORK.Pipe(duplex=False)
        fed, feed = _FORK.Pipe(duplex=False)
        os.set_blocking(fed.fileno(), False)
        item = self._waiting.popleft()
        # A worker must not hold the parent's ends, or its siblings would never see them close.
        inherited = [answers, feed]
        inherited += [end for it in self._workers for end in (it.answers, it.feed)]
        process = _FORK.Process(
            target=self._serve, args=(item, fed, theirs, inherited), daemon=True
        )
        with _interrupts_held_back():
            process.start()
            self._processes.append(process)
        theirs.close()
        worker = _Worker(process, answers, feed, fed, [item])
        self._workers.append(worker)
        self._selector.register(answers, EVENT_READ, worker)
        return worker

    def _hear(self, worker: _Worker) -> Iterator[tuple[str, Result | WorkerDiedError]]:
        """Take a worker's next word: how far it is, a result, or its death."""
        try:
            answer = worker.answers.recv()
        except (EOFError, OSError):
            yield from self._replace(worker)
            return
        if isinstance(answer, _Told):
            self._progress(*answer)
            return
        item = worker.items.pop(0)
        self._supply(worker)
        yield self._items[item], answer

    def _supply(self, worker: _Worker) -> None:
        """Keep a worker one item ahead, or end it where nothing is left."""
        if not self._goes_on():
            self._take_back_all()
            # Who had begun nothing will say nothing any more.
            for idle in [it for it in self._workers if not it.items and it is not worker]:
                self._end(idle)
        if not worker.items and not self._waiting:
            self._take_back_one()
        while self._waiting and len(worker.items) <= _AHEAD:
            worker.hand(self._waiting.popleft())
        if not worker.items:
            self._end(worker)
        self._at_hand([self._items[it.items[0]] for it in self._workers if it.items])

    def _take_back_all(self) -> None:
        """Leave to the workers only what they have begun."""
        self._waiting.clear()
        for worker in self._workers:
            while worker.take_back() is not None:
                pass

    def _take_back_one(self) -> None:
        for other in self._workers:
            if len(other.items) > _AHEAD and (item := other.take_back()) is not None:
                self._waiting.append(item)
                return

    def _replace(self, worker: _Worker) -> Iterator[tuple[str, WorkerDiedError]]:
        """Start a worker for what is left after one died, which costs the item that it had begun.

        Its first item it has from the start, so workers that cannot even begin come to an end.
        """
        while (item := worker.take_back()) is not None:
            self._waiting.appendleft(item)
        self._end(worker)
        if self._waiting:
            self._supply(self._start())
        for item in worker.items:
            status = worker.process.exitcode
            died = WorkerDiedError(f"its worker process ended with status {status}")
            yield self._items[item], died

    def _end(self, worker: _Worker) -> None:
        """Wait for the end of a worker that is dead or gets nothing more to do."""
        self._selector.unregister(worker.answers)
        self._workers.remove(worker)
        for end in (worker.answers, worker.feed, worker.fed):
            end.close()
        worker.process.join()

    def _serve(self, item: int, fed: Pipe, answers: Pipe, inherited: list[Pipe]) -> None:
        """Work in a process of its own until nothing is left, or the parent is gone."""
        # Ctrl-C reaches the whole group: the parent decides, a worker ends its file first.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in inherited:
            end.close()

        def tell(phase: str, done: int, total: int) -> None:
            answers.send(_Told(phase, done, total))

        progress = silent if self._progress is silent else tell
        with suppress(EOFError, ConnectionError):  # the parent's ends are closed
            while True:
                answers.send(self._work(self._items[item], progress))
                while (following := _read(fed)) is None:
                    wait([fed])
                item = following
        os._exit(0)


def _read(fed: Pipe) -> int | None:
    """Take a number out of a pipe; None where it holds none now, EOFError where none will come."""
    try:
        number = os.read(fed.fileno(), _WIDTH)
    except BlockingIOError:
        return None
    if not number:
        raise EOFError
    return int.from_bytes(number)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a new process until it ignores it; the parent gets it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""A bounded queue of log lines, and the thread that writes them in batches.

The standard library's queues were tried in its place. `QueueListener` takes one record at a time,
its `stop()` has no limit of time, and the bound of its queue leaves out what is being written. A
thread of our own over `queue.SimpleQueue` passed all tests and kept callers a fifth shorter, but
came to 255 lines for 276 and wrote a line in 1.4 to 1.7 times the time: with a connection per batch
each close is a checkpoint. To keep one open over batches, amid forks, takes the state below.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.engine.forks import has_forked_amid_threads
from streamhub_orm.services.log_lines import LogLine, line_from_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.services.log_lines import LogTable
    from streamhub_orm.services.log_server import ServerLogTable

__all__ = ["LogQueue", "QueueLimits"]

_SOURCE_OF_LOSSES: Final = "server-log"
"""The source of the line that says how many lines were dropped."""
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0
_FORK_WAIT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class QueueLimits:
    """Bounds of what is held in memory, and for how long."""

    capacity: int = 10_000
    """Lines in memory, at most; a line beyond them is dropped and counted."""
    batch_rows: int = 500
    """Lines in one transaction, at most."""
    linger_seconds: float = 0.2
    """Time for which a line waits for others to be written with."""
    retry_seconds: float = 30.0
    """Time for which a batch is tried again while the database refuses it; then it is dropped."""
    close_seconds: float = 10.0
    """Time for which `close()` tries to write what is left."""


class LogQueue:
    """Lines on their way into a database. Every method may be called from any thread."""

    def __init__(self, table: LogTable | ServerLogTable, limits: QueueLimits) -> None:
        """Start nothing yet: the thread starts with the first line."""
        self._table: Any = table  # a connection of one is given back to the same
        self._limits = limits
        self._closed = False
        self._start_anew(barred=False)
        os.register_at_fork(
            before=_while_alive(self.before_fork),
            after_in_parent=_while_alive(self.after_fork_in_parent),
            after_in_child=_while_alive(self.after_fork_in_child),
        )

    def _start_anew(self, *, barred: bool) -> None:
        """Begin with nothing: in a child after fork the lines and the thread are the parent's."""
        self.written = 0
        self.dropped = 0
        self._barred = barred
        self._changed = threading.Condition()
        self._lines: deque[LogLine] = deque()
        self._own: deque[LogLine] = deque()
        self._thread: threading.Thread | None = None
        self._settled = self._unreported = self._flushing = self._forking = 0
        self._writing = False
        self._failure: Exception | None = None
        self._failing_since: float | None = None
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._deadline = 0.0

    def put(self, line: LogLine) -> None:
        """Take a line, or count it as dropped; never waits for the database.

        The writing thread logs where the collector runs somebody's __del__ in it, at any moment: so
        its lines are laid aside, and wake nobody, or one about the writing would be the next to be
        written, for ever. They go with the next batch, or at `flush` and `close`.
        """
        if self._thread is not None and self._thread.ident == threading.get_ident():
            self._own.append(line)
            return
        with self._changed:
            if self._closed or self._barred or len(self._lines) >= self._limits.capacity:
                self._drop(1)
                return
            self._lines.append(line)
            if len(self._lines) in {1, self._limits.batch_rows}:
                self._changed.notify_all()
            if self._thread is None:
                self._start_thread()

    def count_dropped(self) -> None:
        """Count a line that could not even be made."""
        with self._changed:
            self._drop(1)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until every line taken so far is written or dropped; False if time ran out."""
        with self._changed:
            if self._thread is None:
                return not self._lines  # none could be started: close() writes them
            self._take_own()
            wanted = self._settled + len(self._lines)
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._settled >= wanted, timeout_seconds)
            self._flushing -= 1
        return done

    def close(self) -> None:
        """Write what is left, wait for it, and end the thread; lines that come later are dropped.

        What could not be written by then is told on standard error.
        """
        if self._closed:
            return
        self.end()
        if self._thread is None:
            self._run()
        else:
            self._thread.join(self._limits.close_seconds + 1)
        with self._changed:
            self._take_own()
            self._give_up(len(self._lines))
            lost = self._unreported
        if lost and sys.stderr is not None:
            reason = f": {self._failure}" if self._failure else ""
            sys.stderr.write(f"{self._table.path}: {lost} log lines were dropped{reason}\n")

    def end(self) -> None:
        """Let the thread end once it has written what is left, without waiting for it."""
        with self._changed:
            self._take_own()
            self._closed = True
            self._deadline = time.monotonic() + self._limits.close_seconds
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until the thread has no connection open, and keep it from opening one.

        SQLite's handles and locks must not cross a fork (docs/adr/0006). One to a server may.
        """
        self._changed.acquire()
        if self._table.outlives_forks:
            return
        self._forking += 1
        self._changed.notify_all()
        self._changed.wait_for(lambda: not self._writing, _FORK_WAIT_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        if self._table.outlives_forks:
            self._changed.release()
            return
        self._forking -= 1
        self._changed.notify_all()
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent its lines; where it left SQLite unusable, this process writes none."""
        self._table.leave_to_parent()
        is_usable = self._table.outlives_forks or not (self._writing or has_forked_amid_threads())
        self._start_anew(barred=not is_usable)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="streamhub-log", daemon=True)
        self._thread = thread  # before it starts: starting it may run the collector, which may log
        try:
            thread.start()
        except RuntimeError:
            self._thread = None
            return  # the interpreter is ending: close() writes what is left
        _close_with_child_process(self)

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._write_batches()
            except Exception as error:  # noqa: BLE001 - the thread must outlive any fault
                self._wait_after(error)
        self._table.close()

    def _wait_for_work(self) -> bool:
        """Wait until there is something to write and nobody forks; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            self._changed.wait_for(self._is_urgent, self._limits.linger_seconds)
            self._changed.wait_for(lambda: not self._forking)
            idle = not (self._lines or self._unreported)
            over = idle or self._barred or time.monotonic() >= self._deadline
            self._writing = not (self._closed and over)
            return self._writing

    def _is_urgent(self) -> bool:
        full = len(self._lines) >= self._limits.batch_rows
        return full or self._closed or self._flushing > 0

    def _write_batches(self) -> None:
        """Write batches over one connection until nothing is left or somebody forks."""
        try:
            with self._table.opened() as connection:
                while True:
                    batch, lost = self._next_batch()
                    if not batch and not lost:
                        return
                    self._table.insert(connection, [*batch, *_losses(lost)])
                    self._settle(len(batch), lost)
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _next_batch(self) -> tuple[list[LogLine], int]:
        """Return the next lines, which stay in the queue until they are written."""
        with self._changed:
            if self._forking:
                return [], 0
            if self._lines:
                self._take_own()
            return list(islice(self._lines, self._limits.batch_rows)), self._unreported

    def _settle(self, count: int, lost: int) -> None:
        with self._changed:
            self.written += count
            self._remove(count)
            self._unreported -= lost
            self._failing_since = None
            self._pause_seconds = _FIRST_PAUSE_SECONDS

    def _wait_after(self, error: Exception) -> None:
        """Give up a batch that was tried for too long, and pause before the next attempt."""
        now = time.monotonic()
        with self._changed:
            self._failure = error
            self._failing_since = self._failing_since or now
            if now - self._failing_since >= self._limits.retry_seconds:
                self._give_up(self._limits.batch_rows)
                self._failing_since = None
            pause = self._pause_seconds
            if self._closed:
                pause = max(0.0, min(pause, self._deadline - now))
            self._changed.wait_for(lambda: self._forking, pause)
            self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _give_up(self, count: int) -> None:
        self._drop(min(count, len(self._lines)))
        self._remove(count)

    def _remove(self, count: int) -> None:
        for _ in range(min(count, len(self._lines))):
            self._lines.popleft()
            self._settled += 1
        self._changed.notify_all()

    def _take_own(self) -> None:
        """Queue what the writing thread itself has logged."""
        while self._own:
            line = self._own.popleft()
            if len(self._lines) < self._limits.capacity:
                self._lines.append(line)
            else:
                self._drop(1)

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._unreported += count


def _losses(count: int) -> list[LogLine]:
    """Return the line that tells how many were dropped before it, or none."""
    if not count:
        return []
    fields = {"levelno": logging.WARNING, "msg": f"{count} log lines were dropped"}
    record = logging.makeLogRecord({**fields, "dropped": count})
    return [line_from_record(record, _SOURCE_OF_LOSSES)]


def _while_alive(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls the method for as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        found = reference()
        if found is not None:
            found()

    return call


def _close_with_child_process(queue: LogQueue) -> None:
    """In a process of multiprocessing, which ends without atexit, close the queue at its end."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, queue.close, exitpriority=100)

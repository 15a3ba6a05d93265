"""Ctrl-C while the main thread is inside one long call, such as a statement of SQLite.

Python calls the handler of a signal between two instructions of the main thread, and a statement, a
copy or a sync is one instruction. So a thread waits for the signal too: it tells what is waited
for, and at the second one ends the process, from which the next run recovers as from a kill.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING, ClassVar, Final, Self

from streamhub_orm.engine.forks import open_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOLD_AFTER_SECONDS: Final = 0.2
"""What ends sooner needs no word."""
_ENDED_AFTER_SECONDS: Final = 0.5
"""Time in which the main thread may end by itself, with everything cleared away."""
_STOP: Final = 0
"""No signal has this number."""


class CtrlC:
    """Answer to Ctrl-C in this process, for the time of a block."""

    _current: ClassVar[CtrlC | None] = None

    def __init__(self, tell: Callable[[list[str]], None], end: Callable[[], None]) -> None:
        """Wait for nothing yet.

        `tell` is called once, in whichever thread is first, with what is waited for; `end` in a
        thread of its own, where the main one has not ended in time: it has to end the process.
        """
        self._tell = tell
        self._end = end
        self._came = 0
        self._due: float | None = None
        self._is_told = False
        self._thread: threading.Thread | None = None
        self._pipe = (-1, -1)

    def __enter__(self) -> Self:
        """Wait for it, in the main thread of a program that has no handler of its own."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            CtrlC._current = self
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for it no more."""
        self.close()

    def close(self) -> None:
        """Leave it to whoever handles it from now on; a second call does nothing."""
        if CtrlC._current is self:
            CtrlC._current = None
            signal.set_wakeup_fd(-1)
            self.stop()
            for end in self._pipe:
                os.close(end)

    def end_with_the_next(self) -> None:
        """Let the next one kill the process, which is ending: its last words may be stuck."""
        if CtrlC._current is self:
            self.close()
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def tell(self, names: list[str]) -> None:
        """Tell what is waited for, unless that was told before."""
        if not self._is_told:
            self._is_told = True
            self._tell(names)

    @classmethod
    @contextmanager
    def without_thread(cls) -> Iterator[None]:
        """Have no thread within the block, which forks; its main thread answers by itself."""
        current = cls._current
        if current is None:
            yield
            return
        current.stop()
        try:
            yield
        finally:
            if cls._current is current:
                current.start()

    @classmethod
    def count_other_threads(cls) -> int:
        """Return how many threads there are beside this one, that of Ctrl-C left out."""
        return threading.active_count() - 1 - (cls._current is not None)

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="streamhub-ctrl-c", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if there is one; what comes meanwhile is kept for the next."""
        if self._thread is not None:
            os.write(self._pipe[1], bytes([_STOP]))
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            left = None if self._due is None else max(0.0, self._due - time.monotonic())
            if not select([self._pipe[0]], [], [], left)[0]:
                self._due = None
                self._answer()
                continue
            numbers = os.read(self._pipe[0], 64)
            for _ in range(numbers.count(signal.SIGINT)):
                self._came += 1
                wait = _TOLD_AFTER_SECONDS if self._came == 1 else _ENDED_AFTER_SECONDS
                self._due = time.monotonic() + wait
            if _STOP in numbers:
                return

    def _answer(self) -> None:
        if self._came == 1:
            self.tell([str(path) for path in open_paths()])
        else:
            self._end()

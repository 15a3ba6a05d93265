"""First moments of sessions, in which threads do not run side by side."""

from __future__ import annotations

from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

_MOMENT_SECONDS: Final = 0.001
_OPEN_SECONDS: Final = 0.02
_STEPS: Final = 10_000
"""Steps of SQLite's virtual machine, some 0.2 ms, after which a statement counts as one that
computes: a page of 50 recordings takes 1,200, one of 200 takes 5,000."""


class FirstMoments:
    """Lets sessions of one process run one after the other while they are short.

    Python runs one thread at a time, and each call of SQLite gives the interpreter away: a page of
    50 rows does so 50 times, and may wait for another thread at each. Eight threads that read side
    by side take twice as long as one after the other. A session that takes longer than 1 ms, or
    a statement in which SQLite computes, keeps no other back: after it nobody waits for 20 ms, and
    computing goes on side by side on all processors. So who waits loses at most 5%, and there is no
    deadlock, whatever sessions wait for inside of their blocks.
    """

    def __init__(
        self, moment_seconds: float = _MOMENT_SECONDS, open_seconds: float = _OPEN_SECONDS
    ) -> None:
        """Nobody is in a session. The first is how long one is waited for, the second the pause."""
        self._moment_seconds = moment_seconds
        self._open_seconds = open_seconds
        self._next = Lock()
        """Held by the thread that waits for the one in its first moment; others queue here."""
        self._turn = Lock()
        """Held for the one session in its first moment."""
        self._held: dict[object, int] = {}
        """That session and its thread; whoever takes it out gives the turn on, and nobody else."""
        self._open_until = 0.0

    def begin(self) -> object | None:
        """Wait for the moment of another thread to end; return what `end` takes."""
        own = get_ident()
        if own in self._held.values():  # within a block of its own
            return None
        with self._next:
            if monotonic() < self._open_until:
                return None
            if not self._turn.acquire(timeout=self._moment_seconds):
                self._open()
                return None
        moment = object()
        self._held[moment] = own
        return moment

    def end(self, moment: object | None) -> None:
        """Let the next thread begin; in any thread, since a block may end in another one."""
        if moment is not None and self._held.pop(moment, None) is not None:
            self._turn.release()

    def watch(self, connection: sqlite3.Connection) -> None:
        """Let others begin when a statement of this connection turns out to compute."""
        connection.set_progress_handler(self._open_own, _STEPS)

    def _open_own(self) -> None:
        if get_ident() in self._held.values():
            self._open()

    def _open(self) -> None:
        """Take its moment from whoever has it, and let nobody wait for a while."""
        self._open_until = monotonic() + self._open_seconds
        for moment in list(self._held):
            self.end(moment)

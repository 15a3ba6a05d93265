"""First moments of sessions, in which threads do not run side by side."""

from __future__ import annotations

from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

_MOMENT_SECONDS: Final = 0.0005
_MOST_MOMENTS: Final = 10
"""So many moments of others a session waits for, if they are that long; then it begins."""
_COMPUTES_AFTER_SECONDS: Final = 0.0005
_STEPS: Final = 10_000
"""Steps of SQLite's virtual machine, some 0.2 ms, after which a statement looks at the time. The
statement's earlier runs count too; a page of 50 recordings takes 1,200."""


class FirstMoments:
    """Lets sessions of one process run one after the other while they are short.

    Python runs one thread at a time, and each call of SQLite gives the interpreter away: a page of
    50 rows does so 50 times, and may wait for another thread at each. Eight threads that read side
    by side take twice as long as one after the other. A session that takes longer than 0.5 ms, with
    a statement that computes or waited for by another, keeps nobody back any more: so long sessions
    and computing go on side by side, and there is no deadlock, whatever sessions wait for inside of
    their blocks. A thread that has just ended a session may begin its next one before those that
    wait, which spares changing threads, for 0.5 ms.
    """

    def __init__(self, moment_seconds: float = _MOMENT_SECONDS) -> None:
        """Nobody is in a session. `moment_seconds` is how long one session is waited for."""
        self._moment_seconds = moment_seconds
        self._next = Lock()
        """Held by the thread that waits for the one in its first moment; others queue here."""
        self._turn = Lock()
        """Held for the one session in its first moment."""
        self._held: dict[object, int] = {}
        """That session and its thread; whoever takes it out gives the turn on, and nobody else."""
        self._is_waited = False
        """True once somebody has waited for a moment in vain: then all queue behind him."""
        self._last: object = None
        self._begun_at = 0.0

    def begin(self) -> object | None:
        """Wait for the moment of another thread to end; return what `end` takes."""
        own = get_ident()
        if own in self._held.values():  # within a block of its own
            return None
        if (self._is_waited or not self._turn.acquire(blocking=False)) and not self._wait():
            return None
        moment = self._last = object()
        self._held[moment] = own
        self._begun_at = monotonic()
        return moment

    def end(self, moment: object | None) -> None:
        """Let the next thread begin; in any thread, since a block may end in another one."""
        if moment is not None and self._held.pop(moment, None) is not None:
            self._turn.release()

    def watch(self, connection: sqlite3.Connection) -> None:
        """Let others begin when a statement of this connection turns out to compute."""
        connection.set_progress_handler(self._look, _STEPS)

    def _wait(self) -> bool:
        """Wait for the turn; False where others had it all the time."""
        with self._next:
            for _ in range(_MOST_MOMENTS):
                holder = self._last
                if self._turn.acquire(timeout=self._moment_seconds):
                    self._is_waited = False
                    return True
                if self._last is holder:
                    self.end(holder)
                self._is_waited = True
        return False

    def _look(self) -> None:
        is_own = get_ident() in self._held.values()
        if is_own and monotonic() - self._begun_at > _COMPUTES_AFTER_SECONDS:
            self.end(self._last)

"""First moments of sessions, in which threads do not run side by side."""

from __future__ import annotations

from threading import Lock, get_ident
from time import monotonic
from typing import Final

_MOMENT_SECONDS: Final = 0.001
_OPEN_SECONDS: Final = 0.02


class FirstMoments:
    """Lets sessions of one process run one after the other while they are short.

    Python runs one thread at a time, and each call of SQLite gives the interpreter away: a page of
    50 rows does so 50 times, and may wait for another thread at each. Eight threads that read side
    by side take twice as long as one after the other. A session that takes longer than 1 ms, since
    it waits or SQLite computes, keeps no other back: after it nobody waits for 20 ms. So who waits
    loses at most 5%, and there is no deadlock, whatever sessions wait for inside of their blocks.
    """

    def __init__(
        self, moment_seconds: float = _MOMENT_SECONDS, open_seconds: float = _OPEN_SECONDS
    ) -> None:
        """Nobody is in a session. The first is how long one is waited for, the second the pause."""
        self._moment_seconds = moment_seconds
        self._open_seconds = open_seconds
        self._next = Lock()
        """Held by the thread that waits for the one in its first moment; others queue here."""
        self._current = Lock()
        """Held by the thread in its first moment."""
        self._owner: int | None = None
        self._open_until = 0.0

    def begin(self) -> Lock | None:
        """Wait for the moment of another thread to end; return what `end` takes."""
        own = get_ident()
        if self._owner == own:  # within a block of its own
            return None
        with self._next:
            if monotonic() < self._open_until:
                return None
            current = self._current
            if not current.acquire(timeout=self._moment_seconds):
                self._current, self._owner = Lock(), None
                self._open_until = monotonic() + self._open_seconds
                return None
        self._owner = own
        return current

    def end(self, moment: Lock | None) -> None:
        """Let the next thread begin; in any thread, since a block may end in another one."""
        if moment is not None:
            if moment is self._current:
                self._owner = None
            moment.release()

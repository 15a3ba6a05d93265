"""Who has which of a run's items, in memory that outlives every process that uses it."""

from __future__ import annotations

import fcntl
import os
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_KIND: Final = "I"
_WIDTH: Final = array(_KIND).itemsize


class WorkQueue:
    """Items by their number, each of which one worker takes for itself, in their order.

    A worker that had to ask another process for its next item would wait at each, and one that got
    several at once would keep those behind a big one from the others. Taking is one write, under a
    lock that the kernel releases when its holder dies: an item is free or has its worker's number.
    """

    def __init__(self, count: int) -> None:
        """Offer so many items; processes that are forked afterwards share them."""
        self._count = count
        self._free_from = 0
        self._memory = os.memfd_create("streamhub-claims")
        os.ftruncate(self._memory, count * _WIDTH)

    def take(self, worker: int) -> int | None:
        """Take the next free item for a worker, whose number is above 0; None if none is free."""
        with self._locked():
            while self._free_from < self._count and self._owner(self._free_from):
                self._free_from += 1
            if self._free_from == self._count:
                return None
            self._write(self._free_from, [worker])
            return self._free_from

    def take_all(self, worker: int) -> None:
        """Take whatever is free, so that nobody else begins anything."""
        with self._locked():
            owners = self._owners()
            self._write(0, [owner or worker for owner in owners])

    def last_of(self, worker: int) -> int | None:
        """Return the item that a worker took last."""
        taken = [item for item, owner in enumerate(self._owners()) if owner == worker]
        return taken[-1] if taken else None

    def close(self) -> None:
        """Give the memory back, in this process."""
        os.close(self._memory)

    def _owner(self, item: int) -> int:
        return array(_KIND, os.pread(self._memory, _WIDTH, item * _WIDTH))[0]

    def _owners(self) -> array[int]:
        return array(_KIND, os.pread(self._memory, self._count * _WIDTH, 0))

    def _write(self, first: int, owners: list[int]) -> None:
        os.pwrite(self._memory, array(_KIND, owners).tobytes(), first * _WIDTH)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._memory, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._memory, fcntl.LOCK_UN)

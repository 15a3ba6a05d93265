"""Progress inside one big app: rows copied, then indices built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamhub_orm.legacy.sources import LegacyFiles

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_PART_ROWS: Final = 20_000
"""After about so many rows they are told; an app of no more comes in one statement."""


def silent(_phase: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class RowProgress:
    """The rows of one app as they are copied; an app of few rows says nothing."""

    def __init__(self, files: LegacyFiles, progress: Progress) -> None:
        """Count the rows of these files, of which there are about so many, for `progress`."""
        self._app = files.app
        self._total = files.rows_about()
        self._done = 0
        self._progress = progress
        self.parts = 1 if progress is silent else 1 + self._total // _PART_ROWS

    def copied(self, count: int) -> None:
        """Count rows that are in the app.db now."""
        self._done += count
        if self.parts > 1:
            # The total is an estimate, and rows that came meanwhile are copied too.
            self._total = max(self._total, self._done)
            self._progress(f"rows of {self._app}", self._done, self._total)

    def end(self) -> None:
        """Say that these were all."""
        if self.parts > 1:
            self._progress(f"rows of {self._app}", self._done, self._done)

    def built(self, indices: int, total: int) -> None:
        """Count secondary indices that are there again."""
        if self.parts > 1:
            self._progress(f"indices of {self._app}", indices, total)

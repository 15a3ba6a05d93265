"""Retention: which archives stay, by age, by number, and by day, week and month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamhub_orm.archives.stored import StoredArchive

_PERIODS: Final = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}
"""The periods of which one archive each may be kept, and the form in which equal ones are equal."""


@dataclass(frozen=True)
class Retention:
    """Rules by which an operator keeps archives.

    Without `within`, `daily`, `weekly` and `monthly`, `days` and `count` are limits: an archive
    goes where either says so. With any of them, an archive stays where any rule keeps it; `count`
    is one of them then, and `days` does not count. Days, weeks (from Monday) and months are those
    of UTC, and only complete archives stand for one.
    """

    days: int = 0
    """Archives older than this go; 0 keeps any age."""
    count: int | None = None
    """Complete archives that stay, the newest; None keeps any number."""
    within: timedelta | None = None
    """Archives of this last time stay, complete or not."""
    daily: int = 0
    """The newest archive of each of so many days that have one stays."""
    weekly: int = 0
    monthly: int = 0

    def outdated(self, archives: Sequence[StoredArchive], now: datetime) -> list[StoredArchive]:
        """Return the archives that are given up, of a list with the newest first.

        A suspect one stays, and counts as none: its name does not tell how old it is.
        """
        dated = [archive for archive in archives if not archive.is_suspect]
        complete = [archive for archive in dated if archive.name.complete]
        if self.within is None and not (self.daily or self.weekly or self.monthly):
            oldest = _days_before(now, self.days) if self.days else _FIRST
            kept = {it for it in dated if it.name.taken_at >= oldest}
            if self.count is not None:
                last = complete[self.count - 1 : self.count]
                kept = {it for it in kept if not last or it.name >= last[0].name}
        else:
            oldest = now - (self.within or timedelta())
            kept = {it for it in dated if it.name.taken_at >= oldest}
            kept |= set(complete[: self.count or 0])
            for period, form in _PERIODS.items():
                kept |= set(islice(_newest_of_each(complete, form), getattr(self, period)))
        return [archive for archive in dated if archive not in kept]


_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def _days_before(now: datetime, days: int) -> datetime:
    try:
        return now - timedelta(days)
    except OverflowError:  # before there were calendars
        return _FIRST


def _newest_of_each(archives: Sequence[StoredArchive], form: str) -> list[StoredArchive]:
    newest: dict[str, StoredArchive] = {}
    for archive in archives:
        newest.setdefault(archive.name.taken_at.strftime(form), archive)
    return list(newest.values())

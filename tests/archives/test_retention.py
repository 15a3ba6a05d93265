"""Rules by which archives stay, against an account that is made day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.archives.retention import Retention
from streamhub_orm.archives.stored import StoredArchive

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 6, 30, 3, 0, 0, tzinfo=UTC)


def archives(*hours_ago: int, complete: bool = True) -> list[StoredArchive]:
    """Return archives, the newest first."""
    found = []
    for hours in sorted(hours_ago):
        taken_at = NOW - timedelta(hours=hours)
        name = ArchiveName(taken_at, complete=complete)
        found.append(StoredArchive(name, str(name), 1, taken_at))
    return found


def kept(retention: Retention, found: list[StoredArchive]) -> list[datetime]:
    gone = retention.outdated(found, NOW)
    return [it.name.taken_at for it in found if it not in gone]


def test_newest_of_each_day_that_has_one_stays() -> None:
    found = archives(0, 2, 20, 25, 24 * 9, 24 * 40)
    assert kept(Retention(daily=3), found) == [
        NOW,
        NOW - timedelta(hours=20),
        NOW - timedelta(days=9),
    ]


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    # 30 June 2026 is a Tuesday: 29 June is of this week, 28 June of the one before.
    found = archives(1, 24, 48, 24 * 30)
    assert kept(Retention(weekly=2), found) == [NOW - timedelta(hours=1), NOW - timedelta(days=2)]
    assert kept(Retention(monthly=2), found) == [NOW - timedelta(hours=1), NOW - timedelta(days=30)]


def test_rules_add_up_and_a_limit_of_days_does_not_count_beside_them() -> None:
    found = archives(0, 5, 24 * 3, 24 * 400)
    retention = Retention(days=1, count=1, within=timedelta(hours=6), monthly=2)
    assert kept(retention, found) == [NOW, NOW - timedelta(hours=5), NOW - timedelta(days=400)]


def test_incomplete_ones_stand_for_no_day() -> None:
    found = archives(1, complete=False) + archives(5)
    assert kept(Retention(daily=1), found) == [NOW - timedelta(hours=5)]
    assert len(kept(Retention(within=timedelta(hours=2)), found)) == 1


@given(
    hours=st.sets(st.integers(0, 24 * 800), max_size=40),
    rules=st.tuples(*[st.integers(0, 5)] * 3).filter(any),
)
def test_each_rule_keeps_the_newest_of_so_many_periods(
    hours: set[int], rules: tuple[int, int, int]
) -> None:
    """An account made the other way round: period by period instead of archive by archive."""
    found = archives(*hours)
    times = [it.name.taken_at for it in found]
    wanted: set[datetime] = set()
    keys: tuple[Callable[[datetime], int], ...] = (
        lambda it: it.date().toordinal(),
        lambda it: (it.date() - timedelta(days=it.weekday())).toordinal(),
        lambda it: it.year * 12 + it.month,
    )
    for number, key in zip(rules, keys, strict=True):
        for period in sorted({key(it) for it in times}, reverse=True)[:number]:
            wanted.add(max(it for it in times if key(it) == period))
    daily, weekly, monthly = rules
    retention = Retention(daily=daily, weekly=weekly, monthly=monthly)
    assert set(kept(retention, found)) == wanted

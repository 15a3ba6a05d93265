"""What a run of the tests really tried and checked, printed at its end for docs/RELIABILITY.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_counted: Final = Counter[str]()


def count(what: str, number: int = 1) -> None:
    """Add to a figure of this process."""
    _counted[what] += number


def add(figures: Mapping[str, int]) -> None:
    """Add the figures of another process."""
    _counted.update(figures)


def take() -> dict[str, int]:
    """Return the figures of this process so far and begin anew."""
    taken = dict(_counted)
    _counted.clear()
    return taken


def lines(figures: Mapping[str, int]) -> Iterable[str]:
    """Write figures as rows of a Markdown table."""
    return (f"| {what} | {number:,} |" for what, number in sorted(figures.items()))

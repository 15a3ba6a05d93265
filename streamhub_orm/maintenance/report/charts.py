"""Where the marks of a chart lie: plain geometry, drawn as SVG by the page's template."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDE: Final = 1040
NARROW: Final = 500
"""Widths of the view box; about those on the screen, so that text has its own size."""
_HEIGHT: Final = 240
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 20, 24, 26
_GAP: Final = 0.24
_WIDEST: Final = 84
_LABEL_WIDTH: Final = 51
_FEW: Final = 13
"""So many columns have room for their values."""
_MOST_TICKS: Final = 4
_STEPS: Final = {
    1000: (1, 2, 5, 10, 20, 50, 100, 200, 500),
    1024: (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
}


@dataclass(frozen=True)
class Bar:
    """One value of a chart, before it is drawn."""

    label: str
    value: int
    shown: str
    """The value in words."""


@dataclass(frozen=True)
class Column:
    """One bar that stands up, in the units of the view box."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    """Empty where there is no room for it."""
    value: str
    """The same."""
    title: str


@dataclass(frozen=True)
class Tick:
    """A line of the grid."""

    y: float
    label: str


@dataclass(frozen=True)
class ColumnChart:
    """A chart of columns over a grid."""

    columns: list[Column]
    ticks: list[Tick]
    width: int
    height: int = _HEIGHT
    left: int = _LEFT
    label_y: int = _HEIGHT - 8

    @property
    def right(self) -> int:
        """Where the grid ends."""
        return self.width - _RIGHT


def column_chart(
    bars: Sequence[Bar],
    *,
    width: int,
    base: Literal[1000, 1024],
    in_words: Callable[[int], str],
) -> ColumnChart:
    """Lay bars out from left to right; the grid's lines lie at round values.

    `base` is 1024 for bytes and 1000 for numbers; `in_words` labels the lines.
    """
    largest = max((bar.value for bar in bars), default=0)
    step = _step(largest, base)
    top = step * max(1, math.ceil(largest / step))
    slot = (width - _LEFT - _RIGHT) / max(len(bars), 1)
    every = math.ceil(_LABEL_WIDTH / slot)
    columns = [
        _column(
            bar,
            middle=_LEFT + (position + 0.5) * slot,
            slot=slot,
            share=bar.value / top,
            is_labelled=(len(bars) - 1 - position) % every == 0,
            has_value=len(bars) <= _FEW,
        )
        for position, bar in enumerate(bars)
    ]
    ticks = [Tick(_y(value / top), in_words(value)) for value in range(0, top + 1, step)]
    return ColumnChart(columns, ticks, width)


def _column(  # noqa: PLR0913 - all of it is needed for one rectangle and its texts
    bar: Bar, *, middle: float, slot: float, share: float, is_labelled: bool, has_value: bool
) -> Column:
    width = min(slot * (1 - _GAP), _WIDEST)
    top, floor = _y(share), _y(0)
    if bar.value > 0:
        top = min(top, floor - 1.5)  # what is there is seen
    return Column(
        x=round(middle - width / 2, 2),
        y=top,
        width=round(width, 2),
        height=round(floor - top, 2),
        middle=round(middle, 2),
        label=bar.label if is_labelled else "",
        value=bar.shown if has_value and bar.value else "",
        title=f"{bar.label}: {bar.shown}",
    )


def _y(share: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share), 2)


def _step(largest: int, base: Literal[1000, 1024]) -> int:
    """Return the distance of the grid's lines: the smallest round one that makes few of them."""
    unit = 1
    while True:
        for step in _STEPS[base]:
            if largest <= step * unit * _MOST_TICKS:
                return step * unit
        unit *= base

"""Charts: round grids, columns in proportion, labels where there is room."""

from __future__ import annotations

import pytest

from streamhub_orm.maintenance.report.charts import NARROW, WIDE, Bar, column_chart
from streamhub_orm.maintenance.sizes import in_bytes


def bars(*values: int) -> list[Bar]:
    return [Bar(f"b{position}", value, str(value)) for position, value in enumerate(values)]


@pytest.mark.parametrize(
    ("largest", "labels"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (7, ["0", "2", "4", "6", "8"]),
        (1200, ["0", "500", "1000", "1500"]),
        (2_000_000, ["0", "500000", "1000000", "1500000", "2000000"]),
    ],
)
def test_grid_lies_at_round_numbers_up_to_the_largest(largest: int, labels: list[str]) -> None:
    chart = column_chart(bars(largest, 0), width=NARROW, base=1000, in_words=str)
    assert [tick.label for tick in chart.ticks] == labels


def test_grid_of_bytes_lies_at_round_binary_sizes() -> None:
    chart = column_chart(bars(3 * 2**40), width=NARROW, base=1024, in_words=in_bytes)
    assert [tick.label for tick in chart.ticks] == ["0 B", "1.0 TiB", "2.0 TiB", "3.0 TiB"]


def test_columns_stand_on_the_floor_in_proportion_and_inside_the_chart() -> None:
    chart = column_chart(bars(100, 50, 0), width=NARROW, base=1000, in_words=str)
    whole, half, none = chart.columns
    floor = chart.ticks[0].y
    assert whole.y + whole.height == pytest.approx(floor)
    assert half.height == pytest.approx(whole.height / 2, abs=0.02)
    assert none.height == 0
    assert all(chart.left <= it.x and it.x + it.width <= chart.right for it in chart.columns)


def test_a_small_value_is_still_seen() -> None:
    chart = column_chart(bars(1, 10**9), width=NARROW, base=1000, in_words=str)
    assert chart.columns[0].height == 1.5


def test_many_columns_are_labelled_as_there_is_room_and_the_last_always() -> None:
    chart = column_chart(bars(*range(1, 61)), width=WIDE, base=1000, in_words=str)
    labelled = [position for position, it in enumerate(chart.columns) if it.label]
    assert labelled[-1] == 59
    assert 10 <= len(labelled) <= 20
    assert not any(it.value for it in chart.columns)
    assert all(it.title for it in chart.columns)

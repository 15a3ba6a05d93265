"""Sizes and lengths of time for people."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streamhub_orm.readable import in_bytes, in_time


def test_size_has_a_fraction_only_below_ten() -> None:
    counts = [None, 0, 1023, 1024, -4096, 58_000, 1536 * 1024, 2**40, 2**60]
    shown = ["-", "0 B", "1023 B", "1.0 KiB", "-4.0 KiB", "57 KiB", "1.5 MiB", "1.0 TiB"]
    assert list(map(in_bytes, counts)) == [*shown, "1024 PiB"]


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=3, minutes=59), "3 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=12), "12 d"),
    ],
)
def test_length_of_time_is_told_for_people(age: timedelta, text: str) -> None:
    assert in_time(age) == text

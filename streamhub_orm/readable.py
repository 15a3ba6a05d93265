"""Sizes and lengths of time as people read them; JSON holds the exact values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import timedelta

_NEXT_UNIT: Final = 1024
_WITHOUT_FRACTION: Final = 10


def in_bytes(count: int | None) -> str:
    """Return a size: `512 B`, `1.5 MiB`, `57 KiB`; a dash for None."""
    if count is None:
        return "-"
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(size) < _NEXT_UNIT:
            break
        size, unit = size / _NEXT_UNIT, larger
    fraction = 1 if unit != "B" and abs(size) < _WITHOUT_FRACTION else 0
    return f"{size:.{fraction}f} {unit}"


def in_time(length: timedelta) -> str:
    """Return a length of time: `12 min`, `3 h`, `12 d`."""
    minutes = max(0, int(length.total_seconds() // 60))
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"

"""Samples of the points at which work is struck."""

from __future__ import annotations

import os


def sample(points: int, every: int, *, first: int = 1) -> range:
    """Return one of `every` points, or each of them where STREAMHUB_EVERY_POINT is set.

    Points are numbered from 1. `first` shifts the sample, so that tests beside each other try
    different ones.
    """
    step = 1 if os.environ.get("STREAMHUB_EVERY_POINT") else every
    return range(1 + (first - 1) % step, points + 1, step)

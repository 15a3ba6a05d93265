"""How big the data is: full for figures, small to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """The sizes of every benchmark."""

    files: int
    """Apps that are created or opened one by one."""
    fleet: int
    """Apps of an upgrade."""
    left_behind: int
    """Apps at head whose legacy sources hold many rows."""
    left_in_global: int
    """Rows left in the global database beside a cold open."""
    rows_per_app: int
    """Rows of each app in the split of a fleet."""
    rows_of_one: int
    """Rows of the one big app."""
    rows_backed_up: int
    """Rows of the app that is backed up beside a writer: 1 GB at full scale."""
    vods: int
    """Recordings in the app that look-ups read."""
    lookups: int
    growth: tuple[int, ...]
    """Sizes of the growing fleet."""
    logs_promoted: int
    """Lines of the log of an installation that goes to a server."""
    apps_promoted: int
    touched: tuple[int, ...]
    """After how many apps memory and descriptors are read."""
    workers: tuple[int, ...]
    """Numbers of processes that share a load."""
    many_apps: int
    """Apps of which few may be open at once."""
    requests: tuple[int, ...]
    """After how many requests on them memory and descriptors are read."""
    registered: tuple[int, int]
    """Apps in a small and in a big registry on a server."""
    nodes: int
    """Nodes that are played on one server."""
    node_seconds: float
    """For how long."""


SCALES: Final = {
    "full": Scale(
        files=200,
        fleet=1_000,
        left_behind=50,
        left_in_global=300_000,
        rows_per_app=400,
        rows_of_one=600_000,
        rows_backed_up=2_100_000,
        vods=300_000,
        lookups=5_000,
        growth=(10, 100, 1_000, 10_000),
        logs_promoted=1_000_000,
        apps_promoted=100_000,
        touched=(100, 1_000, 10_000),
        workers=(2, 4),
        many_apps=2_000,
        requests=(10_000, 100_000, 200_000),
        registered=(1_000, 1_000_000),
        nodes=100,
        node_seconds=30,
    ),
    "small": Scale(
        files=4,
        fleet=6,
        left_behind=2,
        left_in_global=100,
        rows_per_app=40,
        rows_of_one=400,
        rows_backed_up=400,
        vods=300,
        lookups=50,
        growth=(2, 4),
        logs_promoted=400,
        apps_promoted=40,
        touched=(2, 4, 6),
        workers=(2,),
        many_apps=6,
        requests=(40, 80),
        registered=(10, 100),
        nodes=4,
        node_seconds=0.5,
    ),
}

"""How many databases and sessions the process's limit on open files affords."""

from __future__ import annotations

import resource
from typing import Final

_MOST_APPS: Final = 100
_DESCRIPTORS_PER_CONNECTION: Final = 3
_DESCRIPTORS_FOR_OTHERS: Final = 64
"""What the program itself has open, and a few files that are being opened or upgraded."""
_FEWEST_LEASES: Final = 8


def affordable_apps(ready_connections: int) -> int:
    """Return how many apps may be open, each with its ready connections and one more in use."""
    budget = _connections()
    if budget is None:
        return _MOST_APPS
    return max(1, min(_MOST_APPS, budget // (ready_connections + 1)))


def affordable_leases(open_apps: int, ready_connections: int) -> int | None:
    """Return how many connections may be in use beside those that are ready; None: any number."""
    budget = _connections()
    if budget is None:
        return None
    return max(_FEWEST_LEASES, budget - open_apps * ready_connections)


def _connections() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    return (limit - _DESCRIPTORS_FOR_OTHERS) // _DESCRIPTORS_PER_CONNECTION

"""Caution of an upgrade: some apps first, and an end where too many fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import size_bytes
from streamhub_orm.migrations.states import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.upgrade.preflight import Plan


@dataclass(frozen=True)
class Caution:
    """Conduct of a run; by default it goes on with every app, whatever fails."""

    canary: int = 0
    """So many of the apps that are to be changed come first, those with the smallest files."""
    canary_apps: tuple[str, ...] = ()
    """These apps come first as well; one that is not to be changed is passed over."""
    stop_after_failures: int | None = None
    """No app is begun once so many have failed in the run."""
    inspect: Callable[[str, Path], str | None] = lambda _name, _path: None
    """Called with each canary and its app.db when it is upgraded; returns what is wrong."""

    def canaries_of(self, plan: Plan) -> frozenset[str]:
        """Return the apps that come first; raises `UnknownAppError`."""
        plan.registry.require(self.canary_apps)
        work = [*plan.to_split, *plan.to_upgrade]
        sizes = {} if not self.canary else {name: _size(plan, name) for name in work}
        smallest = sorted(sizes, key=lambda name: (sizes[name], name))[: self.canary]
        return frozenset(smallest) | set(self.canary_apps).intersection(work)


def _size(plan: Plan, name: str) -> int:
    is_there = plan.states[name].state is not State.MISSING
    return size_bytes(plan.place.app_db(name)) if is_there else 0


WITHOUT: Final = Caution()

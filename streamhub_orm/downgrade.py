"""`streamhub-db downgrade`: databases of an installation down to an older revision."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.fleet import walk
from streamhub_orm.migrations.downgrading import (
    downgrade_file,
    rehearse_downgrade,
    require_below_head,
)
from streamhub_orm.migrations.global_database import downgrade_global_on_server
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from streamhub_orm.fleet import Outcome
    from streamhub_orm.migrations.upgrading import Upgraded


@dataclass(frozen=True)
class Downgraded:
    """Outcome for one database."""

    name: str
    """`global`, or the name of the app."""
    from_revision: str | None = None
    to_revision: str | None = None
    backup: Path | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return one entry of `downgrade --json`."""
        return {
            "database": self.name,
            "from": self.from_revision,
            "to": self.to_revision,
            "backup": None if self.backup is None else str(self.backup),
            "error": self.error,
        }


def downgrade_installation(  # noqa: PLR0913 - one keyword for each option of the command
    data_dir: Path,
    revision: str,
    *,
    apps: Sequence[str] = (),
    all_apps: bool = False,
    drop_rows: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Downgraded]:
    """Yield the outcome for each app named, or for the global database where none is.

    One file that is refused does not stop the others. A `dry_run` works on scratch copies, and on a
    server in a transaction that is rolled back. `progress` is told how many are done, and of how
    many. Raises a
    `StreamHubError` before anything is touched where the installation, the revision or an app's
    name is unknown, or an upgrade runs.
    """
    place = DataDir.find(data_dir)
    require_below_head(APP if all_apps or apps else GLOBAL, revision)
    change = rehearse_downgrade if dry_run else downgrade_file
    with nullcontext() if dry_run else run_lock(place.lock_path):
        registry = read_registry(place)
        registry.require(apps)
        names = list(registry.ids) if all_apps else list(apps)
        world = APP if names or all_apps else GLOBAL

        def downgrade(name: str) -> Upgraded:
            if world is GLOBAL and place.global_url is not None:
                return downgrade_global_on_server(
                    place, revision, drop_rows=drop_rows, dry_run=dry_run
                )
            path = place.global_db if world is GLOBAL else place.app_db(name)
            return change(path, world, revision, drop_rows=drop_rows)

        for outcome in walk(names if world is APP else [world.name], downgrade, progress):
            yield _reported(outcome)


def _reported(outcome: Outcome[Upgraded]) -> Downgraded:
    done = outcome.value
    if done is None:
        return Downgraded(outcome.app, error=str(outcome.error))
    return Downgraded(outcome.app, done.from_revision, done.to_revision, done.backup)

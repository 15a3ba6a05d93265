"""`streamhub-db downgrade`: databases of an installation down to an older revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.downgrading import downgrade_file, require_below_head
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Downgraded:
    """What became of one database."""

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


def downgrade_installation(
    data_dir: Path,
    revision: str,
    *,
    apps: Sequence[str] = (),
    all_apps: bool = False,
    drop_rows: bool = False,
) -> Iterator[Downgraded]:
    """Yield the outcome for each app named, or for the global database where none is.

    One file that is refused does not stop the others. Raises a `StreamHubError` before anything
    is touched where the installation, the revision or an app's name is unknown, or an upgrade runs.
    """
    place = DataDir.find(data_dir)
    require_below_head(APP if all_apps or apps else GLOBAL, revision)
    with run_lock(place.lock_path, like=place.global_db):
        registry = read_registry(place.global_db)
        registry.require(apps)
        for name in list(registry.ids) if all_apps else apps:
            yield _outcome(place, name, revision, drop_rows=drop_rows)
        if not all_apps and not apps:
            yield _outcome(place, None, revision, drop_rows=drop_rows)


def _outcome(place: DataDir, app: str | None, revision: str, *, drop_rows: bool) -> Downgraded:
    world = GLOBAL if app is None else APP
    name = app or world.name
    try:
        path = place.global_db if app is None else place.app_db(app)
        done = downgrade_file(path, world, revision, like=place.global_db, drop_rows=drop_rows)
    except StreamHubError as error:
        return Downgraded(name, error=str(error))
    return Downgraded(name, done.from_revision, done.to_revision, done.backup)

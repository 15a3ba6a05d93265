"""`streamhub-db status`: the state of every database, each opened read-only."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir, require_app_name
from streamhub_orm.errors import ControlPlaneError, DatabaseFileError
from streamhub_orm.fleet import walk
from streamhub_orm.migrations.global_database import find_promotion, look_at_global
from streamhub_orm.migrations.states import (
    FileState,
    State,
    imports_pending,
    look_at_app,
    unusable,
)
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.registry import Registry


FAILED_STATES = {State.BROKEN, State.UNREADABLE, State.LOST, State.NEWER}


@dataclass
class Status:
    """The state of the global database and of each registered app."""

    data_dir: Path
    global_: FileState
    apps: dict[str, FileState] = field(default_factory=dict)
    split_done: bool | None = None
    """None where the global database cannot be read."""
    server: str | None = None
    """Server of the global database, without its password; None where that is a file."""
    promoted: str | None = None
    """Where the rows are by now, in the words of the file's fence; None where they are here."""

    @property
    def ok(self) -> bool:
        """True where every file can be used by this release."""
        states = [self.global_, *self.apps.values()]
        return not any(found.state in FAILED_STATES for found in states)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `status --json` prints."""
        return {
            "ok": self.ok,
            "data_dir": str(self.data_dir),
            "split_done": self.split_done,
            "global": {
                "revision": self.global_.revision,
                "head": GLOBAL.head,
                "state": str(self.global_.state),
                "server": self.server,
                "promoted": self.promoted,
            },
            "apps": [_app_json(name, found) for name, found in self.apps.items()],
        }


def read_status(
    data_dir: Path, *, progress: Callable[[int, int], None] = lambda *_: None
) -> Status:
    """Look at every database; raises `DataDirError` where there is no installation.

    `progress` is told how many apps are done, and of how many.
    """
    place = DataDir.find(data_dir)
    found = look_at_global(place)
    server = None if place.global_url is None else str(place.global_url)
    try:
        if server is not None and found.error is not None:
            raise found.error
        registry = read_registry(place)
    except (DatabaseFileError, ControlPlaneError) as error:
        state = found.state if found.error is not None else State.BROKEN
        return Status(place.root, FileState(state, found.revision, error=error), server=server)
    look = partial(_look_at_app, place, registry)
    apps = {
        outcome.app: outcome.value or unusable(outcome.error)
        for outcome in walk(registry.ids, look, progress)
    }
    promoted = find_promotion(place)
    return Status(place.root, found, apps, registry.split_done, server, promoted)


def _look_at_app(place: DataDir, registry: Registry, name: str) -> FileState:
    require_app_name(name, f"a row of table apps in {registry.source}")
    recorded = registry.is_recorded(name)
    return look_at_app(place.app_db(name), name, recorded=recorded).without_account()


def _app_json(name: str, found: FileState) -> dict[str, object]:
    return {
        "app": name,
        "revision": found.revision,
        "head": APP.head,
        "state": str(found.state),
        "pending_import": imports_pending(found),
        "error": str(found.error) if found.state in FAILED_STATES else None,
    }

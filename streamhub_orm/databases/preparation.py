"""Bringing a database to where sessions may use it, before any session does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamhub_orm.databases.registry import RegistryReader
from streamhub_orm.databases.sessions import GLOBAL_INFO, app_info
from streamhub_orm.errors import SchemaOutdatedError
from streamhub_orm.migrations.app_files import bring_app_to_head, is_done
from streamhub_orm.migrations.global_file import bring_global_to_head
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.upgrading import look_for_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.migrations.worlds import World


@dataclass(frozen=True)
class Prepared:
    """A database file at head."""

    path: Path
    info: dict[str, Any]
    """What `session.info` holds in its sessions."""
    migrated: bool
    """Whether it was created, upgraded or given legacy rows just now."""


class Preparation:
    """Prepares the databases of one installation; the calling thread does all the work."""

    def __init__(self, place: DataDir, *, auto_upgrade: bool) -> None:
        """Without `auto_upgrade`, raise `SchemaOutdatedError` for a file that is not at head."""
        self.registry = RegistryReader(place)
        self._place = place
        self._auto_upgrade = auto_upgrade

    def app(self, name: str) -> Prepared:
        """Prepare an app.db; raises `UnknownAppError` or a `DatabaseFileError`."""
        path = self._place.app_db(name)
        files = self.registry.find_legacy_files(name)
        info = app_info(name, files.app_id, self.registry.find_name)
        if self._auto_upgrade:
            return Prepared(path, info, bring_app_to_head(path, files).changed)
        found = look_for_upgrade(path, APP, recover=False)
        if not is_done(found):
            raise _outdated(path, found.revision, APP)
        return Prepared(path, info, migrated=False)

    def global_db(self) -> Prepared:
        """Prepare the global database; raises a `DatabaseFileError`."""
        path = self._place.global_db
        if self._auto_upgrade:
            return Prepared(path, GLOBAL_INFO, bring_global_to_head(path).changed)
        found = look_for_upgrade(path, GLOBAL, recover=False)
        if found.state is not State.CURRENT:
            raise _outdated(path, found.revision, GLOBAL)
        return Prepared(path, GLOBAL_INFO, migrated=False)


def _outdated(path: Path, revision: str | None, world: World) -> SchemaOutdatedError:
    return SchemaOutdatedError(
        path,
        f"revision {revision or 'none'}, or imports not done",
        f"{world.head} with its legacy rows imported",
        "Run `streamhub-db upgrade`.",
    )

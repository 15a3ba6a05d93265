"""Opener: brings a database to where sessions may use it, before any session does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.databases.sessions import GLOBAL_INFO, app_info
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.fence import refuse_fence
from streamhub_orm.errors import (
    ControlPlaneError,
    ControlPlaneOutdatedError,
    DatabaseFileError,
    LockedDatabaseError,
    ReadOnlyDatabaseError,
    SchemaOutdatedError,
)
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.global_file import refuse_empty_global, upgrade_global_file
from streamhub_orm.migrations.states import State, is_done, look_at, look_for_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases.open_server import OpenServer
    from streamhub_orm.migrations.worlds import World
    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.registry import OpenRegistry

_AWAY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class ReadyFile:
    """A database file at head."""

    path: Path
    info: dict[str, Any]
    """What `session.info` holds in its sessions."""
    migrated: bool
    """True where it was created, upgraded or given legacy rows just now."""
    is_registered: Callable[[], bool] = lambda: True
    """Tells whether the app is still the one that it was when the file was made ready."""


class Opener:
    """Brings the databases of one installation to head; the calling thread does all the work."""

    def __init__(self, place: DataDir, registry: OpenRegistry, *, auto_upgrade: bool) -> None:
        """Without `auto_upgrade`, raise `SchemaOutdatedError` for a file that is not at head."""
        self.registry = registry
        self._place = place
        self._auto_upgrade = auto_upgrade
        self._ask_again_at: float | None = None
        """Until then the registry is taken to be away."""

    def app(self, name: str) -> ReadyFile:
        """Return an app.db that sessions may use.

        Raises `UnknownAppError` or a `DatabaseFileError`.
        """
        path = self._place.app_db(name)
        legacy = self.registry.find_legacy_files(name)
        info = app_info(name, legacy.app_id, self.registry.find_name)
        if self._auto_upgrade:
            furnish = partial(self._furnish, path.parent, name)
            migrated = upgrade_app_file(path, legacy, before_creating=furnish).changed
            if not legacy.is_recorded:
                self._record(legacy.app_id, name)
        else:
            _require_done(path, APP)
            migrated = False
        return ReadyFile(path, info, migrated, partial(self._is_app, name, legacy.app_id))

    def _furnish(self, folder: Path, name: str) -> None:
        """Make config.yaml and media folders of an app that never had a database."""
        from streamhub_orm.settings import new_app_settings  # noqa: PLC0415 - YAML
        from streamhub_orm.settings.core_settings import merged  # noqa: PLC0415 - YAML
        from streamhub_orm.settings.new_apps import furnish  # noqa: PLC0415 - YAML

        furnish(folder, name, merged(new_app_settings(name), self.registry.find_shown_names(name)))

    def _is_app(self, name: str, app_id: int) -> bool:
        """Tell whether an app is still registered; yes where the registry cannot be read now.

        To find a server away may take seconds. From then on one session in ten seconds does.
        """
        if self._ask_again_at is not None:
            if monotonic() < self._ask_again_at:
                return True
            self._ask_again_at = monotonic() + _AWAY_SECONDS
        try:
            found = self.registry.find_id(name) == app_id
        except (DatabaseFileError, ControlPlaneError):
            self._ask_again_at = monotonic() + _AWAY_SECONDS
            return True
        self._ask_again_at = None
        return found

    def _record(self, app_id: int, name: str) -> None:
        """Record that the app has an app.db, in a global database that an upgrade has adopted.

        Where that cannot be had now, the next open does it. The app can be used without: the record
        only tells, should the file go missing, that it was there.
        """
        path = self._place.global_db
        if self._place.global_url is not None:
            with suppress(ControlPlaneError):
                self.registry.record_apps({app_id: name})
            return
        with suppress(LockedDatabaseError, ReadOnlyDatabaseError):
            if look_at(path, GLOBAL).revision is not None:
                self.registry.record_apps({app_id: name})

    def server(self, engine: ServerEngine) -> OpenServer:
        """Return the control plane, which sessions may use; raises a `ControlPlaneError`."""
        from streamhub_orm.databases.open_server import OpenServer  # noqa: PLC0415 - an extra
        from streamhub_orm.migrations.server import (  # noqa: PLC0415 - an extra
            require_server,
            upgrade_server,
        )

        found = require_server(engine)
        if self._auto_upgrade:
            return OpenServer(engine, migrated=upgrade_server(engine).changed)
        if found.state is not State.CURRENT:
            raise ControlPlaneOutdatedError(
                engine.server,
                f"revision {found.revision}",
                GLOBAL.head,
                "Run `streamhub-db upgrade`.",
            )
        return OpenServer(engine, migrated=False)

    def global_db(self) -> ReadyFile:
        """Return the global database, which sessions may use; raises a `DatabaseFileError`."""
        path = self._place.global_db
        refuse_empty_global(self._place)
        with reading(path) as connection:
            refuse_fence(connection, path)
        if self._auto_upgrade:
            return ReadyFile(path, GLOBAL_INFO, upgrade_global_file(path).changed)
        _require_done(path, GLOBAL)
        return ReadyFile(path, GLOBAL_INFO, migrated=False)


def _require_done(path: Path, world: World) -> None:
    found = look_for_upgrade(path, world, recover=False)
    if not is_done(found, world):
        raise SchemaOutdatedError(
            path,
            f"revision {found.revision or 'none'}, or imports not done",
            f"{world.head} with its legacy rows imported",
            "Run `streamhub-db upgrade`.",
        )

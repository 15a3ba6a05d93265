"""The registry on a server: the table `apps` of a control plane."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.errors import UnknownAppError
from streamhub_orm.legacy.bookkeeping import APP_DB_KEY, recorded_ids
from streamhub_orm.legacy.sources import NO_ROWS, LegacyFiles
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.registry.entries import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streamhub_orm.data_dir import DataDir

_PLATFORM: Final = "platform"
_READY: Final = 1
"""Connections of an engine of its own that stay open."""
_IDS: Final = sa.text("SELECT name, id FROM apps ORDER BY id")
_OF_TENANT: Final = sa.text(
    "SELECT name FROM apps WHERE tenant_id = :tenant OR (:owns_rest AND tenant_id IS NULL) "
    "ORDER BY id"
)
_RECORDED: Final = sa.text("SELECT key FROM _streamhub_meta WHERE starts_with(key, :prefix)")
_ONE: Final = sa.text("""
    SELECT id, display_name, livekit_room_prefix, recorded.key IS NOT NULL
    FROM apps LEFT JOIN _streamhub_meta recorded ON recorded.key = :prefix || id::text
    WHERE name = :name""")
_NAME: Final = sa.text("SELECT name FROM apps WHERE id = :id")
_ID: Final = "SELECT id FROM apps WHERE name = %(name)s"
_RECORD: Final = sa.text("""
    INSERT INTO _streamhub_meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING""")


class ServerRegistry:
    """Look-ups of apps on a server, each by a transaction of its own."""

    def __init__(self, place: DataDir, engine: ServerEngine | None = None) -> None:
        """Look by `engine`, or by one of its own, which `close` ends; nothing is opened."""
        assert place.global_url is not None  # noqa: S101 - the caller looked
        self._place = place
        self._engine = engine or ServerEngine(place.global_url, ready=_READY)
        self._owns_engine = engine is None

    def read(self) -> Registry:
        """Read all of it."""
        with self._reading() as connection:
            ids = {str(name): int(id_) for name, id_ in connection.execute(_IDS)}
            keys = connection.execute(_RECORDED, {"prefix": APP_DB_KEY}).scalars()
            return Registry(self._engine.server, ids, split_done=True, recorded=recorded_ids(keys))

    def list_names_of_tenant(self, tenant_id: str) -> list[str]:
        """Return the names of a tenant's apps; the platform also owns what no tenant does."""
        values = {"tenant": tenant_id, "owns_rest": tenant_id == _PLATFORM}
        with self._reading() as connection:
            return [str(name) for name in connection.execute(_OF_TENANT, values).scalars()]

    def find_legacy_files(self, name: str) -> LegacyFiles:
        """Return id and legacy rows of an app; raises `UnknownAppError` if it is not registered."""
        vods_db = self._place.legacy_db(name)
        with self._reading() as connection:
            return legacy_files(connection, self._place, name, vods_db=vods_db)

    def find_name(self, app_id: int) -> str | None:
        """Return the name of the app with this id; None where no app has it."""
        with self._looking() as connection:
            found = connection.execute(_NAME, {"id": app_id}).scalar()
        return None if found is None else str(found)

    def find_id(self, name: str) -> int | None:
        """Return the id of the app of this name; None where no app has it."""
        with self._looking() as connection:
            row = connection.dialect.first_row(connection, _ID, {"name": name})  # type: ignore[attr-defined]
        return None if row is None else int(row[0])

    def find_shown_names(self, name: str) -> dict[str, str]:
        """Return display name and room prefix of an app; the keys are those of config.yaml."""
        row = self._find(name)
        if row is None:
            return {}
        found: dict[str, str | None] = dict(
            zip(("display_name", "room_prefix"), row[1:3], strict=True)
        )
        return {key: value for key, value in found.items() if value is not None}

    def record_apps(self, ids: Mapping[int, str]) -> None:
        """Record that apps have an app.db, by id and name; see `legacy.bookkeeping.record_apps`."""
        values = [{"key": f"{APP_DB_KEY}{app_id}", "value": name} for app_id, name in ids.items()]
        with self._engine.connect() as connection, connection.begin():
            connection.execute(_RECORD, values)

    def close(self) -> None:
        """Close what it opened."""
        if self._owns_engine:
            self._engine.close()

    def idle_connections(self) -> list[Any]:
        """Return no connection: the engine leaves its own to the parent at a fork."""
        return []

    def leave_to_parent(self) -> None:
        """In a child after fork, forget the connections of an engine of its own."""
        if self._owns_engine:
            self._engine.leave_to_parent()

    def _find(self, name: str) -> sa.Row[Any] | None:
        with self._looking() as connection:
            return connection.execute(_ONE, {"name": name, "prefix": APP_DB_KEY}).one_or_none()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._engine.connect(read_only=True) as connection, connection.begin():
            yield connection

    def _looking(self) -> sa.Connection:
        """Return a connection for one SELECT."""
        return self._engine.connect(read_only=True, one_look=True)


def legacy_files(
    connection: sa.Connection,
    place: DataDir,
    name: str,
    *,
    vods_db: Any = None,  # noqa: ANN401
) -> LegacyFiles:
    """Do what `ServerRegistry.find_legacy_files` does, in the caller's transaction."""
    row = connection.execute(_ONE, {"name": name, "prefix": APP_DB_KEY}).one_or_none()
    if row is None:
        names = [str(it) for it, _ in connection.execute(_IDS)]
        raise UnknownAppError(name, str(place.global_url), names)
    app_id, _, _, is_recorded = row
    return LegacyFiles(
        name, app_id, None, vods_db or place.legacy_db(name), lambda: NO_ROWS, is_recorded
    )

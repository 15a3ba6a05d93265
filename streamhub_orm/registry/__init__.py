"""Registry of the apps: the global table `apps`, in a file or on a server.

All functions take the place of an installation. They raise a `DatabaseFileError` where the file
cannot be read, and a `ControlPlaneError` where the server cannot be asked.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from streamhub_orm.engine.connections import reading
from streamhub_orm.legacy import bookkeeping
from streamhub_orm.registry.entries import Registry
from streamhub_orm.registry.files import (
    OF_PLATFORM,
    OF_TENANT,
    RegistryConnection,
    list_names_of_tenant,
    look_up_legacy_files,
    read_app_ids,
    read_registry_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.legacy.sources import LegacyFiles
    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.registry.server import ServerRegistry

__all__ = [
    "OF_PLATFORM",
    "OF_TENANT",
    "OpenRegistry",
    "Registry",
    "RegistryConnection",
    "find_legacy_files",
    "find_legacy_files_in",
    "is_registered",
    "list_app_names",
    "list_app_names_of_tenant",
    "look_up_legacy_files",
    "open_registry",
    "open_server_registry",
    "read_app_ids",
    "read_registry",
    "read_registry_of",
    "record_apps",
]


class OpenRegistry(Protocol):
    """Look-ups of single apps by a connection that stays open."""

    def find_legacy_files(self, name: str) -> LegacyFiles:
        """Return id and legacy rows of an app; raises `UnknownAppError` if it is not registered."""

    def find_name(self, app_id: int) -> str | None:
        """Return the name of the app with this id; None where no app has it."""

    def find_id(self, name: str) -> int | None:
        """Return the id of the app of this name; None where no app has it."""

    def find_shown_names(self, name: str) -> dict[str, str]:
        """Return display name and room prefix of an app, as far as its row has them as texts."""

    def record_apps(self, ids: Mapping[int, str]) -> None:
        """Record that apps have an app.db, by id and name, without waiting for a lock."""

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return the connections to files that nobody has in hand."""

    def leave_to_parent(self) -> None:
        """In a child after fork, forget the connections that `idle_connections` leaves out."""

    def close(self) -> None:
        """Close the connection; the next look-up opens one again."""


def read_registry(place: DataDir) -> Registry:
    """Read the whole registry."""
    if place.global_url is None:
        return read_registry_of(place.global_db)
    with closing(open_server_registry(place)) as registry:
        return registry.read()


def list_app_names(place: DataDir) -> list[str]:
    """Return the names of all registered apps, in the order of their ids."""
    return list(read_registry(place).ids)


def list_app_names_of_tenant(place: DataDir, tenant_id: str) -> list[str]:
    """Return the names of a tenant's apps, in the order of their ids; empty for an unknown one."""
    if place.global_url is None:
        return list_names_of_tenant(place.global_db, tenant_id)
    with closing(open_server_registry(place)) as registry:
        return registry.list_names_of_tenant(tenant_id)


def find_legacy_files(place: DataDir, name: str) -> LegacyFiles:
    """Return where the legacy rows of one app may lie; raises `UnknownAppError`."""
    if place.global_url is None:
        with reading(place.global_db) as connection:
            return look_up_legacy_files(connection, place, name)
    with closing(open_server_registry(place)) as registry:
        return registry.find_legacy_files(name)


def is_registered(place: DataDir, name: str) -> bool:
    """Tell whether there is an app of this name."""
    with closing(open_registry(place)) as registry:
        return registry.find_id(name) is not None


def find_legacy_files_in(connection: sa.Connection, place: DataDir, name: str) -> LegacyFiles:
    """Do the same in the transaction of a session on the global database."""
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        return look_up_legacy_files(raw, place, name)
    from streamhub_orm.registry.server import legacy_files  # noqa: PLC0415 - an extra

    return legacy_files(connection, place, name)


def record_apps(place: DataDir, ids: Mapping[int, str]) -> None:
    """Record that apps have an app.db, by id and name: should it be missing later, it is lost."""
    if place.global_url is None:
        bookkeeping.record_apps(place.global_db, ids)
        return
    with closing(open_server_registry(place)) as registry:
        registry.record_apps(ids)


def open_registry(place: DataDir, engine: ServerEngine | None = None) -> OpenRegistry:
    """Return what looks up single apps, on a server by `engine` or one of its own."""
    if place.global_url is None:
        return RegistryConnection(place)
    return open_server_registry(place, engine)


def open_server_registry(place: DataDir, engine: ServerEngine | None = None) -> ServerRegistry:
    """Return the registry of a control plane; psycopg is imported only where there is one."""
    from streamhub_orm.registry.server import ServerRegistry  # noqa: PLC0415

    return ServerRegistry(place, engine)

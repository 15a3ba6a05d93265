"""Which apps are registered: of the server, or of one tenant; read without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import reading
from streamhub_orm.errors import UnknownStructureError

if TYPE_CHECKING:
    import sqlite3

    from streamhub_orm.data_dir import DataDir

_ALL: Final = "SELECT name FROM apps ORDER BY id"
# The platform also owns what no tenant does: rows from before tenancy, and NULL.
OF_TENANT: Final = "SELECT name FROM apps WHERE tenant_id = ? ORDER BY id"
OF_PLATFORM: Final = "SELECT name FROM apps WHERE coalesce(tenant_id, ?1) = ?1 ORDER BY id"
_PLATFORM: Final = "platform"


def list_app_names(place: DataDir) -> list[str]:
    """Return the names of all registered apps, in the order of their ids.

    Raises a `DatabaseFileError` where the global database cannot be read.
    """
    with reading(place.global_db) as connection:
        _require_registry(connection, place)
        return [name for (name,) in connection.execute(_ALL)]


def list_app_names_of_tenant(place: DataDir, tenant_id: str) -> list[str]:
    """Return the names of a tenant's apps, in the order of their ids; empty for an unknown one.

    Before tenancy every app is the platform's. Raises as `list_app_names` does.
    """
    with reading(place.global_db) as connection:
        if "tenant_id" not in _require_registry(connection, place):
            rows = connection.execute(_ALL).fetchall() if tenant_id == _PLATFORM else []
        else:
            query = OF_PLATFORM if tenant_id == _PLATFORM else OF_TENANT
            rows = connection.execute(query, (tenant_id,)).fetchall()
    return [name for (name,) in rows]


def _require_registry(connection: sqlite3.Connection, place: DataDir) -> set[str]:
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('apps')")}
    if not columns:
        raise UnknownStructureError(place.global_db, ["table apps is missing"])
    return columns

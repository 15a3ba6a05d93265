"""The control plane as `Databases` uses it: connections of a pool, leased for a session each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamhub_orm.databases.sessions import GLOBAL_INFO
from streamhub_orm.postgresql.engine import StoppedServerConnection

if TYPE_CHECKING:
    import sqlite3

    import sqlalchemy as sa

    from streamhub_orm.postgresql.engine import ServerEngine


class OpenServer:
    """Connections to one server; what `OpenDatabase` is for a file."""

    def __init__(self, engine: ServerEngine, *, migrated: bool) -> None:
        """Take the engine, which `close` ends."""
        self.info: dict[str, Any] = GLOBAL_INFO
        self.migrated = migrated
        self.path = engine.server
        self._engine = engine

    def take(self, *, read_only: bool, one_look: bool) -> sa.Connection:
        """Return a connection outside of any transaction; `give_back` must follow."""
        return self._engine.connect(read_only=read_only, one_look=one_look)

    def give_back(self, connection: sa.Connection) -> None:
        """Give it to the pool, or close it where its work was stopped."""
        if not connection.invalidated and isinstance(
            connection.connection.driver_connection, StoppedServerConnection
        ):
            connection.invalidate()
        connection.close()

    def leave(self) -> None:
        """Do nothing: a server is not exchanged like a file."""

    def require_in_place(self) -> None:
        """Do nothing: what a server has committed is not lost with a file."""

    def close(self) -> None:
        """Close every connection; one that is in use is closed when it is given back."""
        self._engine.close()

    def idle_connections(self) -> list[sqlite3.Connection]:
        """Return none: a child after fork forgets the pool, and opens connections of its own."""
        return []

"""The control plane as `Databases` uses it: connections of a pool, leased for a session each."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import psycopg

from streamhub_orm.databases.sessions import GLOBAL_INFO
from streamhub_orm.postgresql.dialect import StoppedServerConnection, server_connection
from streamhub_orm.postgresql.faults import fault_of
from streamhub_orm.postgresql.fence import refuse_demoted

if TYPE_CHECKING:
    import sqlite3

    import sqlalchemy as sa

    from streamhub_orm.postgresql.engine import ServerEngine


_IN_USE_SECONDS: Final = 1.0
"""Time for which a server is taken to hold the global database; then it is asked again."""


class OpenServer:
    """Connections to one server; what `OpenDatabase` is for a file."""

    def __init__(self, engine: ServerEngine, *, migrated: bool) -> None:
        """Take the engine, which `close` ends."""
        self.info: dict[str, Any] = GLOBAL_INFO
        self.migrated = migrated
        self.path = engine.server
        self._engine = engine
        self._look_again_at = monotonic() + _IN_USE_SECONDS

    def take(self, *, read_only: bool, one_look: bool = False) -> sa.Connection:
        """Return a connection outside of any transaction; `give_back` must follow.

        Raises `ControlPlaneDemotedError` within a second where the rows have left the server.
        """
        connection = self._engine.connect(read_only=read_only, one_look=one_look)
        now = monotonic()
        if now >= self._look_again_at:
            self._look_again_at = now + _IN_USE_SECONDS
            try:
                self._require_in_use(connection)
            except BaseException:
                self._look_again_at = now
                connection.close()
                raise
        return connection

    def _require_in_use(self, connection: sa.Connection) -> None:
        raw = server_connection(connection)
        try:
            refuse_demoted(raw, self._engine.server)
        except psycopg.Error as error:
            raise fault_of(error, self._engine.server) or error from error

    def wait_for_turn(self, connection: sa.Connection, turn: str) -> None:
        """Wait until no other session holds the same turn, which this one does until `give_back`.

        Before a transaction begins, whose snapshot would be of before the wait.
        """
        self._engine.lock(connection, turn)

    def give_back(self, connection: sa.Connection) -> None:
        """Give it to the pool, or close it where its work was stopped."""
        if not connection.invalidated:
            if isinstance(connection.connection.driver_connection, StoppedServerConnection):
                connection.invalidate()
            else:
                self._engine.unlock(connection)
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

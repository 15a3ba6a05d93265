"""SQLAlchemy engine on a control plane: a pool that heals, and our errors for its faults."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psycopg
import sqlalchemy as sa

from streamhub_orm.engine.engines import READ_ONLY
from streamhub_orm.errors import (
    ControlPlaneBusyError,
    ControlPlaneReadOnlyError,
    StreamHubError,
)
from streamhub_orm.postgresql.dialect import (
    CONNECT_SECONDS,
    SERVER,
    ServerConnection,
    ServerDialect,
)
from streamhub_orm.postgresql.faults import fault_of, hide_values, refusal_of
from streamhub_orm.schema.json_text import json_from_text, json_to_server

if TYPE_CHECKING:
    from streamhub_orm.server_url import ServerUrl

READY_CONNECTIONS: Final = 8
"""Connections of one process that stay open while nobody uses them; as many more may be open."""
_WAIT_SECONDS: Final = 5.0
_LOOK_AFTER_SECONDS: Final = 1.0
"""Idle for longer, a connection is tried before it is used: its server may be without power."""
_USED_AT: Final = "used_at"
_LOCKED: Final = "locked"
_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
"""`streamhub_orm.services.core.take_turn` takes the same lock within a transaction."""
_UNLOCK: Final = "SELECT pg_advisory_unlock_all()"
_LOCK_TIMEOUT: Final = "-c lock_timeout=5s"
"""A session waits for another one as long as it would for the write lock of a file."""
APPLICATION: Final = "streamhub-orm"
"""Name of our connections in pg_stat_activity."""


class _Connection(sa.Connection):
    """A connection that raises our own errors; see the one of `streamhub_orm.engine.engines`."""

    def _handle_dbapi_exception(
        self,
        e: BaseException,
        *details: Any,  # noqa: ANN401 - SQLAlchemy's
        **options: Any,  # noqa: ANN401 - SQLAlchemy's
    ) -> NoReturn:
        if isinstance(e, StreamHubError):
            raise e
        hide_values(e)
        try:
            super()._handle_dbapi_exception(e, *details, **options)
        except sa.exc.DBAPIError as error:
            found = fault_of(error.orig, self.engine.info_server)  # type: ignore[attr-defined,arg-type]
            if found is None or self._refuses_writes(found):
                raise
            raise found from None

    def _refuses_writes(self, found: StreamHubError) -> bool:
        """Tell whether it is the session that is read-only, and not the server."""
        reads = not self.invalidated and self.info.get(READ_ONLY, False)
        return reads and isinstance(found, ControlPlaneReadOnlyError)


def connect(url: ServerUrl) -> ServerConnection:
    """Return a connection past any pool, in autocommit; raises psycopg's errors."""
    dialect: Any = ServerDialect
    _, options = dialect().create_connect_args(url.url)
    wanted: dict[str, Any] = options | _connect_arguments(url)
    return ServerConnection.connect(**wanted)


class ServerEngine:
    """One engine on a control plane, with a pool that heals by itself.

    Values never stand in an error or a log: among them are hashes and keys.
    """

    def __init__(self, url: ServerUrl, *, ready: int = READY_CONNECTIONS) -> None:
        """Make the engine; nothing is opened."""
        self.url = url
        self.server = str(url)
        self._most = 2 * ready
        self.engine = sa.create_engine(
            url.url.set(drivername="postgresql+streamhub"),
            pool_size=ready,
            max_overflow=ready,
            pool_timeout=_WAIT_SECONDS,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            hide_parameters=True,
            json_serializer=json_to_server,
            json_deserializer=json_from_text,
            connect_args=_connect_arguments(url),
        )
        self.engine._connection_cls = _Connection  # noqa: SLF001 - as there
        self.engine.info_server = self.server  # type: ignore[attr-defined]
        sa.event.listen(self.engine, "connect", self._note)
        sa.event.listen(self.engine, "checkout", _look)
        sa.event.listen(self.engine, "checkin", _note_use)

    def connect(self, *, read_only: bool = False, one_look: bool = False) -> sa.Connection:
        """Return a connection outside of any transaction; raises a `ControlPlaneError`.

        With `one_look` it may run one SELECT, which is a snapshot by itself: that takes one round
        trip to the server, where BEGIN and ROLLBACK make it three.
        """
        try:
            connection = self.engine.connect()
        except sa.exc.TimeoutError as error:
            raise ControlPlaneBusyError(
                self.server,
                f"all {self._most} connections that may be open in use for {_WAIT_SECONDS:g} s",
                "one to be given back",
                "End sessions sooner, and do not open one inside another.",
            ) from error
        except sa.exc.DBAPIError as error:
            raise refusal_of(error.orig, self.server) from None
        connection.info[READ_ONLY] = read_only
        driver_connection = connection.connection.driver_connection
        driver_connection.statements_left = 1 if one_look else None  # type: ignore[union-attr]
        return connection

    def lock(self, connection: sa.Connection, turn: str) -> None:
        """Take the lock of a text, outside of any transaction; raises `ControlPlaneBusyError`."""
        raw = connection.connection.driver_connection
        connection.info[_LOCKED] = True
        try:
            raw.execute(_LOCK, (turn,))  # type: ignore[union-attr]
        except psycopg.Error as error:
            connection.invalidate()
            raise (fault_of(error, self.server) or refusal_of(error, self.server)) from None

    def unlock(self, connection: sa.Connection) -> None:
        """Give back the locks of `lock`."""
        if connection.info.pop(_LOCKED, False):
            try:
                connection.connection.driver_connection.execute(_UNLOCK)  # type: ignore[union-attr]
            except psycopg.Error:
                connection.invalidate()  # which ends them too

    def close(self) -> None:
        """Close every connection that nobody has in hand."""
        self.engine.dispose()

    def leave_to_parent(self) -> None:
        """In a child after fork, forget the connections without closing them."""
        self.engine.dispose(close=False)

    def _note(self, _: object, record: sa.pool.ConnectionPoolEntry) -> None:
        record.info[SERVER] = self.server


_DEFAULTS: Final = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": APPLICATION,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What a URL does not say otherwise. By the last four a network that swallows packets ends a
statement after 10 s, and a wait for its answer after 25; TCP's own defaults take hours."""


def _connect_arguments(url: ServerUrl) -> dict[str, Any]:
    """Return what psycopg needs beside what the URL says, which comes first."""
    given = url.url.query
    own = (os.environ.get("PGOPTIONS", ""), given.get("options", ""))
    options = [_LOCK_TIMEOUT, *own, "-c timezone=UTC"]
    chosen = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return chosen | {"autocommit": True, "options": " ".join(map(str, filter(None, options)))}


def _note_use(_: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _look(connection: ServerConnection, record: sa.pool.ConnectionPoolEntry, _: object) -> None:
    used_at = record.info.get(_USED_AT)
    if used_at is None:
        return
    if connection.is_lost():
        raise sa.exc.DisconnectionError
    if time.monotonic() - used_at < _LOOK_AFTER_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise sa.exc.DisconnectionError from error

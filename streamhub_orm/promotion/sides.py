"""The two sides of a move: the file with its mark and fence, and the server in a transaction."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from streamhub_orm.engine.connections import (
    begin_amid_writers,
    open_for_migration,
    reading,
    translated,
)
from streamhub_orm.engine.fence import lift_fence, raise_fence
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import (
    CommitInDoubtError,
    ControlPlaneFaultError,
    ControlPlaneReadOnlyError,
    ControlPlaneStatementError,
    ControlPlaneTakenError,
)
from streamhub_orm.legacy.bookkeeping import SPLIT_DONE
from streamhub_orm.legacy.meta import delete_value, read_value, write_value
from streamhub_orm.migrations.server import read_server_revision
from streamhub_orm.migrations.states import State
from streamhub_orm.postgresql.dialect import server_connection
from streamhub_orm.postgresql.faults import fault_of, said_by
from streamhub_orm.postgresql.fence import MARK_KEY, Mark, Move, list_tables, read_mark
from streamhub_orm.promotion.rows import OF_THE_FILE, rows_of_tables
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.promotion.copying import Server

_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_STEADY: Final = (
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL timezone = 'UTC'",
    # What the file is told of must be on the server's disk.
    """SELECT set_config('synchronous_commit', 'on', true)
       WHERE current_setting('synchronous_commit') = 'off'""",
)
_START: Final = {
    "tenants": "id = 'platform'",
    "quotas": "tenant_id = 'platform'",
    "_streamhub_meta": f"key IN {(SPLIT_DONE, *OF_THE_FILE)}",
}
"""The rows that the start of the history makes on a server; see alembic/postgresql_g0014.sql."""


def present() -> str:
    """Return the time as a mark has it."""
    return utc_now().isoformat(timespec="seconds")


def place_of(path: Path) -> str:
    """Return what a server says of a file: its machine and path."""
    return f"{socket.gethostname()}:{path}"


def read_file_mark(path: Path) -> Mark | None:
    """Return the mark of a file; raises a `DatabaseFileError`."""
    with reading(path) as connection:
        return mark_in(connection)


def mark_in(file: sqlite3.Connection) -> Mark | None:
    """Return the mark of a file through an open connection."""
    return Mark.parse(read_value(file, MARK_KEY))


def write_file_mark(
    path: Path, mark: Mark | None, *, holding: Callable[[], None] = lambda: None
) -> None:
    """Write the mark of a file, with the fence that goes with it, or take both away.

    In one transaction, which is on the disk at the end. `holding` is called when nobody else can
    write any more, and before anything is written.
    """
    with translated(path, "marking it"), closing(open_for_migration(path)) as file:
        begin_amid_writers(file)
        holding()
        set_mark(file, path, mark)
        file.execute("COMMIT")


def set_mark(file: sqlite3.Connection, path: Path, mark: Mark | None) -> None:
    """Do the same in the caller's transaction."""
    lift_fence(file)
    with foreign_code_set_aside(file, path):
        if mark is None:
            delete_value(file, MARK_KEY)
        else:
            write_value(file, MARK_KEY, mark.to_text())
    if mark is not None and mark.state in {Move.PROMOTING, Move.PROMOTED}:
        raise_fence(file, mark.words)


@contextmanager
def server_transaction(
    engine: ServerEngine, begin: str = "BEGIN ISOLATION LEVEL READ COMMITTED"
) -> Iterator[Server]:
    """Yield a connection in one transaction; commit at the end, or leave the server as it was.

    No time limit of the server's ends it, but the wait for a lock, at most 60 s. Raises a
    `ControlPlaneError`, among them `CommitInDoubtError`; no value of a row is in it.
    """
    with engine.connect() as connection:
        raw = server_connection(connection)
        try:
            raw.execute(begin)
            for statement in _STEADY:
                raw.execute(statement)
            yield raw
            _commit(raw, engine.server)
        except psycopg.Error as error:
            raise _fault(error, engine.server) from None
        finally:
            if raw.info.transaction_status != TransactionStatus.IDLE:
                with suppress(psycopg.Error):
                    raw.execute("ROLLBACK")
            if raw.closed or raw.info.transaction_status != TransactionStatus.IDLE:
                connection.invalidate()


def _commit(raw: Server, server: str) -> None:
    try:
        raw.execute("COMMIT")
    except psycopg.Error as error:
        if isinstance(fault_of(error, server, during_commit=True), CommitInDoubtError):
            raise CommitInDoubtError(server) from None
        raise


def _fault(error: psycopg.Error, server: str) -> Exception:
    todo = "Nothing was changed there. Report it with what -vv shows."
    expected = "every statement to succeed"
    return fault_of(error, server) or ControlPlaneStatementError(
        server, said_by(error), expected, todo
    )


def lock_tables(server: Server, mode: str) -> None:
    """Keep others from the tables until the end of the transaction; waits for those at work."""
    tables = sql.SQL(", ").join(map(sql.Identifier, list_tables(server)))
    server.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(tables, sql.SQL(mode)))


@dataclass(frozen=True)
class ServerSide:
    """What a look at a server finds."""

    state: State
    """Missing for an empty database."""
    revision: str | None
    mark: Mark | None
    encoding: str
    is_read_only: bool
    filled: tuple[str, ...]
    """Tables that hold more than the start of the history put there."""

    def refuse_unless_empty(self, server: str) -> None:
        """Raise where an installation cannot be promoted to it."""
        if self.mark is not None and self.mark.state in {Move.DEMOTING, Move.DEMOTED}:
            raise ControlPlaneTakenError(server, f"what was {self.mark.words}")
        if self.mark is not None:
            found = f"the installation that was promoted from {self.mark.other}"
            raise ControlPlaneTakenError(server, found)
        if self.filled:
            found = f"rows in {', '.join(self.filled)}"
            raise ControlPlaneTakenError(server, found)

    def refuse_unless_fit(self, server: str) -> None:
        """Raise where it takes no writes, or not every text."""
        if self.is_read_only:
            todo = "Name the primary server, or let it take writes."
            raise ControlPlaneReadOnlyError(server, "it read-only", "one that takes writes", todo)
        if self.encoding != "UTF8":
            todo = "Make it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            found = f"a database in {self.encoding}"
            raise ControlPlaneFaultError(server, found, "one in UTF-8", todo)


def look_at_server_side(engine: ServerEngine) -> ServerSide:
    """Look at a server; raises a `ControlPlaneError` where it can be no control plane of ours."""
    with engine.connect(read_only=True) as connection, connection.begin():
        found = read_server_revision(connection, engine.server)
        raw = server_connection(connection)
        try:
            return read_server_side(raw, found.state, found.revision)
        except psycopg.Error as error:
            raise _fault(error, engine.server) from None


def read_server_side(server: Server, state: State, revision: str | None) -> ServerSide:
    """Do the same in the caller's transaction."""
    query = """SELECT current_setting('server_encoding'), pg_is_in_recovery()
                      OR current_setting('default_transaction_read_only')::boolean"""
    row = server.execute(query).fetchone()
    assert row is not None  # noqa: S101 - one row in any case
    encoding, is_read_only = row
    is_set_up = state is not State.MISSING
    mark = read_mark(server) if is_set_up else None
    filled = tuple(_filled(server)) if is_set_up else ()
    return ServerSide(state, revision, mark, encoding, is_read_only, filled)


def _filled(server: Server) -> Iterator[str]:
    known = set(list_tables(server))
    for rows in rows_of_tables():
        start = _START.get(rows.name, "false")
        # By the keys alone: a server behind head may lack other columns.
        query = f"SELECT EXISTS (SELECT FROM {quoted(rows.name)} WHERE NOT ({start}))"  # noqa: S608 - names of the models
        if rows.name in known and server.execute(query).fetchone() == (True,):
            yield rows.name

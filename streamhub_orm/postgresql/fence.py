"""The mark of a move between file and server, and the fence of a server: triggers that refuse."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from psycopg import sql

from streamhub_orm.errors import ControlPlaneDemotedError
from streamhub_orm.global_db import metadata

if TYPE_CHECKING:
    import psycopg

MARK_KEY: Final = "streamhub_orm_promotion"
"""The key of `_streamhub_meta` under which either side says how far a move is."""
FENCE_STATE: Final = "SHDEM"
"""SQLSTATE of a write that met the fence."""
_NAME: Final = "streamhub_fence"
_READ: Final = """
    SELECT value FROM _streamhub_meta WHERE key = %s"""
_WRITE: Final = """
    INSERT INTO _streamhub_meta (key, value) VALUES (%s, %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()"""
_FUNCTION: Final = f"""
    CREATE OR REPLACE FUNCTION {_NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '{FENCE_STATE}', MESSAGE = TG_ARGV[0]; END $$"""
_TRIGGER: Final = sql.SQL("""
    CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}({words})""")
_TABLES: Final = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name = ANY(%s)
    ORDER BY table_name"""
_OURS: Final = [*metadata.tables, "alembic_version"]


class Move(StrEnum):
    """How far a move is: of the file the first two, of the server the last three."""

    PROMOTING = "promoting"
    """The file takes no writes any more; whether the server has the rows, the server knows."""
    PROMOTED = "promoted"
    """The server has the rows, and takes the writes."""
    DEMOTING = "demoting"
    """The server takes no writes any more; whether the file has the rows, the file knows."""
    DEMOTED = "demoted"
    """The file has the rows, and takes the writes."""


@dataclass(frozen=True)
class Mark:
    """What a database says of a move."""

    id: str
    """Given at the promotion, equal on both sides."""
    state: Move
    other: str
    """The other side: a server without its password, or the machine and path of a file."""
    since: str
    """When the state was reached: a time in UTC."""
    backup: str | None = None
    """In the file: its backup of before."""
    is_new_file: bool = False
    """On a server that is being demoted: there was no file in the place of the new one."""

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a mark; None where there is none, or no readable one."""
        try:
            found = json.loads(text or "null")
            return found and cls(**{**found, "state": Move(found["state"])})
        except (ValueError, TypeError, KeyError):
            return None

    def to_text(self) -> str:
        """Return what is stored."""
        return json.dumps(asdict(self))

    @property
    def words(self) -> str:
        """What is said to whoever writes to the side that takes no writes."""
        is_file = self.state in {Move.PROMOTING, Move.PROMOTED}
        is_under_way = self.state in {Move.PROMOTING, Move.DEMOTING}
        what = "promoted" if is_file else "demoted"
        todo = "set STREAMHUB_GLOBAL_URL to it" if is_file else "unset STREAMHUB_GLOBAL_URL"
        return f"{'being ' if is_under_way else ''}{what} to {self.other}: {todo}"


def read_mark(connection: psycopg.Connection[Any]) -> Mark | None:
    """Return the mark of a control plane."""
    row = connection.execute(_READ, (MARK_KEY,)).fetchone()
    return None if row is None else Mark.parse(row[0])


def write_mark(connection: psycopg.Connection[Any], mark: Mark) -> None:
    """Write the mark of a control plane, in the caller's transaction."""
    connection.execute(_WRITE, (MARK_KEY, mark.to_text()))


def refuse_demoted(connection: psycopg.Connection[Any], server: str) -> None:
    """Raise `ControlPlaneDemotedError` where the global database has left this server."""
    mark = read_mark(connection)
    if mark is not None and mark.state in {Move.DEMOTING, Move.DEMOTED}:
        raise ControlPlaneDemotedError(server, mark.words)


def list_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the names of our tables that are there; an operator's own are his."""
    return [str(name) for (name,) in connection.execute(_TABLES, (_OURS,))]


def raise_fence(connection: psycopg.Connection[Any], words: str) -> None:
    """Let every write to a table of ours fail with these words, from the caller's commit on."""
    connection.execute(_FUNCTION)
    for table in list_tables(connection):
        connection.execute(
            _TRIGGER.format(
                name=sql.Identifier(_NAME), table=sql.Identifier(table), words=sql.Literal(words)
            )
        )


def lift_fence(connection: psycopg.Connection[Any]) -> None:
    """Take the fence away, in the caller's transaction; nothing where there is none."""
    connection.execute(f"DROP FUNCTION IF EXISTS {_NAME}() CASCADE")

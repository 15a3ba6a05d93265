"""Allow the stream type ws-mjpeg. This is the parity revision.

SQLite cannot alter a CHECK, so streams is rebuilt. The new table is made from the text of the one
that is there, with nothing but the list of types edited: an operator's extra columns,
AUTOINCREMENT, defaults and unnamed CHECKs come through as they were written. Ids are never reused:
the sequence is carried over, also when the table is empty. Indices and triggers are restated from
their own text; legacy_alter_table keeps SQLite from looking into views while the table is away.
Step 8 of the Node core's per-app migrations.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "a0008"
down_revision = "a0007"
branch_labels = None
depends_on = None

user_version: int = 8

ADDED = "ws-mjpeg"
REBUILT = "_streamhub_rebuilt_streams"

TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[^\W\d][\w$]*)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token of a CREATE TABLE statement and where it stands in it."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in capitals, nothing for any other kind of token."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def value(self) -> str:
        """The text without its quotes."""
        return self.text[1:-1] if self.kind in {"string", "quoted"} else self.text


def upgrade() -> None:
    """Rebuild streams with the wide list of types."""
    _rebuild_streams(_widened)


def downgrade() -> None:
    """Delete the streams that the narrow list has no word for, and rebuild with that list.

    The environment refuses this step while there are such rows, unless the operator allows it.
    """
    # lint: deletes, a narrower CHECK has no other way, and by default none is there to delete
    op.execute("DELETE FROM streams WHERE type = 'ws-mjpeg'")
    _rebuild_streams(_narrowed)


def _rebuild_streams(edited: Callable[[str, list[Token]], str]) -> None:
    if op.get_context().as_sql:
        for statement in _plain_statements(edited):
            op.execute(statement)
        return
    bind = op.get_bind()
    found = bind.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'streams' COLLATE NOCASE",
    ).scalar_one()
    wanted = _with_edited_types(found, edited)
    if wanted == found:
        return
    legacy = bind.exec_driver_sql("PRAGMA legacy_alter_table").scalar_one()
    bind.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        _swap(bind, wanted)
    finally:
        bind.exec_driver_sql(f"PRAGMA legacy_alter_table = {legacy:d}")


def _swap(bind: sa.Connection, create_sql: str) -> None:
    """Put a table made by `create_sql` in the place of streams, with all that belongs to it.

    The saved statements go to the driver as they are: sa.text() would take a colon in them for a
    parameter.
    """
    belongings = bind.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = 'streams' COLLATE NOCASE "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY rowid",
    ).scalars()
    # table_info leaves generated columns out, which cannot be inserted into.
    columns = bind.exec_driver_sql("PRAGMA table_info(streams)").scalars(1)
    statements = [
        *_moving_statements(_renamed(create_sql), ", ".join(_quoted(name) for name in columns)),
        f"ALTER TABLE {REBUILT} RENAME TO {_name_token(create_sql).text}",
        *belongings,
    ]
    for statement in statements:
        bind.exec_driver_sql(statement)


def _moving_statements(create_sql: str, columns: str) -> Iterator[str]:
    yield create_sql
    yield f"INSERT INTO {REBUILT} ({columns}) SELECT {columns} FROM streams"  # noqa: S608 - quoted
    # The highest id ever given, which may be above the highest one that is there.
    yield f"DELETE FROM sqlite_sequence WHERE name = '{REBUILT}'"  # noqa: S608 - a constant
    yield (
        f"INSERT INTO sqlite_sequence (name, seq) SELECT '{REBUILT}', seq "  # noqa: S608
        "FROM sqlite_sequence WHERE name = 'streams' COLLATE NOCASE"
    )
    yield "DROP TABLE streams"


def _with_edited_types(sql: str, edited: Callable[[str, list[Token]], str]) -> str:
    lists = list(_type_lists(_tokens(sql)))
    if not lists:
        message = "streams: expected a CHECK on type that lists the stream types, found none"
        raise CommandError(message)
    for literals in reversed(lists):  # the last one first, so that positions before it stay right
        sql = edited(sql, literals)
    return sql


def _widened(sql: str, literals: list[Token]) -> str:
    if any(literal.value == ADDED for literal in literals):
        return sql
    end = literals[-1].end
    return f"{sql[:end]}, '{ADDED}'{sql[end:]}"


def _narrowed(sql: str, literals: list[Token]) -> str:
    for position, literal in enumerate(literals):
        if literal.value == ADDED and position:
            return sql[: literals[position - 1].end] + sql[literal.end :]
        if literal.value == ADDED:
            return sql[: literal.start] + sql[literals[1].start :]
    return sql


def _tokens(sql: str) -> list[Token]:
    return [
        Token(str(match.lastgroup), match.group(), match.start(), match.end())
        for match in TOKEN.finditer(sql)
        if match.lastgroup != "blank"
    ]


def _type_lists(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the literals of each `type IN ('webrtc', …)` that stands inside a CHECK."""
    inside_check: list[bool] = []  # one entry per open parenthesis
    for position, token in enumerate(tokens):
        if token.text == "(":
            check = position > 0 and tokens[position - 1].keyword == "CHECK"
            inside_check.append(check or any(inside_check[-1:]))
        elif token.text == ")":
            inside_check.pop()
        elif any(inside_check[-1:]) and token.kind != "string" and token.value.lower() == "type":
            literals = _in_list(tokens[position + 1 :])
            if any(literal.value == "webrtc" for literal in literals):
                yield literals


def _in_list(tokens: list[Token]) -> list[Token]:
    """Return the literals of the IN list that the tokens begin with, none if they do not."""
    if [token.keyword or token.text for token in tokens[:2]] != ["IN", "("]:
        return []
    end = next(position for position, token in enumerate(tokens) if token.text == ")")
    return [token for token in tokens[2:end] if token.kind in {"string", "quoted"}]


def _name_token(create_sql: str) -> Token:
    """Return the table's name; SQLite stores every statement as CREATE TABLE <name> …."""
    return _tokens(create_sql)[2]


def _renamed(create_sql: str) -> str:
    name = _name_token(create_sql)
    return create_sql[: name.start] + f'"{REBUILT}"' + create_sql[name.end :]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain_statements(edited: Callable[[str, list[Token]], str]) -> Iterator[str]:
    """Yield the rebuild of a table as this history made it, for --sql, which reads no database."""
    types = ["webrtc", "rtmp", "rtsp", "whip"]
    if edited is _narrowed:
        types.append(ADDED)
    names = (
        "id, app_id, stream_id, type, room, participant, status, "
        "started_at, ended_at, last_stats_json"
    )
    yield from _moving_statements(_renamed(_with_edited_types(_plain_table(types), edited)), names)
    yield f"ALTER TABLE {REBUILT} RENAME TO streams"
    yield "CREATE INDEX idx_streams_status ON streams (status)"
    yield "CREATE INDEX idx_streams_room ON streams (room)"
    yield "CREATE INDEX idx_streams_started_at ON streams (started_at)"
    yield "CREATE INDEX idx_streams_status_started ON streams (status, started_at)"


def _plain_table(types: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in types)
    return f"""CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL,
    stream_id TEXT NOT NULL,
    type TEXT NOT NULL,
    room TEXT,
    participant TEXT,
    status TEXT DEFAULT 'active' NOT NULL,
    started_at TEXT DEFAULT (datetime('now')) NOT NULL,
    ended_at TEXT,
    last_stats_json TEXT,
    CONSTRAINT uq_streams_stream_id UNIQUE (stream_id),
    CONSTRAINT ck_streams_type CHECK (type IN ({listed})),
    CONSTRAINT ck_streams_status CHECK (status IN ('active', 'ended'))
)"""

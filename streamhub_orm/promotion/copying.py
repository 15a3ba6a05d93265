"""Copies of tables from one side to the other, streamed, and the hash that compares them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql

from streamhub_orm.engine.connections import lossy_text
from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import ControlPlaneFaultError, CopyDiffersError
from streamhub_orm.legacy.global_rows import record_global_rows
from streamhub_orm.promotion.rows import UnheldError, decoded, rows_of_tables, unheld

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    import psycopg

    from streamhub_orm.errors.promotion import UnheldRow
    from streamhub_orm.promotion.rows import Rows

    Progress = Callable[[str, int, int], None]
    Server = psycopg.Connection[Any]

_BLOCK: Final = 2_000
_SEQUENCE: Final = sql.SQL(
    "SELECT setval(pg_get_serial_sequence({table}, {column}), {next}, false)"
)
_LAST: Final = sql.SQL("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {}")
_HIGHEST: Final = 2**63 - 1


class Copied(NamedTuple):
    """A table as it was read: how many rows, and the SHA-256 of their lines in order."""

    table: str
    rows: int
    sha256: str


class _Digest:
    """The hash of a table's lines."""

    def __init__(self, rows: Rows, total: int, progress: Progress, phase: str) -> None:
        self._rows, self._total, self._progress = rows, total, progress
        self._phase = f"{phase} of {rows.name}"
        self._hash = hashlib.sha256()
        self._count = 0

    def add(self, data: bytes, count: int) -> None:
        self._hash.update(data)
        self._count += count
        self._progress(self._phase, min(self._count, self._total), self._total)

    def end(self) -> Copied:
        return Copied(self._rows.name, self._count, self._hash.hexdigest())


def copy_to_server(
    server: Server, file: sqlite3.Connection, rows: Rows, progress: Progress
) -> Copied:
    """Copy a table of the file into the empty one of the server, in the caller's transactions.

    Raises `UnheldError` for a value that the server cannot hold.
    """
    digest = _Digest(rows, count_rows(file, rows), progress, "rows")
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(rows.name), columns)
    with server.cursor() as cursor, cursor.copy(statement) as copy:
        for lines in _lines_of_file(file, rows):
            copy.write(_joined(lines))
            digest.add(_compared(rows, lines), len(lines))
    return digest.end()


def hash_of_file(
    file: sqlite3.Connection, rows: Rows, progress: Progress, phase: str = "comparison"
) -> Copied:
    """Return the hash of a table of the file; raises `UnheldError`."""
    digest = _Digest(rows, count_rows(file, rows), progress, phase)
    for lines in _lines_of_file(file, rows):
        digest.add(_compared(rows, lines), len(lines))
    return digest.end()


def hash_of_server(server: Server, rows: Rows, total: int, progress: Progress) -> Copied:
    """Return the hash of a table of the server; of `total` rows, for the progress alone."""
    digest = _Digest(rows, total, progress, "comparison")
    for lines in _lines_of_server(server, rows):
        digest.add(_compared(rows, lines), len(lines))
    return digest.end()


def copy_to_file(
    server: Server, file: sqlite3.Connection, rows: Rows, progress: Progress
) -> Copied:
    """Copy a table of the server into the empty one of the file, in the caller's transactions.

    Raises `UnheldError` for a value that the file cannot hold.
    """
    columns = ", ".join(quoted(it) for it in rows.columns)
    marks = ", ".join("?" * len(rows.columns))
    insert = f"INSERT INTO {quoted(rows.name)} ({columns}) VALUES ({marks})"  # noqa: S608 - names of the models
    digest = _Digest(rows, count_of_server(server, rows), progress, "rows")
    for lines in _lines_of_server(server, rows):
        file.executemany(insert, map(rows.stored, lines))
        digest.add(_compared(rows, lines), len(lines))
    return digest.end()


def fill_file(
    server: Server, file: sqlite3.Connection, name: str, progress: Progress
) -> list[Copied]:
    """Give a file the rows of the server called `name`, and compare, in the caller's transactions.

    A table that is as it is there keeps its rowids. Raises a `ControlPlaneError` for a value that
    the file cannot hold, and `CopyDiffersError`.
    """
    done = []
    for rows in rows_of_tables():
        try:
            done.append(_fill_table(server, file, name, rows, progress))
        except UnheldError as error:
            todo = "Nothing was changed. Correct that row on the server, then run again."
            found = f"a row of {rows.name} with {error}"
            raise ControlPlaneFaultError(name, found, "rows that SQLite holds", todo) from None
    copy_sequences(server, file)
    record_global_rows(file)
    return done


def _fill_table(
    server: Server, file: sqlite3.Connection, name: str, rows: Rows, progress: Progress
) -> Copied:
    if count_rows(file, rows):
        there = hash_of_server(server, rows, count_of_server(server, rows), progress)
        if hash_of_file(file, rows, progress) == there:
            return there
        file.execute(f"DELETE FROM {quoted(rows.name)}{rows.condition}")  # noqa: S608 - names of the models
    copied = copy_to_file(server, file, rows, progress)
    require_equal(name, [copied], [hash_of_file(file, rows, progress)])
    return copied


def fill_server(
    server: Server, file: sqlite3.Connection, name: str, progress: Progress
) -> list[Copied]:
    """Give the server called `name` the rows of a file in place of its own, and compare.

    In the caller's transactions. The keys of `_streamhub_meta` that speak of the server alone stay.
    Raises `UnheldError` for a value that the server cannot hold, and `CopyDiffersError`.
    """
    empty_server(server)
    copied = [copy_to_server(server, file, rows, progress) for rows in rows_of_tables()]
    set_sequences(server, file)
    found = [
        hash_of_server(server, rows, table.rows, progress)
        for rows, table in zip(rows_of_tables(), copied, strict=True)
    ]
    require_equal(name, copied, found)
    analyze(server)
    return copied


def find_unheld(
    file: sqlite3.Connection, rows: Rows, most: int, progress: Progress
) -> tuple[list[UnheldRow], int]:
    """Return the first rows of a table of the file that a server cannot hold, and how many."""
    found: list[UnheldRow] = []
    count = done = 0
    total = count_rows(file, rows)
    for block in _blocks(file, rows.selected(first="rowid, ")):
        for rowid, *row in block:
            fault = rows.fault(row)
            if fault is not None:
                count += 1
                if len(found) < most:
                    found.append(unheld(rows, rowid, row, *fault))
        done += len(block)
        progress(f"look of {rows.name}", min(done, total), total)
    return found, count


def require_equal(server: str, expected: list[Copied], found: list[Copied]) -> None:
    """Raise `CopyDiffersError` where a table has other rows than the one it was copied from."""
    wrong = [
        f"{table.table} has {other.rows} rows instead of {table.rows}"
        if table.rows != other.rows
        else f"{table.table} has other values"
        for table, other in zip(expected, found, strict=True)
        if table != other
    ]
    if wrong:
        raise CopyDiffersError(server, wrong)


def set_sequences(server: Server, file: sqlite3.Connection) -> None:
    """Let the server count on from where the file stands: no id is given out twice."""
    given = _given_out(file)
    for rows in rows_of_tables():
        if rows.identity is not None:
            query = f"SELECT max(rowid) FROM {quoted(rows.name)}"  # noqa: S608 - a name of the models
            (highest,) = file.execute(query).fetchone()
            following = min(max(highest or 0, given.get(rows.name, 0), 0), _HIGHEST - 1) + 1
            server.execute(
                _SEQUENCE.format(
                    table=sql.Literal(quoted(rows.name)),
                    column=sql.Literal(rows.identity),
                    next=sql.Literal(following),
                )
            )


def _given_out(file: sqlite3.Connection) -> dict[str, int]:
    """Return the highest id that each AUTOINCREMENT table ever gave out."""
    found = file.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    return {name: seq for name, seq in found if isinstance(seq, int)}


def copy_sequences(server: Server, file: sqlite3.Connection) -> None:
    """Let the file count on from where the server stands; without AUTOINCREMENT it needs none."""
    given = _given_out(file)
    for rows in rows_of_tables():
        if rows.identity in {None, "rowid"}:
            continue
        query = "SELECT pg_get_serial_sequence(%s, %s)"
        name = server.execute(query, (quoted(rows.name), rows.identity)).fetchone()
        assert name is not None  # noqa: S101 - a row in any case
        last = server.execute(_LAST.format(sql.SQL(name[0]))).fetchone()
        assert last is not None  # noqa: S101 - a sequence is one row
        highest = max(last[0], given.get(rows.name, 0))
        if rows.name in given:
            update = "UPDATE sqlite_sequence SET seq = ? WHERE name = ?"
            file.execute(update, (highest, rows.name))
        elif highest:
            insert = "INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)"
            file.execute(insert, (highest, rows.name))


def empty_server(server: Server) -> None:
    """Take all rows from the server's tables, but the keys that speak of it alone."""
    every = rows_of_tables()
    whole = [sql.Identifier(rows.name) for rows in every if not rows.condition]
    server.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(whole)))
    for rows in every:
        if rows.condition:
            server.execute(_own(f"DELETE FROM {quoted(rows.name)}{rows.condition}"))  # noqa: S608 - names of the models


def analyze(server: Server) -> None:
    """Give the server's planner the statistics of what was copied, before the first query."""
    for rows in rows_of_tables():
        server.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(rows.name)))


def count_rows(file: sqlite3.Connection, rows: Rows) -> int:
    """Return how many rows a table of the file has."""
    query = f"SELECT count(*) FROM {quoted(rows.name)}{rows.condition}"  # noqa: S608 - a name of the models
    return int(file.execute(query).fetchone()[0])


def count_of_server(server: Server, rows: Rows) -> int:
    """Return how many rows a table of the server has."""
    found = server.execute(_own(f"SELECT count(*) FROM {quoted(rows.name)}{rows.condition}"))  # noqa: S608 - a name of the models
    return int(found.fetchone()[0])  # type: ignore[index] # one row in any case


def _own(text: str) -> sql.SQL:
    """Return a statement that is made of names of the models alone."""
    return sql.SQL(text)


def _blocks(file: sqlite3.Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    with lossy_text(file, decoded):
        cursor = file.execute(query)
        while block := cursor.fetchmany(_BLOCK):
            yield block


def _lines_of_file(file: sqlite3.Connection, rows: Rows) -> Iterator[list[str]]:
    for block in _blocks(file, rows.selected()):
        yield list(map(rows.line, block))


def _lines_of_server(server: Server, rows: Rows) -> Iterator[list[str]]:
    statement = _own(f"COPY ({rows.selected()}) TO STDOUT")
    lines: list[str] = []
    with server.cursor() as cursor, cursor.copy(statement) as copy:
        for data in copy:
            lines.append(bytes(data[:-1]).decode())
            if len(lines) == _BLOCK:
                yield lines
                lines = []
    if lines:
        yield lines


def _joined(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _compared(rows: Rows, lines: list[str]) -> bytes:
    return _joined(list(map(rows.compared, lines)) if rows.json_at else lines)

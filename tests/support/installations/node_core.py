"""Tells whether the Node core still finds its way in a file: its structure, its statements."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from .ddl import (
    APP_STEPS,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
    read_parts,
)
from .facts import NODE_HEAD, app_db_path, find_global_path
from .snapshot import load_database, open_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Column = tuple[str, int, str | None, int]

_STATEMENTS: Final = {
    part: sql.strip().removesuffix(";").split(";\n")
    for part, sql in read_parts("node_core.sql").items()
}


def find_node_complaints(data_dir: Path) -> list[str]:
    """List what the Node core would stumble over in any file of an installation."""
    global_path = find_global_path(data_dir)
    complaints = [f"global: {it}" for it in _check_file(global_path, "global")]
    registry = load_database(global_path)
    for app in (str(row["name"]) for row in registry.rows("apps")) if registry else ():
        path = app_db_path(data_dir, app)
        complaints += [f"{app}: {it}" for it in _check_file(path, "app")]
    return complaints


def assert_usable_by_node_core(data_dir: Path) -> None:
    """Fail with everything that the Node core would stumble over."""
    complaints = find_node_complaints(data_dir)
    assert not complaints, "\n".join(complaints)


def _check_file(path: Path, kind: str) -> list[str]:
    """Try a copy, so that the file itself stays as it is."""
    with open_copy(path) as connection, closing(_reference(kind)) as reference:
        connection.execute("PRAGMA foreign_keys = ON")
        return [
            *_check_pragmas(connection),
            *_check_structure(connection, reference),
            *_run(connection, _STATEMENTS[kind], _STATEMENTS[f"refused by {kind}"]),
        ]


def _check_pragmas(connection: sqlite3.Connection) -> Iterator[str]:
    wanted = (
        ("user_version", NODE_HEAD),
        ("journal_mode", "wal"),
        ("integrity_check", "ok"),
        ("foreign_key_check", None),
    )
    for pragma, value in wanted:
        row = connection.execute(f"PRAGMA {pragma}").fetchone()
        found = row[0] if row else None
        if found != value:
            yield f"{pragma} is {found!r}, not {value!r}"


def _check_structure(
    connection: sqlite3.Connection, reference: sqlite3.Connection
) -> Iterator[str]:
    """Every table, column and index of the reference is there; more is allowed."""
    for (table,) in reference.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall():
        found = _columns(connection, table)
        for name, column in _columns(reference, table).items():
            if found.get(name) != column:
                yield f"{table}.{name} is {found.get(name)}, not {column}"
    wanted = _indices(reference)
    present = _indices(connection)
    for name, columns in wanted.items():
        if present.get(name) != columns:
            yield f"index {name} is {present.get(name)}, not {columns}"


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, Column]:
    """Type, nullability, default and place in the key; a key column is NOT NULL in effect."""
    return {
        str(name): (str(kind).upper(), int(not_null or key > 0), default, int(key))
        for _, name, kind, not_null, default, key in connection.execute(
            f'PRAGMA table_info("{table}")'
        )
    }


def _indices(connection: sqlite3.Connection) -> dict[str, tuple[str, tuple[str, ...]]]:
    named = connection.execute(
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    return {
        str(name): (
            str(table),
            tuple(str(row[2]) for row in connection.execute(f'PRAGMA index_info("{name}")')),
        )
        for name, table in named
    }


def _run(
    connection: sqlite3.Connection, statements: list[str], refused: list[str]
) -> Iterator[str]:
    for sql in statements:
        try:
            connection.execute(sql)
        except sqlite3.Error as error:
            yield f"{error}: {sql}"
    for sql in refused:
        try:
            connection.execute(sql)
        except sqlite3.IntegrityError:
            continue
        yield f"was not refused: {sql}"


def _reference(kind: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    if kind == "global":
        apply_steps(connection, GLOBAL_STEPS, NODE_HEAD)
        apply_runtime(connection, GLOBAL_RUNTIME)
    else:
        apply_steps(connection, APP_STEPS, NODE_HEAD)
    return connection

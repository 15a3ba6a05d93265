"""The look before a promotion: what speaks against it, and what stays in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from streamhub_orm.engine.connections import lossy_text
from streamhub_orm.engine.fence import fence_in
from streamhub_orm.engine.sql import columns_of, quoted
from streamhub_orm.errors import PromotionError, StreamHubError, UnheldRowsError
from streamhub_orm.legacy.bookkeeping import is_split
from streamhub_orm.legacy.global_rows import read_global_rows
from streamhub_orm.legacy.sources import MARKERS, VODS_MARKER
from streamhub_orm.migrations.states import State, look_at, read_state
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.promotion.copying import find_unheld
from streamhub_orm.promotion.rows import decoded, rows_of_tables, unheld
from streamhub_orm.registry import read_app_ids

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.errors.promotion import UnheldRow
    from streamhub_orm.promotion.copying import Progress
    from streamhub_orm.promotion.rows import Rows

MOST_NAMED: Final = 20
"""So many rows of each table are named."""
_UPGRADE: Final = "Run `streamhub-db upgrade` first, without STREAMHUB_GLOBAL_URL."
_MOST_APPS: Final = 12


class Left(NamedTuple):
    """What is in the file and not of our tables: it stays there."""

    what: str
    rows: int
    """Rows of a table; values of a column."""


def refuse_unready(place: DataDir, file: sqlite3.Connection) -> None:
    """Raise where the file is not at head, or is still to be split."""
    path = place.global_db
    found = read_state(file, GLOBAL, path)
    if found.error is not None:
        raise found.error
    if found.state is not State.CURRENT:
        revision = f"revision {found.revision or 'none'}"
        raise PromotionError(path, revision, f"a file at {GLOBAL.head}", _UPGRADE)
    if not is_split(file):
        found_, expected = "it not split into one database per app", "a finished split"
        raise PromotionError(path, found_, expected, _UPGRADE)
    pending = list(_apps_to_import(place, file))
    if pending:
        more = f" and {len(pending) - _MOST_APPS} more" if len(pending) > _MOST_APPS else ""
        names = f"{', '.join(pending[:_MOST_APPS])}{more}"
        found_ = f"rows in it that are still to be imported into the database of {names}"
        raise PromotionError(path, found_, "every app to have its rows", _UPGRADE)


def _apps_to_import(place: DataDir, file: sqlite3.Connection) -> Iterator[str]:
    """Yield the apps that have rows in the file, and have not taken them yet.

    Once the global database is on a server, nothing takes them from there any more.
    """
    rows = read_global_rows(file)
    needed = MARKERS - {VODS_MARKER}
    for name, app_id in read_app_ids(file).items():
        if not rows.of(name, app_id):
            continue
        try:
            found = look_at(place.app_db(name), APP)
        except StreamHubError:  # no name that any app can have
            yield name
            continue
        if not found.markers >= needed:
            yield name


def refuse_unheld(
    place: DataDir, file: sqlite3.Connection, progress: Progress, *, only_keys: bool = False
) -> None:
    """Raise `UnheldRowsError` where the file has rows that no server can hold.

    Named are the first of each table. With `only_keys` every value is looked at only where a row
    points to nothing.
    """
    named: list[UnheldRow] = []
    count = 0
    for rows in rows_of_tables():
        with lossy_text(file, decoded):
            found, number = _dangling(file, rows)
        if not only_keys:
            others, more = find_unheld(file, rows, MOST_NAMED, progress)
            found, number = found + others, number + more
        named += found[:MOST_NAMED]
        count += number
    if named and only_keys:
        refuse_unheld(place, file, progress)
    if named:
        raise UnheldRowsError(place.global_db, named, count - len(named))


def _dangling(file: sqlite3.Connection, rows: Rows) -> tuple[list[UnheldRow], int]:
    """Return the first rows of a table that point to no row, and how many there are."""
    found: list[UnheldRow] = []
    count = 0
    columns = {
        number: column
        for number, _, _, column, *_ in file.execute(
            f"PRAGMA foreign_key_list({quoted(rows.name)})"
        )
    }
    selected = ", ".join(quoted(it) for it in rows.columns)
    query = f"SELECT {selected} FROM {quoted(rows.name)} WHERE rowid = ?"  # noqa: S608 - names of the models
    broken = file.execute(f"PRAGMA foreign_key_check({quoted(rows.name)})")
    for _, rowid, parent, number in broken:
        count += 1
        if len(found) < MOST_NAMED:
            row = file.execute(query, (rowid,)).fetchone()
            reason = f"a key that no row of {parent} has"
            found.append(unheld(rows, rowid, row, columns[number], reason))
    return found, count


def list_left(file: sqlite3.Connection) -> list[Left]:
    """Return what stays in the file alone: its tables and columns that are not ours."""
    ours = {rows.name: rows for rows in rows_of_tables()}
    query = "SELECT type, name, sql FROM main.sqlite_master ORDER BY rowid"
    found: list[Left] = []
    for kind, name, sql in file.execute(query).fetchall():
        if kind == "view" or (kind == "trigger" and fence_in(sql) is None):
            found.append(Left(f"{kind} {name}", 0))
        if kind != "table" or name.startswith("sqlite_") or name == "alembic_version":
            continue
        if name not in ours:
            found.append(Left(f"table {name}", _count(file, name, "*")))
            continue
        extra = set(columns_of(file, "main", name)) - set(ours[name].columns)
        found += [
            Left(f"column {name}.{it}", _count(file, name, quoted(it))) for it in sorted(extra)
        ]
    return found


def _count(file: sqlite3.Connection, table: str, what: str) -> int:
    return int(file.execute(f"SELECT count({what}) FROM {quoted(table)}").fetchone()[0])  # noqa: S608 - identifiers, quoted

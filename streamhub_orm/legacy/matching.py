"""Matching of a source row with a row of the app.db: the keys of the split's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.sql import columns_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from streamhub_orm.legacy.sources import LegacyFiles, Source

# A recording has no natural key of its own: all five together tell one from another.
_IDENTITY: Final = {
    "streams": ("stream_id",),
    "ingress_auth": ("ingress_id",),
    "vods": ("app_id", "stream_id", "room", "name", "started_at"),
}


def same_row(table: str, columns: list[str], *, with_id: bool) -> str:
    """Return the condition under which source row `s` and app.db row `t` are the same.

    With the id, a VOD is the same recording only under the same id; streams and ingress_auth have
    keys of their own and need none. A key column that an old source lacks counts as NULL.
    """
    if table != "vods":
        key = _IDENTITY[table][0]
        return f"t.{key} = s.{key}"
    number = "t.id = s.id AND " if with_id else ""
    return number + " AND ".join(
        f"t.{name} IS s.{name}" if name in columns else f"t.{name} IS NULL"
        for name in _IDENTITY["vods"]
    )


def any_found(
    connection: sqlite3.Connection, source: Source, table: str, files: LegacyFiles
) -> bool:
    """Tell whether any source row is in the app.db, under whatever id."""
    columns = columns_of(connection, source.schema, table)
    if not columns:
        return False
    query = f"""SELECT EXISTS (SELECT 1 FROM {source.schema}.{table} s JOIN main.{table} t
                ON {same_row(table, columns, with_id=False)} WHERE {source.rows_of_app(table)})"""  # noqa: S608 - names are constants, values are bound
    return bool(connection.execute(query, files.row_parameters).fetchone()[0])


def count_unmatched(
    connection: sqlite3.Connection, source: Source, table: str, files: LegacyFiles
) -> int:
    """Count the source rows that the app.db does not hold; VODs by how often each occurs."""
    columns = columns_of(connection, source.schema, table)
    if not columns:
        return 0
    query = f"SELECT coalesce(sum(surplus), 0) FROM ({_unmatched(source, table, columns)})"  # noqa: S608
    return int(connection.execute(query, files.row_parameters).fetchone()[0])


def iter_unmatched(
    connection: sqlite3.Connection, source: Source, table: str, files: LegacyFiles
) -> Iterator[str]:
    """Yield, in words, the identity of each source row that `count_unmatched` counts."""
    columns = columns_of(connection, source.schema, table)
    if not columns:
        return
    for *identity, surplus in connection.execute(
        _unmatched(source, table, columns), files.row_parameters
    ):
        pairs = zip(_IDENTITY[table], identity, strict=True)
        words = ", ".join(f"{name} {value!r}" for name, value in pairs)
        yield from [words] * surplus


def _unmatched(source: Source, table: str, columns: list[str]) -> str:
    """Return the query for the identities that the app.db lacks, and how many rows of each."""
    identity = _IDENTITY[table]
    names = ", ".join(identity)
    if table != "vods":
        return f"""SELECT {names}, 1 AS surplus FROM {source.schema}.{table} s
                   WHERE {source.rows_of_app(table)}
                   AND NOT EXISTS (SELECT 1 FROM main.{table} t
                                   WHERE {same_row(table, columns, with_id=False)})"""  # noqa: S608
    selected = ", ".join(
        f"{f's.{name}' if name in columns else 'NULL'} AS {name}" for name in identity
    )
    return f"""SELECT {names}, sum(occurrences) AS surplus FROM (
                 SELECT {selected}, 1 AS occurrences
                 FROM {source.schema}.vods s WHERE {source.rows_of_app(table)}
                 UNION ALL SELECT {names}, -1 FROM main.vods
               ) GROUP BY {names} HAVING sum(occurrences) > 0"""  # noqa: S608

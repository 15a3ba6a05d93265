"""The copy of one table of one source into the app.db."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.sql import columns_of, quoted
from streamhub_orm.legacy.matching import same_row
from streamhub_orm.legacy.sources import SOURCES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

    from streamhub_orm.legacy.sources import Source

_ROOMY: Final = 2**62
_BELOW_HIGHEST_GAP: Final = """
    WITH gaps AS (SELECT id, lead(id, 1, 9223372036854775807) OVER (ORDER BY id) AS next
                  FROM (SELECT 0 AS id UNION {ids}) WHERE id >= 0)
    SELECT max(id) FROM gaps WHERE next - id > ({rows})"""
"""The id below the highest gap that takes all rows, where there is no room above every id."""


@dataclass(frozen=True)
class TableCopy:
    """Rows of `table` in `source` (called `s` below) on their way into main (called `t`)."""

    connection: sqlite3.Connection
    source: Source
    table: str
    parameters: dict[str, object]
    """The values that the source's row filter names."""
    parts: int = 1
    """In how many statements the rows may come, where someone wants to see them come."""
    copied: Callable[[int], None] = lambda _: None
    """Called with the number of rows of each part."""

    def count_superseded(self) -> int:
        """Count the source rows whose key is taken in the app.db by a row of other content."""
        if self._target_is_empty:
            return 0
        equal = " AND ".join(f"s.{name} IS t.{name}" for name in self._content)
        return self._number(
            f"SELECT count(*) FROM {self._origin} s JOIN main.{self.table} t ON {self._match} "  # noqa: S608 - names are ours or quoted, values are bound
            f"WHERE {self._rows} AND NOT ({equal})"
        )

    def insert_missing(self) -> int:
        """Insert the rows whose key is not in the app.db; return their number."""
        if self._target_is_empty and self.parts > 1 and self._ids_are_row_ids:
            return sum(self._insert(self._plain(part=True), part) for part in self._ranges())
        if self._numbered and not self._target_is_empty:
            return self._insert(self._renumbering, {"highest_id": self._highest_id()})
        return self._insert(self._plain(part=False), {})

    def _insert(self, statement: str, more: Mapping[str, object]) -> int:
        self.connection.execute(statement, {**self.parameters, **more})
        count = self._number("SELECT changes()")
        self.copied(count)
        return count

    @property
    def columns_left_behind(self) -> list[str]:
        """The columns of the source that the app.db does not have: an operator's own."""
        target = columns_of(self.connection, "main", self.table)
        return [name for name in self._available if name not in target]

    @property
    def _ids_are_row_ids(self) -> bool:
        """True where every id is a whole number and no row lacks one: ranges leave none out.

        Every other kind of primary key has an index of its own.
        """
        query = """
            SELECT name FROM pragma_table_xinfo(:table, :schema)
            WHERE pk = 1 AND upper(type) = 'INTEGER' AND NOT EXISTS
                (SELECT 1 FROM pragma_index_list(:table, :schema) WHERE origin = 'pk')"""
        names = {"table": self.table, "schema": self.source.schema}
        return self.connection.execute(query, names).fetchall() == [("id",)]

    def _ranges(self) -> Iterator[dict[str, int]]:
        """Yield as many ranges of ids, of the same width, that together hold every row."""
        lowest = self._number(f"SELECT coalesce(min(id), 0) FROM {self._origin}")  # noqa: S608
        highest = self._number(f"SELECT coalesce(max(id), 0) FROM {self._origin}")  # noqa: S608
        width = (highest - lowest) // self.parts + 1
        for first in range(lowest, highest + 1, width):
            yield {"first": first, "last": min(first + width - 1, highest)}

    def _plain(self, *, part: bool) -> str:
        columns = ["id", *self._content] if self._numbered else self._content
        selected = ", ".join(f"s.{name}" for name in columns)
        order = " ORDER BY s.id" if self._numbered else ""
        rows = self.source.part_of_rows(self.table) if part else self._rows
        return (
            f"INSERT INTO main.{self.table} ({', '.join(columns)}) SELECT {selected} "  # noqa: S608
            f"FROM {self._origin} s WHERE {rows} AND {self._is_missing}{order}"
        )

    @property
    def _renumbering(self) -> str:
        """A row whose integer id is taken gets a new one.

        New ids lie above every id of the target and of all sources, so they never take the place
        of a row that is yet to come.
        """
        return f"""
            INSERT INTO main.{self.table} (id, {", ".join(self._content)})
            WITH pending AS (
                SELECT s.*, EXISTS (SELECT 1 FROM main.{self.table} t WHERE t.id = s.id) AS taken
                FROM {self._origin} s WHERE {self._rows} AND {self._is_missing}
            )
            SELECT CASE WHEN p.taken
                        THEN :highest_id + row_number() OVER (PARTITION BY p.taken ORDER BY p.id)
                        ELSE p.id END, {", ".join(f"p.{name}" for name in self._content)}
            FROM pending p ORDER BY p.id"""  # noqa: S608

    @property
    def _is_missing(self) -> str:
        if self._target_is_empty:
            return "TRUE"
        return f"NOT EXISTS (SELECT 1 FROM main.{self.table} t WHERE {self._match})"  # noqa: S608

    @property
    def _origin(self) -> str:
        return f"{self.source.schema}.{self.table}"

    @property
    def _rows(self) -> str:
        return self.source.rows_of_app(self.table)

    @property
    def _match(self) -> str:
        return same_row(self.table, self._available, with_id=True)

    @cached_property
    def _available(self) -> list[str]:
        return columns_of(self.connection, self.source.schema, self.table)

    @cached_property
    def _content(self) -> list[str]:
        """The quoted names of the columns that both sides have, the id aside."""
        target = columns_of(self.connection, "main", self.table)
        return [quoted(name) for name in target if name in self._available and name != "id"]

    @property
    def _numbered(self) -> bool:
        return "id" in self._available

    @cached_property
    def _target_is_empty(self) -> bool:
        return self._number(f"SELECT count(*) FROM (SELECT 1 FROM main.{self.table} LIMIT 1)") == 0  # noqa: S608

    def _highest_id(self) -> int:
        """Return the id above which the new ones lie: none of them is in use, or ever was."""
        attached = {row[1] for row in self.connection.execute("PRAGMA database_list")}
        numbered = [
            f"SELECT id FROM {schema}.{self.table}"  # noqa: S608
            for schema in attached.intersection(("main", *(source.schema for source in SOURCES)))
            if "id" in columns_of(self.connection, schema, self.table)
        ]
        given_out = f"SELECT seq FROM main.sqlite_sequence WHERE name = '{self.table}'"  # noqa: S608
        highest = [self._number(f"SELECT coalesce(max(id), 0) FROM ({it})") for it in numbered]  # noqa: S608
        highest.append(self._number(f"SELECT coalesce(({given_out}), 0)"))
        if max(highest) < _ROOMY:
            return max(highest)
        rows = f"SELECT count(*) FROM {self._origin} s WHERE {self._rows}"  # noqa: S608
        ids = " UNION ".join((*numbered, given_out))
        return self._number(_BELOW_HIGHEST_GAP.format(ids=ids, rows=rows))

    def _number(self, query: str) -> int:
        return int(self.connection.execute(query, self.parameters).fetchone()[0])

"""The structure of a database file in comparable form, and the differences between two.

This is the authority on drift: `alembic check` reports differences on SQLite that are none and
misses CHECK texts, ON DELETE, AUTOINCREMENT, COLLATE and partial indices.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from streamhub_orm.engine.fence import fence_in
from streamhub_orm.migrations import sql_text

if TYPE_CHECKING:
    import sqlite3

_OWN_BOOKKEEPING: Final = "alembic_version"


class Column(NamedTuple):
    """A column as PRAGMA table_xinfo and the table's text tell it."""

    type: str
    not_null: bool
    default: str | None
    key_position: int
    collation: str
    generated: bool

    def __str__(self) -> str:
        """Describe the column as its definition would."""
        parts = [
            self.type,
            "NOT NULL" if self.not_null else "",
            f"DEFAULT {self.default}" if self.default is not None else "",
            f"key {self.key_position}" if self.key_position else "",
            f"COLLATE {self.collation}" if self.collation != "binary" else "",
            "GENERATED" if self.generated else "",
        ]
        return " ".join(part for part in parts if part)


class ForeignKey(NamedTuple):
    """A foreign key with what happens on DELETE and UPDATE of the row it points to."""

    columns: tuple[str, ...]
    table: str
    target: tuple[str, ...]
    on_delete: str
    on_update: str


@dataclass(frozen=True)
class Table:
    """An ordinary table."""

    sql: str = field(compare=False)
    columns: dict[str, Column]
    autoincrement: bool
    options: tuple[str, ...]
    foreign_keys: frozenset[ForeignKey]
    uniques: frozenset[tuple[str, ...]]
    checks: tuple[str, ...]
    reactions: tuple[str, ...]


class Index(NamedTuple):
    """An index made by CREATE INDEX; the definition holds columns, order, collation and WHERE."""

    table: str
    definition: str
    sql: str


@dataclass(frozen=True)
class Structure:
    """All tables and indices of a database, and the names of its triggers and views."""

    tables: dict[str, Table]
    indices: dict[str, Index]
    others: tuple[str, ...]

    def signatures(self) -> set[tuple[str, ...]]:
        """Return one tuple for each thing whose presence tells a schema step."""
        found: set[tuple[str, ...]] = {("index", name) for name in self.indices}
        for name, table in self.tables.items():
            found.add(("table", name))
            found.update(("column", name, column) for column in table.columns)
            found.update(("check", name, check) for check in table.checks)
        return found


def read_structure(
    connection: sqlite3.Connection, foreign: frozenset[str] = frozenset()
) -> Structure:
    """Read the structure; `foreign` tables, SQLite's own and alembic_version are left out.

    So is our fence: it is no drift, and nobody's but ours.
    """
    entries = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    hidden = {_OWN_BOOKKEEPING, *foreign}
    ours = [
        entry
        for entry in entries
        if entry[2].lower() not in hidden and not entry[1].startswith("sqlite_")
        if entry[0] != "trigger" or fence_in(entry[3]) is None
    ]
    parts = _TableParts(connection)
    return Structure(
        {
            name.lower(): parts.table(name, sql)
            for kind, name, _, sql in ours
            if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")
        },
        {
            name.lower(): Index(table.lower(), _index_definition(sql), sql)
            for kind, name, table, sql in ours
            if kind == "index"
        },
        tuple(
            f"{kind} {name}"
            for kind, name, _, sql in ours
            if kind in {"trigger", "view"} or (sql or "").upper().startswith("CREATE VIRTUAL")
        ),
    )


class _TableParts:
    """The catalogue of one database, read by four statements however many tables it has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.columns = self._grouped(
            connection, 'name, type, "notnull", dflt_value, pk, hidden', "table_xinfo", "cid"
        )
        self.foreign_keys = self._grouped(
            connection, 'id, "table", "from", "to", on_delete, on_update', "foreign_key_list", "seq"
        )
        self.uniques: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for table, index, column in connection.execute(
            """SELECT m.name, l.name, i.name FROM sqlite_master m, pragma_index_list(m.name) l,
                      pragma_index_info(l.name) i
               WHERE m.type = 'table' AND l.origin = 'u' ORDER BY i.seqno"""
        ):
            self.uniques[table][index].append(str(column).lower())

    @staticmethod
    def _grouped(
        connection: sqlite3.Connection, columns: str, pragma: str, order: str
    ) -> dict[str, list[tuple[str | int | None, ...]]]:
        rows: dict[str, list[tuple[str | int | None, ...]]] = defaultdict(list)
        selected = ", ".join(f"p.{column.strip()}" for column in columns.split(","))
        for table, *row in connection.execute(
            f"SELECT m.name, {selected} FROM sqlite_master m, pragma_{pragma}(m.name) p "  # noqa: S608 - constants of this module
            f"WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY p.{order}"
        ):
            rows[table].append(tuple(row))
        return rows

    def table(self, name: str, sql: str) -> Table:
        words = sql_text.tokens(sql)
        tail = words[len(words) - words[::-1].index(")") :]
        return Table(
            sql,
            self._columns(name, sql),
            "autoincrement" in words,
            tuple(sorted(word for word in tail if word in {"strict", "rowid"})),
            frozenset(self._foreign_keys(name)),
            frozenset(tuple(columns) for columns in self.uniques[name].values()),
            tuple(sql_text.checks(sql)),
            tuple(sql_text.reactions(sql)),
        )

    def _columns(self, name: str, sql: str) -> dict[str, Column]:
        collations = sql_text.collations(sql)
        return {
            str(column).lower(): Column(
                str(kind).upper(),
                # A key column of the field's files lacks NOT NULL, one made by SQLAlchemy has it.
                bool(not_null) and not key,
                _default(default),
                int(key or 0),
                collations.get(str(column).lower(), "binary"),
                bool(hidden),
            )
            for column, kind, not_null, default, key, hidden in self.columns[name]
        }

    def _foreign_keys(self, name: str) -> list[ForeignKey]:
        grouped = defaultdict(list)
        for number, table, column, target, on_delete, on_update in self.foreign_keys[name]:
            # `REFERENCES apps` without a column means the key of that table.
            grouped[number, table, on_delete, on_update].append(
                (column, target or self._key(table))
            )
        return [
            ForeignKey(
                tuple(str(column).lower() for column, _ in pairs),
                str(table).lower(),
                tuple(str(target).lower() for _, target in pairs),
                str(on_delete),
                str(on_update),
            )
            for (_, table, on_delete, on_update), pairs in grouped.items()
        ]

    def _key(self, table: object) -> str:
        wanted = str(table).lower()
        columns = next((rows for name, rows in self.columns.items() if name.lower() == wanted), [])
        keys = [row[0] for row in columns if row[4]]
        return str(keys[0]) if keys else "rowid"


def _default(text: object) -> str | None:
    if text is None or str(text).upper() == "NULL":
        return None
    found = sql_text.without_outer_parentheses(sql_text.tokens(str(text)))
    return " ".join(found)


def _index_definition(sql: str) -> str:
    words = sql_text.tokens(sql)
    unique = "unique " if "unique" in words[: words.index("index")] else ""
    return unique + " ".join(words[words.index("on") + 1 :])


@dataclass
class Drift:
    """Differences between a database and the structure that is expected of it."""

    missing_tables: list[str] = field(default_factory=list)
    missing_columns: list[tuple[str, str]] = field(default_factory=list)
    missing_indices: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    """Tables, columns and indices that are not ours: reported, never touched, no drift."""

    def lines(self) -> list[str]:
        """Return every difference as a line; empty where the structure is as expected."""
        return [
            *(f"table {name} is missing" for name in self.missing_tables),
            *(f"column {table}.{column} is missing" for table, column in self.missing_columns),
            *(f"index {name} is missing" for name in self.missing_indices),
            *self.conflicts,
        ]


def compare(expected: Structure, found: Structure) -> Drift:
    """Compare two structures; constraint names do not count, index names do."""
    drift = Drift(extras=list(found.others))
    for name, table in expected.tables.items():
        if name in found.tables:
            _compare_table(drift, name, table, found.tables[name])
        else:
            drift.missing_tables.append(name)
    for name, index in expected.indices.items():
        if name not in found.indices:
            drift.missing_indices.append(name)
        elif found.indices[name][:2] != index[:2]:
            drift.conflicts.append(
                f"index {name} is on {found.indices[name].definition}, expected {index.definition}"
            )
    drift.extras += [f"table {name}" for name in found.tables.keys() - expected.tables.keys()]
    drift.extras += [f"index {name}" for name in found.indices.keys() - expected.indices.keys()]
    drift.extras.sort()
    return drift


def _compare_table(drift: Drift, name: str, expected: Table, found: Table) -> None:
    for column, definition in expected.columns.items():
        if column not in found.columns:
            drift.missing_columns.append((name, column))
        elif found.columns[column] != definition:
            drift.conflicts.append(
                f"column {name}.{column} is {found.columns[column]}, expected {definition}"
            )
    own = found.columns.keys() - expected.columns.keys()
    drift.extras += [f"column {name}.{column}" for column in own]
    for what, wanted, present in _facets(expected, found, own):
        if wanted != present:
            drift.conflicts.append(f"{what} of table {name}: {present}, expected {wanted}")


def _facets(expected: Table, found: Table, own: set[str]) -> list[tuple[str, object, object]]:
    """Pair what is compared of two tables; what concerns the operator's columns is left out."""
    return [
        ("AUTOINCREMENT", expected.autoincrement, found.autoincrement),
        ("options", expected.options, found.options),
        ("ON CONFLICT and DEFERRED", expected.reactions, found.reactions),
        (
            "foreign keys",
            sorted(expected.foreign_keys),
            sorted(key for key in found.foreign_keys if not own.intersection(key.columns)),
        ),
        (
            "UNIQUE",
            sorted(expected.uniques),
            sorted(key for key in found.uniques if not own.intersection(key)),
        ),
        (
            "CHECK",
            list(expected.checks),
            [check for check in found.checks if not own.intersection(check.split())],
        ),
    ]

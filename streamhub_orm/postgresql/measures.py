"""Measures of a control plane: sizes, rows, references that lead nowhere; and of its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.global_db import GlobalBase
from streamhub_orm.postgresql.engine import APPLICATION
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    import psycopg

_TABLES: Final = sa.text(
    "SELECT relname, pg_total_relation_size(oid), pg_table_size(oid) FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname"
)
_SIZE: Final = sa.text("SELECT pg_database_size(current_database())")
_SERVER: Final = sa.text("""
    SELECT
        current_setting('server_version_num')::int / 10000 AS major,
        current_setting('server_version') AS version,
        pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only') = 'on' AS is_read_only,
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int AS most_connections,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
            AS connections,
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS has_tls,
        coalesce(inet_server_addr() = inet_client_addr(), true) AS is_here,
        current_user AS role,
        has_schema_privilege(current_schema(), 'CREATE') AS may_create""")
_RIGHTS: Final = sa.text("""
    SELECT relname,
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'),
        pg_has_role(relowner, 'USAGE')
    FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
    ORDER BY relname""")
_NODES: Final = """
    SELECT coalesce(host(client_addr), 'this machine'), count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = %s
    GROUP BY 1 ORDER BY 1"""


class TableSize(NamedTuple):
    """A table of the server."""

    table: str
    rows: int
    bytes: int
    """With its indices."""
    own_bytes: int


def database_bytes(connection: sa.Connection) -> int:
    """Return the bytes that the database takes on the server's disk."""
    return int(connection.execute(_SIZE).scalar_one())


def table_sizes(connection: sa.Connection) -> Iterator[TableSize]:
    """Yield each table, its rows counted."""
    for table, size, own in connection.execute(_TABLES).all():
        query = sa.select(sa.func.count()).select_from(sa.table(table))
        yield TableSize(table, connection.execute(query).scalar_one(), size, own)


def foreign_tables(connection: sa.Connection) -> list[str]:
    """Return the names of the tables that are not ours."""
    ours = GlobalBase.metadata.tables.keys() | {"alembic_version"}
    return [name for name, *_ in connection.execute(_TABLES) if name not in ours]


def dangling_references(connection: sa.Connection) -> list[str]:
    """Return the rows that point to no row, one line for each pair of tables.

    The server refuses such rows, unless somebody has switched its constraints or triggers off.
    """
    faults = []
    for table in GlobalBase.metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            parent = constraint.referred_table.alias()
            pairs = [(it.parent, parent.c[it.column.name]) for it in constraint.elements]
            is_met = sa.exists().where(*(column == key for column, key in pairs))
            count = connection.execute(
                sa.select(sa.func.count())
                .select_from(table)
                .where(*(column.is_not(None) for column, _ in pairs), ~is_met)
            ).scalar_one()
            if count:
                words = "1 row points" if count == 1 else f"{count:,} rows point"
                tables = f"{table.name} → {constraint.referred_table.name}"
                columns = ", ".join(column.name for column, _ in pairs)
                faults.append(f"{tables}: {words} to nothing (by {columns})")
    return faults


@dataclass(frozen=True)
class ServerFacts:
    """A server, as one connection sees it."""

    major: int
    version: str
    is_standby: bool
    is_read_only: bool
    """True where sessions of this user may not write by default."""
    most_connections: int
    """Connections that users who are no superuser may have at once."""
    connections: int
    """Those that there are now, this one among them."""
    has_tls: bool
    is_here: bool
    """True where it runs on this machine, as far as addresses tell."""
    role: str
    may_create: bool
    """True where this user may make tables, as an upgrade does."""
    unwritable: list[str]
    """Tables whose rows this user may not read and write."""
    unowned: list[str]
    """Tables that this user may not change, as an upgrade does."""
    clock_difference: timedelta
    """By how much this machine's clock is ahead of the server's."""


def read_server_facts(connection: sa.Connection) -> ServerFacts:
    """Look at the server through an open connection."""
    before = utc_now()
    theirs = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    ours = before + (utc_now() - before) / 2
    rights = connection.execute(_RIGHTS).all()
    return ServerFacts(
        **connection.execute(_SERVER).mappings().one(),
        unwritable=[table for table, may_write, _ in rights if not may_write],
        unowned=[table for table, _, is_owner in rights if not is_owner],
        clock_difference=ours - theirs,
    )


def nodes_at_work(server: psycopg.Connection[Any]) -> list[str]:
    """Return who else uses the database by this package: addresses, with their connections."""
    return [
        f"{address} by {count} connection{'' if count == 1 else 's'}"
        for address, count in server.execute(_NODES, (APPLICATION,))
    ]

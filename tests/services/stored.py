"""Rows as the Node core's file holds them: times and JSON as text, flags as numbers.

On a server each value is put into its own form on the way in, and into the file's on the way out;
so a test that pokes at what is stored, past the column types, is the same on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from streamhub_orm.schema.expressions import AsStored, as_stored
from streamhub_orm.services.core import table_of

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase, Session
    from sqlalchemy.types import TypeEngine


def rows_of(
    session: Session, model: type[DeclarativeBase], **where: object
) -> list[dict[str, Any]]:
    """Return the rows with these values, in the order of their primary key."""
    table = table_of(model)
    columns = [as_stored(column).label(column.name) for column in table.c]
    conditions = [table.c[name] == value for name, value in where.items()]
    query = sa.select(*columns).where(*conditions).order_by(*table.primary_key)
    return [dict(row) for row in session.execute(query).mappings()]


def row_of(session: Session, model: type[DeclarativeBase], **where: object) -> dict[str, Any]:
    """Return the one row with these values."""
    (row,) = rows_of(session, model, **where)
    return row


def store(
    session: Session, model: type[DeclarativeBase], where: dict[str, object], **values: object
) -> None:
    """Write values into the rows where others are, as another program would."""
    table = table_of(model)
    conditions = [table.c[name] == value for name, value in where.items()]
    session.execute(sa.update(table).where(*conditions).values(_bound(table, values)))


def insert(session: Session, model: type[DeclarativeBase], **values: object) -> None:
    """Write a row, as another program would."""
    table = table_of(model)
    session.execute(sa.insert(table).values(_bound(table, values)))


def _bound(table: sa.Table, values: dict[str, object]) -> dict[str, Any]:
    def type_of(column: sa.Column[Any]) -> TypeEngine[Any]:
        is_number = isinstance(column.type, sa.Integer | sa.Float)
        return column.type if is_number else AsStored(column.type)

    return {
        name: sa.bindparam(f"stored_{name}", value, type_=type_of(table.c[name]))
        for name, value in values.items()
    }

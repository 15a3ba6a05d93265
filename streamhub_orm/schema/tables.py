"""Rules for the tables of both databases: names of constraints, types in DDL, repr of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.orm import InstanceState
    from sqlalchemy.types import TypeEngine

NAMING_CONVENTION: Final = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names are for people and for errors; the Node core's own constraints have none."""

ANNOTATION_TYPES: Final[dict[Any, TypeEngine[Any]]] = {
    str: sa.TEXT(),
    int: sa.INTEGER(),
    float: sa.REAL(),
}
"""The three storage classes in use. SQLAlchemy's own choice for str would be VARCHAR."""

SQL_NOW: Final = sa.text("(datetime('now'))")
"""The server default of a timestamp; it writes the SQL format."""


def describe(row: object, names: tuple[str, ...] = ()) -> str:
    """Return `<Class name=value …>` of the named attributes, by default of the primary key.

    For logs and tracebacks: the caller names no secret. It never touches the database, so what is
    not loaded is left out.
    """
    state: InstanceState[object] = sa.inspect(row, raiseerr=True)
    mapper = state.mapper
    key_names = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    known = dict(zip(key_names, state.identity or (), strict=False)) | state.dict
    shown = [f"{name}={known[name]!r}" for name in names or key_names if name in known]
    return f"<{' '.join([type(row).__name__, *shown])}>"

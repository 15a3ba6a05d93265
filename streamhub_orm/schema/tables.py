"""Rules for the tables of both databases: names of constraints, types in DDL, repr of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import sqlalchemy as sa

from streamhub_orm.schema.expressions import SqlNow
from streamhub_orm.schema.types import INTEGER, TEXT

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
    str: TEXT,
    int: INTEGER,
    float: sa.REAL(),
}
"""The three storage classes in use. SQLAlchemy's own choice for str would be VARCHAR."""

SQL_NOW: Final = SqlNow()
"""The server default of a timestamp; it writes the SQL format, or a time in whole seconds."""
FALSE: Final = sa.false()
"""The server default of a flag: 0, or false."""


class ModelBase:
    """Part of the bases of both kinds of models: types of columns, and the repr of a row."""

    type_annotation_map = ANNOTATION_TYPES

    shown_columns: ClassVar[tuple[str, ...]] = ()
    """Columns that repr() shows, never a secret; the primary key if empty."""

    def __repr__(self) -> str:
        """Show the row as `<Class name=value …>`, without its secrets.

        It never touches the database, so what is not loaded is left out.
        """
        state: InstanceState[object] = sa.inspect(self, raiseerr=True)
        mapper = state.mapper
        keys = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
        known = dict(zip(keys, state.identity or (), strict=False)) | state.dict
        names = self.shown_columns or keys
        shown = [f"{name}={known[name]!r}" for name in names if name in known]
        return f"<{' '.join([type(self).__name__, *shown])}>"

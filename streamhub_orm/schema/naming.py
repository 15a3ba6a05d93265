"""How constraints are named, and what plain Python types are called in DDL."""

from typing import Any, Final

import sqlalchemy as sa
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

"""The base of the global models: one MetaData, one way to show a row."""

from typing import ClassVar

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from streamhub_orm.schema import ANNOTATION_TYPES, NAMING_CONVENTION, describe


class GlobalBase(DeclarativeBase):
    """Base of every table of the global database.

    Primary keys are NOT NULL here. In the files most are declared without it, as the Node core did,
    but SQLAlchemy inserts several rows in one statement only where the key cannot be NULL.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = ANNOTATION_TYPES

    shown_columns: ClassVar[tuple[str, ...]] = ()
    """What repr() shows; the primary key if empty. Never a secret."""

    def __repr__(self) -> str:
        """Show the row without its secrets and without a query."""
        return describe(self, self.shown_columns)

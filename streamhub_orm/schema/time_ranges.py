"""Conditions for a range of time: right for both stored formats, and by the column's index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a field's type
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from streamhub_orm.schema.expressions import (
    ComparableTime,
    by_day_or,
    comparable,
    searched,
)
from streamhub_orm.schema.types import naive_utc

TimeColumn: TypeAlias = sa.ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Range of time from `since`, inclusive, to `until`, exclusive; None is no end on that side.

    Both are aware datetimes; anything else raises `StoredValueError`. A range with an end holds no
    row whose time is NULL. A stored time with an offset other than Z, which nothing in the field
    writes, is compared as if it were UTC.
    """

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an end that is no point in time."""
        for end in (self.since, self.until):
            if end is not None:
                naive_utc(end)

    def within(self, column: TimeColumn) -> sa.ColumnElement[bool]:
        """Return the condition that the column's time lies in this range.

        Its bound parameters carry this range's values and are named after the column. So a
        statement that is kept serves every range with the same ends, given `parameters`.

        On PostgreSQL times are compared. On SQLite, within a day, the SQL format sorts before the
        ISO format as text. So all that can lie in the range lies between the SQL text of its start
        and the ISO text of its end, which is what the index is searched for. What lies between them
        only by its format, part of one day at each end, is then left out by comparing one form of
        both.
        """
        text, bound = sa.type_coerce(column, sa.Text), self._bound(column)
        terms: list[sa.ColumnElement[bool]] = []
        if self.since is not None:
            terms.append(searched(text >= bound[f"{column.key}_first"]))
        if self.until is not None:
            terms.append(searched(text < bound[f"{column.key}_last"]))
        return sa.and_(sa.true(), *terms, self.refined(column))

    def refined(self, column: TimeColumn) -> sa.ColumnElement[bool]:
        """Return the exact part of `within`: it holds for the same rows, and searches no index."""
        text, bound = sa.type_coerce(column, sa.Text), self._bound(column)
        key, exact = column.key, comparable(column)
        terms: list[sa.ColumnElement[bool]] = []
        if self.since is not None:
            by_day = text > bound[f"{key}_since_day"]
            terms.append(by_day_or(by_day, exact >= bound[f"{key}_since"]))
        if self.until is not None:
            by_day = text < bound[f"{key}_until_day"]
            terms.append(by_day_or(by_day, exact < bound[f"{key}_until"]))
        return sa.and_(sa.true(), *terms)

    def _bound(self, column: TimeColumn) -> dict[str, sa.BindParameter[Any]]:
        return {
            name: sa.bindparam(name, value, sa.Text if isinstance(value, str) else ComparableTime)
            for name, value in self.parameters(column).items()
        }

    def parameters(self, column: TimeColumn) -> dict[str, Any]:
        """Return the values of the parameters in `within(column)`."""
        key, values = column.key, dict[str, Any]()
        if self.since is not None:
            since = naive_utc(self.since)
            values[f"{key}_first"] = since.isoformat(" ", "seconds")
            values[f"{key}_since"] = self.since
            values[f"{key}_since_day"] = since.date().isoformat() + "~"
        if self.until is not None:
            until = naive_utc(self.until)
            # "~" sorts after all that can follow: a fraction, Z, a time or nothing.
            values[f"{key}_last"] = until.isoformat("T", "seconds") + "~"
            values[f"{key}_until"] = self.until
            values[f"{key}_until_day"] = until.date().isoformat()
        return values

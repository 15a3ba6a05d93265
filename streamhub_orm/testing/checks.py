"""Checks that a test of a service makes: how SQLite runs a statement, and whose the rows are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.app_db import AppBase
from streamhub_orm.fleet import list_app_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases

__all__ = ["assert_no_row_strays", "assert_uses_index", "plan_of", "plans_of"]

_TABLE_STEP: Final = re.compile(r"(?:SEARCH|SCAN) (?!CONSTANT ROW)(?!.* VIRTUAL TABLE)")
_BY_INDEX: Final = re.compile(
    r" USING (?:COVERING INDEX|INDEX|INTEGER PRIMARY KEY|PRIMARY KEY) ?(?P<name>\w*)"
)


def plan_of(
    session: Session, statement: sa.Executable, params: Mapping[str, Any] | None = None
) -> str:
    """Run the statement and return its EXPLAIN QUERY PLAN, one step a line."""
    (plan,) = plans_of(session, lambda: session.connection().execute(statement, params or {}))
    return plan


def plans_of(session: Session, call: Callable[[], object]) -> list[str]:
    """Return the plan of each statement that a call sends, with the values that it sent."""
    connection = session.connection()
    sent: list[tuple[str, Any]] = []

    def keep(_: object, __: object, sql: str, values: object, *___: object) -> None:
        sent.append((sql, values))

    sa.event.listen(connection, "before_cursor_execute", keep)
    try:
        call()
    finally:
        sa.event.remove(connection, "before_cursor_execute", keep)
    return [_explained(connection, sql, values) for sql, values in sent]


def _explained(connection: sa.Connection, sql: str, values: Any) -> str:  # noqa: ANN401 - the driver's
    steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
    return "\n".join(step.detail for step in steps)


def assert_uses_index(
    session: Session,
    statement: sa.Executable,
    index: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Run a statement, and fail where SQLite walks over all of a table for it.

    With `index`, one step must use the index of this name too. Walking along an index in order,
    as a page does, counts as using it; one that SQLite makes for the statement alone does not.
    """
    plan = plan_of(session, statement, params)
    steps = [step for step in plan.splitlines() if _TABLE_STEP.match(step)]
    found = [_BY_INDEX.search(step) for step in steps]
    walked = [step for step, match in zip(steps, found, strict=True) if match is None]
    if walked:
        message = f"no index is used by: {'; '.join(walked)}\nThe whole plan:\n{plan}"
        raise AssertionError(message)
    if index is not None and index not in {match["name"] for match in found if match}:
        message = f"the index {index} is not used. The whole plan:\n{plan}"
        raise AssertionError(message)


def assert_no_row_strays(databases: Databases) -> None:
    """Fail where a row in an app's database names another app than that one, and say which.

    It opens every registered app. `app_id` 0 names none: the Node core writes it where it does not
    find the app's row.
    """
    strays = [
        f"{name}: {count} in {table}"
        for name in list_app_names(databases.place)
        for table, count in _strays(databases, name).items()
        if count
    ]
    if strays:
        message = f"rows that name another app: {', '.join(strays)}"
        raise AssertionError(message)


def _strays(databases: Databases, name: str) -> dict[str, int]:
    with databases.app_session(name, read_only=True) as session:
        return {
            table.name: session.scalar(
                sa.select(sa.func.count()).where(table.c[column].notin_([0, session.info[column]]))
            )
            or 0
            for table in AppBase.metadata.sorted_tables
            for column in ("app_id", "app")
            if column in table.c
        }

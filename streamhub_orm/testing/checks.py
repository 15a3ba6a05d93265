"""Checks that a test of a service makes: how a statement is run, and whose the rows are."""

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

_SQLITE: Final = "sqlite"
_TABLE_STEP: Final = re.compile(
    r"(?:SEARCH|SCAN) (?!CONSTANT ROW)(?!.* VIRTUAL TABLE)(?P<table>\w+)"
)
_BY_INDEX: Final = re.compile(
    r" USING (?:COVERING INDEX|INDEX|INTEGER PRIMARY KEY|PRIMARY KEY) ?(?P<name>\w*)"
)
_AUTOMATIC: Final = "sqlite_autoindex_"
_SERVER_STEP: Final = re.compile(
    r"Seq Scan|(?:Scan(?: Backward)? using|Index Scan on) (?P<name>\w+)"
)
_ANY_INDEX: Final = "SET LOCAL enable_seqscan = {}"
"""Without it a server would use no index for a table of a few rows."""


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
    if connection.dialect.name == _SQLITE:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        return "\n".join(step.detail for step in steps)
    connection.exec_driver_sql(_ANY_INDEX.format("off"))
    lines = connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {sql}", values).scalars().all()
    connection.exec_driver_sql(_ANY_INDEX.format("DEFAULT"))
    return "\n".join(lines)


def assert_uses_index(
    session: Session,
    statement: sa.Executable | Callable[[], object],
    index: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Run a statement, and fail where all of a table is walked over for it.

    In place of a statement it takes a function, whose last statement is meant. With `index`, one
    step must use the index of this name too; the one of a primary key or of a unique constraint is
    called as the model calls the constraint. Walking along an index in order, as a page does,
    counts as using it; one that SQLite makes for the statement alone does not. On a server it fails
    where no index can serve the statement: what the server chooses depends on how many rows it has
    counted.
    """
    if callable(statement):
        *_, plan = plans_of(session, statement)
    else:
        plan = plan_of(session, statement, params)
    used = _steps_of(session, plan)
    walked = [step for step, name in used if name is None]
    if walked:
        message = f"no index is used by: {'; '.join(walked)}\nThe whole plan:\n{plan}"
        raise AssertionError(message)
    if index is not None and index not in {name for _, name in used}:
        message = f"the index {index} is not used. The whole plan:\n{plan}"
        raise AssertionError(message)


def _steps_of(session: Session, plan: str) -> list[tuple[str, str | None]]:
    """Return the steps on tables, each with the index that it uses, or None."""
    if session.connection().dialect.name != _SQLITE:
        matches = [(step, _SERVER_STEP.search(step)) for step in plan.splitlines()]
        return [(step.strip(), match["name"]) for step, match in matches if match]
    found = []
    for step in plan.splitlines():
        of_table = _TABLE_STEP.match(step)
        if of_table:
            match = _BY_INDEX.search(step)
            found.append(
                (step, None if match is None else _named(session, match["name"], of_table["table"]))
            )
    return found


def _named(session: Session, index: str, table: str) -> str:
    """Return the name of an index; where SQLite has named it by itself, that of its constraint."""
    if index.startswith(_AUTOMATIC):
        table = index.removeprefix(_AUTOMATIC).rpartition("_")[0]
        pragma = sa.text("SELECT origin FROM pragma_index_list(:table) WHERE name = :index")
        origin = session.scalar(pragma, {"table": table, "index": index})
        if origin == "u":
            columns = sa.text("SELECT name FROM pragma_index_info(:index) ORDER BY seqno")
            return "_".join(("uq", table, *session.scalars(columns, {"index": index})))
    return f"pk_{table}" if index.startswith(_AUTOMATIC) or not index else index


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

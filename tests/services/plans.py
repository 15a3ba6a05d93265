"""How SQLite means to run a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session


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

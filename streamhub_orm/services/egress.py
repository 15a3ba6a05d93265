"""Egress of a tenant in a month, where something on this server measures it.

The table `quota_usage` is no part of the schema: an operator's meter makes it. What is needed of
it is `tenant_id`, the month in `month` or `period` (text that begins with `2026-01`), and the
amount in `egress_bytes` or `egress_gb`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = ["GIB", "find_egress_bytes"]

GIB: Final = 1024**3
"""Bytes of a gigabyte, as limits count it."""

_MONTHS: Final = ("month", "period")
_AMOUNTS: Final = {"egress_bytes": 1, "egress_gb": GIB}
_COLUMNS: Final = sa.text("SELECT name FROM pragma_table_info('quota_usage')")


def find_egress_bytes(session: Session, tenant_id: str, month: datetime) -> int | None:
    """Return the bytes of the month that the time lies in; None where nothing measures them.

    Takes a session on the global database. A table of another shape measures nothing.
    """
    columns = set(session.scalars(_COLUMNS))
    months = [name for name in _MONTHS if name in columns]
    amounts = [name for name in _AMOUNTS if name in columns]
    if "tenant_id" not in columns or not months or not amounts:
        return None
    usage = sa.table("quota_usage", sa.column("tenant_id"), *map(sa.column, months + amounts))
    statement = sa.select(sa.func.total(usage.c[amounts[0]])).where(
        usage.c.tenant_id == tenant_id,
        sa.func.substr(usage.c[months[0]], 1, 7) == f"{month:%Y-%m}",
    )
    amount: float = session.scalars(statement).one()
    return int(amount * _AMOUNTS[amounts[0]])

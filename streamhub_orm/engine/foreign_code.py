"""Foreign code in a file: triggers and views, which must neither run by our work nor go missing."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.fence import refuse_fence
from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors.visible import visible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_log: Final = logging.getLogger(__name__)


@contextmanager
def foreign_code_set_aside(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Take triggers and views out of the file for the length of the block, and put them back.

    Both within the caller's transaction: where the block raises, its rollback brings them back.
    None of the schemas that StreamHub ever had holds one, so whatever is there is an operator's or
    an attacker's. A trigger would run at our writes and could delete rows; a view that names a
    table makes SQLite refuse to rename it. Python 3.11 cannot switch triggers off for a connection.
    The triggers of a fence are ours, and not to be passed: raises `PromotedDatabaseError`.
    """
    refuse_fence(connection, path)
    found = connection.execute(
        "SELECT type, name, sql FROM main.sqlite_master WHERE type IN ('trigger', 'view') "
        "ORDER BY type = 'trigger', rowid"
    ).fetchall()
    for kind, name, _ in reversed(found):
        connection.execute(f"DROP {kind} IF EXISTS main.{quoted(name)}")
    yield
    for kind, name, sql in found:
        connection.execute(sql)
        what = visible(f"{path}: {kind} {name!r}")
        _log.warning("%s is not ours; it was left alone and did not run", what)

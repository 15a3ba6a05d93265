"""Which global rows are whose, looked up once for a whole run.

The global streams and vods have no index on app_id, so each app would read both tables from end to
end: the work would grow with the square of the fleet.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import attach_read_only, open_scratch
from streamhub_orm.engine.sql import columns_of

if TYPE_CHECKING:
    from pathlib import Path


def build_row_index(global_db: Path, target: Path) -> Path:
    """Write the ids of the global streams and vods, sorted by app, into `target` and return it."""
    target.touch(mode=0o600)
    with closing(open_scratch(target)) as connection:
        attach_read_only(connection, global_db, "global_db")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE extents (name TEXT PRIMARY KEY, highest_id INTEGER)")
        for table in ("streams", "vods"):
            connection.execute(
                f"CREATE TABLE {table} (app_id INTEGER, id INTEGER, PRIMARY KEY (app_id, id)) "
                "WITHOUT ROWID"
            )
            if columns_of(connection, "global_db", table):
                connection.execute(
                    f"INSERT INTO {table} SELECT app_id, id FROM global_db.{table} "  # noqa: S608 - constants of this module
                    "WHERE app_id IS NOT NULL ORDER BY app_id, id"
                )
            connection.execute(
                f"INSERT INTO extents SELECT '{table}', coalesce(max(id), 0) FROM {table}"  # noqa: S608
            )
        connection.execute("COMMIT")
    return target

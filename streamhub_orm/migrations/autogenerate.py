"""How Alembic compares the models with a database at head, for `revision --autogenerate`.

On SQLite that comparison reports differences that are none and misses real ones, so it is a help
for writing a revision; the authority is `streamhub_orm.migrations.structure`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from streamhub_orm.migrations.transaction import engine_on, run_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from streamhub_orm.migrations.worlds import World


@contextmanager
def database_at_head(world: World) -> Iterator[sa.Engine]:
    """Yield an engine on an in-memory database that the history has brought to head."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        engine = engine_on(raw)
        with engine.begin() as connection:
            run_upgrade(connection, world)
        yield engine


def comparison_options(world: World) -> dict[str, Any]:
    """Return the options of `context.configure` that concern autogenerate."""
    # The models are needed here only: importing them costs more than an upgrade at head.
    from streamhub_orm import app_db, global_db  # noqa: PLC0415

    metadata = {GLOBAL: global_db.Base.metadata, APP: app_db.Base.metadata}[world]
    return {"target_metadata": metadata, "include_name": _is_not_foreign(world)}


def _is_not_foreign(world: World) -> Any:  # noqa: ANN401 - Alembic's hook protocol
    """Legacy tables that stay in the file are not to be dropped by a generated revision."""

    def include(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name not in world.foreign_tables

    return include

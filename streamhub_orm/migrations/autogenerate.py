"""How Alembic compares the models with a database at head, for `revision --autogenerate`.

On SQLite that comparison reports differences that are none and misses real ones, so it is a help
for writing a revision; the authority is `streamhub_orm.migrations.structure`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from streamhub_orm.migrations.transaction import engine_on, run_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

    metadata = {GLOBAL: global_db.GlobalBase, APP: app_db.AppBase}[world].metadata
    return {
        "target_metadata": metadata,
        "include_name": _is_not_foreign(world),
        "include_object": _is_reflectable,
    }


def _is_not_foreign(world: World) -> Callable[..., bool]:
    """Legacy tables that stay in the file are not to be dropped by a generated revision."""

    def include(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name not in world.foreign_tables

    return include


def _is_reflectable(
    element: object, name: str | None, kind: str, _reflected: object, counterpart: object
) -> bool:
    """Leave out what reflection on SQLite shows otherwise than it is; the drift check reads it.

    An index with COLLATE, an expression or WHERE loses that part, and would be reported as removed
    and added again. A key column is declared without NOT NULL in the field, and the models say NOT
    NULL, since SQLAlchemy inserts several rows at once only then.
    """
    if kind == "column" and counterpart is not None and isinstance(element, sa.Column):
        return not element.primary_key
    if kind != "index":
        return True
    textual = {
        index.name
        for index in (element, counterpart)
        if isinstance(index, sa.Index)
        and any(not isinstance(part, sa.Column) for part in index.expressions)
    }
    return name not in textual

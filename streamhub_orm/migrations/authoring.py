"""Writing a revision: the next file of a history, and how Alembic compares models with it.

On SQLite that comparison reports differences that are not there and misses real ones, so it is a
help for writing a revision; the authority is `streamhub_orm.migrations.structure`.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from streamhub_orm.errors import NoCheckoutError
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.migrations.worlds import World


def write_revision(world: World, message: str, *, autogenerate: bool = False) -> Path:
    """Write `<next id>_<message>.py` and return its path; ids count on, as g0015 after g0014.

    With `autogenerate` it begins with what Alembic finds different between the models and a
    database at head. Raises `NoCheckoutError` outside a checkout.
    """
    ini = world.folder.parent / "alembic.ini"
    if not ini.is_file():
        raise NoCheckoutError(world.folder)
    section = "alembic" if world.name == "global" else world.name
    number = int(world.head[1:]) + 1
    # Alembic prints what it writes on stdout, which belongs to the caller.
    silent = Namespace(quiet=True)
    script = command.revision(
        Config(str(ini), ini_section=section, cmd_opts=silent),
        message=message,
        autogenerate=autogenerate,
        rev_id=f"{world.head[0]}{number:04d}",
    )
    return Path(script.path)  # type: ignore[union-attr]


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

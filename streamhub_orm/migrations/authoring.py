"""Writing a revision: the next file of a history, and how Alembic compares models with it.

On SQLite that comparison reports differences that are not there and misses real ones, so it is a
help for writing a revision; the authority is `streamhub_orm.migrations.structure`.
"""

from __future__ import annotations

import re
import warnings
from argparse import Namespace
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from streamhub_orm.errors import NoCheckoutError
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.schema.types import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.operations.ops import MigrationScript
    from alembic.runtime.migration import MigrationContext

    from streamhub_orm.migrations.worlds import World


_HASH: Final = re.compile("[0-9a-f]{12}")
"""What Alembic proposes where no id is given."""


def write_revision(world: World, message: str, *, autogenerate: bool = False) -> Path:
    """Write `<next id>_<message>.py` and return its path.

    With `autogenerate` it begins with what Alembic finds different between the models and a
    database at head. Raises `NoCheckoutError` outside a checkout.
    """
    ini = world.folder.parent / "alembic.ini"
    if not ini.is_file():
        raise NoCheckoutError(world.folder)
    section = "alembic" if world.name == "global" else world.name
    # Alembic prints what it writes on stdout, which belongs to the caller.
    silent = Namespace(quiet=True, x=None)
    script = command.revision(
        Config(str(ini), ini_section=section, cmd_opts=silent),
        message=message,
        autogenerate=autogenerate,
    )
    return Path(script.path)  # type: ignore[union-attr]


def comparison_options(world: World, dialect: str = "sqlite") -> dict[str, Any]:
    """Return the options of `context.configure` that concern autogenerate, on a dialect."""
    # The models are needed here only: importing them costs more than an upgrade at head.
    from streamhub_orm import app_db, global_db  # noqa: PLC0415

    metadata = {GLOBAL: global_db.metadata, APP: app_db.metadata}[world]
    return {
        "target_metadata": metadata,
        "include_name": _is_not_foreign(world),
        "include_object": _is_in_models if dialect == POSTGRESQL else _is_reflectable,
        "process_revision_directives": _number,
    }


def _number(opened: MigrationContext, _: object, directives: list[MigrationScript]) -> None:
    """Give a new revision the next id, as g0015 after g0014, in place of Alembic's hash.

    Raises `CommandError` for any other id, and for a place beside the line.
    """
    assert opened.script is not None  # noqa: S101 - a command has its history
    head = opened.script.get_current_head() or ""
    following = f"{head[0]}{int(head[1:]) + 1:04d}"
    for it in directives:
        given = it.rev_id
        if given != following and (given is None or not _HASH.fullmatch(given)):
            message = f"found the revision id {given!r}; expected {following}, which comes next"
            raise CommandError(message)
        if (
            it.head not in {None, "head", "heads", head}
            or it.splice
            or it.branch_label
            or it.depends_on
        ):
            message = f"found a branch; expected a revision after {head}, as the history is linear"
            raise CommandError(message)
        it.rev_id = following


@contextmanager
def expecting_unreflectable_indices(world: World) -> Iterator[None]:
    """Keep silent about the indices on expressions that the models name.

    SQLAlchemy and Alembic warn that they cannot reflect them; the drift check reads their text.
    """
    metadata = comparison_options(world)["target_metadata"]
    with warnings.catch_warnings():
        for table in metadata.tables.values():
            for index in table.indexes:
                for words in ("of expression-based index ", "expression-based index '"):
                    message = f".*{words}{re.escape(str(index.name))}\\b"
                    warnings.filterwarnings("ignore", message)
        yield


def _is_not_foreign(world: World) -> Callable[..., bool]:
    """Legacy tables that stay in the file are not to be dropped by a generated revision."""

    def include(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name not in world.foreign_tables

    return include


def _is_in_models(
    element: object, name: str | None, kind: str, reflected: object, counterpart: object
) -> bool:
    """Leave out what is on the server and not in the models: `rowid`, and an operator's own."""
    del element
    is_extra = kind == "table" or (kind == "column" and name == "rowid")
    return not (reflected and counterpart is None and is_extra)


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

"""Structure of a control plane, compared with the models by Alembic's own means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from streamhub_orm.migrations.authoring import comparison_options
from streamhub_orm.migrations.revisions import alembic_lock
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.schema.types import POSTGRESQL

if TYPE_CHECKING:
    import sqlalchemy as sa


def differences_of(connection: sa.Connection) -> list[str]:
    """Return in words how a control plane at head differs from the models; empty where it does not.

    Alembic's comparison is honest here for tables, columns with their types, NOT NULL, keys and
    indices. It looks at no default and no CHECK.
    """
    options = comparison_options(GLOBAL, POSTGRESQL)
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": False,
            "include_name": options["include_name"],
            "include_object": options["include_object"],
        },
    )
    with alembic_lock:
        found = compare_metadata(context, options["target_metadata"])
    return [_in_words(it) for it in found]


def _in_words(difference: object) -> str:
    if isinstance(difference, list):
        return "; ".join(_in_words(it) for it in difference)
    assert isinstance(difference, tuple)  # noqa: S101 - Alembic's
    kind, *what = difference
    return f"{str(kind).replace('_', ' ')} {' '.join(str(it) for it in what if it is not None)}"

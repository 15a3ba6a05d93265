"""Upgrade of one file: what both kinds of file have in common on their way to head."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from streamhub_orm.engine.backups import copy_to_scratch
from streamhub_orm.engine.engines import dbapi_connection
from streamhub_orm.engine.integrity import row_counts
from streamhub_orm.errors import DatabaseFileError, RowsLostError
from streamhub_orm.legacy.accounts import Account
from streamhub_orm.migrations.adoption import adopt
from streamhub_orm.migrations.states import State, read_state
from streamhub_orm.owner import scratch_folder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.migrations.states import FileState
    from streamhub_orm.migrations.worlds import World


_BOOKKEEPING: Final = {"alembic_version", "_streamhub_meta"}


@dataclass(frozen=True)
class Upgraded:
    """Result of an upgrade or downgrade of one file."""

    from_revision: str | None
    """None for a file that was missing or not adopted."""
    to_revision: str | None
    backup: Path | None = None
    account: Account = field(default_factory=Account)
    changed: bool = True

    @classmethod
    def unchanged(cls, found: FileState) -> Self:
        """Return the outcome where there was nothing to do."""
        return cls(found.revision, found.revision, changed=False)


def adopt_unless_adopted(connection: sa.Connection, world: World, path: Path) -> None:
    """Adopt the file inside the transaction, where no other process has done so meanwhile."""
    if read_state(dbapi_connection(connection), world, path).state is State.UNADOPTED:
        adopt(connection, world, path)


@contextmanager
def rows_accounted_for(
    raw: sqlite3.Connection, path: Path, *, dropping: bool = False
) -> Iterator[dict[str, int]]:
    """Compare the rows of every table before and after the block, inside its transaction.

    The block says in the yielded dictionary how many rows a table gained; a table it says nothing
    of may only grow, by what a revision inserts. With `dropping`, tables may go: what they held was
    looked at beforehand. Raises `RowsLostError` otherwise.
    """
    before, gained = row_counts(raw), dict[str, int]()
    yield gained
    after = row_counts(raw)
    wrong = []
    for name, rows in before.items():
        if name in _BOOKKEEPING or name.startswith("sqlite_") or (dropping and name not in after):
            continue
        found, expected = after.get(name, 0), rows + gained.get(name, 0)
        if found < expected or (name in gained and found != expected):
            wrong.append(f"table {name} has {found} rows instead of {expected}")
    if wrong:
        raise RowsLostError(path, wrong)


@contextmanager
def scratch_copy(path: Path, found: FileState) -> Iterator[Path]:
    """Yield a copy of a file to rehearse on; the path of a missing one where there is nothing yet.

    It lies in the folder for temporary files (TMPDIR) and is removed at the end. Errors within the
    block name the original.
    """
    with scratch_folder("rehearsal") as folder:
        scratch = folder / path.name
        try:
            if found.state is not State.MISSING:
                copy_to_scratch(path, scratch)
            yield scratch
        except DatabaseFileError as error:
            if error.path == scratch:
                error.path = path
            raise

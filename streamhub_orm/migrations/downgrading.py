"""Take an adopted file down: never without a backup, never with a silent loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alembic.util import CommandError

from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import reading
from streamhub_orm.errors import UnknownRevisionError
from streamhub_orm.migrations.losses import refuse_losses
from streamhub_orm.migrations.states import State, missing, unadopted
from streamhub_orm.migrations.transaction import raw_connection, run_downgrade
from streamhub_orm.migrations.upgrading import Upgraded, look_for_upgrade, transform
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.migrations.worlds import World


@dataclass(frozen=True)
class Change:
    """A change of the revision of one file other than an upgrade."""

    command: str
    path: Path
    world: World
    like: Path
    """The file whose owner the backup takes."""


def downgrade_file(
    path: Path, world: World, target: str, *, like: Path, drop_rows: bool = False
) -> Upgraded:
    """Take a file down to `target`.

    Raises `DataLossError` where rows or values would be dropped and `drop_rows` is not set,
    `UnadoptedDatabaseError` for a file without a revision, `UnknownRevisionError`, or another
    `DatabaseFileError`; then the file is as it was.
    """
    return change_adopted(
        Change("downgrade", path, world, like),
        destination=lambda revision: _destination(world, revision, target),
        run=lambda connection: run_downgrade(connection, world, target),
        guarded=not drop_rows,
    )


def require_below_head(world: World, target: str) -> None:
    """Raise `UnknownRevisionError` for a `target` that no file of this world can be taken to."""
    other = APP if world is GLOBAL else GLOBAL
    if other.knows(target):
        reason = f"it is one of the {other.name} history"
        raise UnknownRevisionError(target, world.name, reason, _TO_THE_OTHER[other])
    _destination(world, world.head, target)


_TO_THE_OTHER: Final = {
    APP: "Add --app NAME or --all-apps.",
    GLOBAL: "Leave out --app and --all-apps: it is for the global database.",
}


def _destination(world: World, revision: str, target: str) -> str | None:
    """Return where the steps from `revision` to `target` end; None is before the first."""
    try:
        steps = world.scripts._downgrade_revs(target, revision)  # noqa: SLF001 - as alembic.command
    except CommandError as error:
        raise UnknownRevisionError(target, world.name, str(error)) from error
    after = steps[-1].to_revisions if steps else (revision,)
    return str(after[0]) if after else None


def change_adopted(
    change: Change,
    *,
    destination: Callable[[str], str | None],
    run: Callable[[sa.Connection], None],
    guarded: bool,
) -> Upgraded:
    """Back up and `run`; where `guarded`, refuse first what would drop rows or values."""
    found = look_for_upgrade(change.path, change.world)
    if found.state is State.MISSING:
        raise missing(change.path)
    if found.revision is None:
        raise unadopted(change.path, change.command)
    revisions = (found.revision, destination(found.revision))
    if revisions[0] == revisions[1]:
        return Upgraded(*revisions, changed=False)
    if guarded:
        with reading(change.path) as raw:
            refuse_losses(raw, change.world, revisions, change.path)

    def guarded_run(connection: sa.Connection) -> None:
        if guarded:
            # Again, since rows may have come since; now nobody else can write.
            refuse_losses(raw_connection(connection), change.world, revisions, change.path)
        run(connection)

    backup = back_up(change.path, like=change.like)
    transform(change.path, change.world, run=guarded_run)
    return Upgraded(*revisions, backup)

"""Downgrade of an adopted file: never without a backup, never with a silent loss."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.errors import UnknownRevisionError
from streamhub_orm.migrations.losses import refuse_losses
from streamhub_orm.migrations.revisions import migration_transaction, route_down
from streamhub_orm.migrations.states import (
    State,
    look_for_upgrade,
    missing,
    read_state,
    unadopted,
)
from streamhub_orm.migrations.upgrading import Upgraded, rows_accounted_for, scratch_copy
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.migrations.worlds import World

_TO_THE_OTHER: Final = {
    APP: "Add --app NAME or --all-apps.",
    GLOBAL: "Leave out --app and --all-apps: it is for the global database.",
}


def downgrade_file(path: Path, world: World, target: str, *, drop_rows: bool = False) -> Upgraded:
    """Take a file down to `target`; its backup takes the owner of the file `like`.

    Raises `DataLossError` where rows or values would be dropped and `drop_rows` is not set,
    `UnadoptedDatabaseError` for a file without a revision, `UnknownRevisionError`, or another
    `DatabaseFileError`; then the file is as it was.
    """
    route = route_down(world, target)
    return change_adopted(path, world, route, "downgrade", drop_rows=drop_rows)


def rehearse_downgrade(
    path: Path, world: World, target: str, *, drop_rows: bool = False
) -> Upgraded:
    """Take a scratch copy down and tell what it did; nothing of the installation is touched.

    Raises what `downgrade_file` raises.
    """
    found = look_for_upgrade(path, world, recover=False)
    if found.state is State.MISSING:
        raise missing(path)
    with scratch_copy(path, found) as scratch:
        done = downgrade_file(scratch, world, target, drop_rows=drop_rows)
    return Upgraded(done.from_revision, done.to_revision)


def change_adopted(
    path: Path, world: World, route: Route, command: str, *, drop_rows: bool
) -> Upgraded:
    """Take an adopted file along a route other than an upgrade: that of `downgrade` or `stamp`."""
    with folder_lock(path.parent):
        found = look_for_upgrade(path, world)
        if found.state is State.MISSING:
            raise missing(path)
        if found.revision is None:
            raise unadopted(path, command)
        revisions = (found.revision, route.destination(found.revision))
        if revisions[0] == revisions[1]:
            return Upgraded.unchanged(found)
        if not drop_rows:
            with reading(path) as before:
                refuse_losses(before, world, revisions, path)
        backup = back_up(path)
        with migration_transaction(path) as connection:
            raw = raw_connection(connection)
            read_state(raw, world, path)
            if not drop_rows:
                # Again, since rows may have come since; now nobody else can write.
                refuse_losses(raw, world, revisions, path)
            with nullcontext() if drop_rows else rows_accounted_for(raw, path, dropping=True):
                route.run(connection)
    return Upgraded(*revisions, backup)


def require_below_head(world: World, target: str) -> None:
    """Raise `UnknownRevisionError` for a `target` that no file of this world can be taken to."""
    other = APP if world is GLOBAL else GLOBAL
    if other.knows(target):
        reason = f"it is one of the {other.name} history"
        raise UnknownRevisionError(target, world.name, reason, _TO_THE_OTHER[other])
    route_down(world, target).destination(world.head)

"""The global database on its way to head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.errors import MissingDatabaseError
from streamhub_orm.legacy.global_rows import record_global_rows
from streamhub_orm.migrations.revisions import migration_transaction, route_to_head
from streamhub_orm.migrations.states import State, look_at, look_for_upgrade, read_state
from streamhub_orm.migrations.upgrading import (
    Upgraded,
    adopt_unless_adopted,
    rows_accounted_for,
    scratch_copy,
)
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.migrations.states import FileState


def upgrade_global_file(
    path: Path,
    *,
    route: Route | None = None,
    backup: Path | None = None,
    scratch: bool = False,
) -> Upgraded:
    """Bring the global database to head, or along another `route`; idempotent.

    The caller may hand in a `backup` made for this upgrade; otherwise a file that holds data is
    backed up first, unless it is a `scratch` copy that nobody keeps. Raises a `DatabaseFileError`;
    then the file is as it was.
    """
    road = route or route_to_head(GLOBAL)
    if _is_done(found := look_for_upgrade(path, GLOBAL), road):
        return Upgraded.unchanged(found)
    with folder_lock(path.parent):
        if _is_done(found := look_for_upgrade(path, GLOBAL), road):
            return Upgraded.unchanged(found)
        if backup is None and found.state is not State.MISSING and not scratch:
            backup = back_up(path)
        with migration_transaction(path) as connection:
            raw = raw_connection(connection)
            with rows_accounted_for(raw, path):
                adopt_unless_adopted(connection, GLOBAL, path)
                road.run(connection)
            reached = read_state(raw, GLOBAL, path).revision
            if reached == GLOBAL.head:
                record_global_rows(raw)
        return Upgraded(found.revision, reached, backup)


def refuse_empty_global(place: DataDir) -> None:
    """Raise `MissingDatabaseError` where the global database is an empty file.

    An upgrade would fill it with an empty registry, whatever was lost. What lies beside it tells a
    lost one, which is to be brought back, from a first start that made the file and no table.
    """
    path = place.global_db
    if look_at(path, GLOBAL).state is not State.MISSING:
        return
    backups = list_backups(path)
    if not backups and not holds_apps(place):
        todo = "Nothing was ever in it: run `streamhub-db init`, which takes it over."
    else:
        copy = f"{backups[-1]}, or from an archive" if backups else "an archive"
        todo = f"Its rows are lost: put it back from {copy} (`streamhub-db backup restore latest`)."
    raise MissingDatabaseError(path, "an empty file or database", "the global database", todo)


def holds_apps(place: DataDir) -> bool:
    """Tell whether anything lies in the folder of the apps."""
    return place.apps.is_dir() and any(place.apps.iterdir())


def rehearse_global_file(path: Path) -> Upgraded:
    """Upgrade a scratch copy and tell what it did; nothing of the installation is touched."""
    found = look_for_upgrade(path, GLOBAL, recover=False)
    if found.state is State.CURRENT:
        return Upgraded.unchanged(found)
    with scratch_copy(path, found) as scratch:
        done = upgrade_global_file(scratch, scratch=True)
    return Upgraded(found.revision, done.to_revision)


def _is_done(found: FileState, route: Route) -> bool:
    return found.revision is not None and route.destination(found.revision) == found.revision

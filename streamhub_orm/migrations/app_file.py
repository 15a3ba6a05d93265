"""An app.db on its way to head: created from a template, or upgraded, with its legacy rows."""

from __future__ import annotations

from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import make_folder, publish, temporary_beside
from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import open_scratch, translated
from streamhub_orm.engine.database_files import (
    create_empty,
    in_wal_mode,
    mark_as_wal,
    require_no_stray_wal,
)
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.engine.forks import open_in_memory
from streamhub_orm.legacy.accounts import TABLES, Account
from streamhub_orm.legacy.deferred_constraints import (
    are_empty,
    checks_after_rows,
    indices_after_rows,
)
from streamhub_orm.legacy.importing import import_legacy, set_markers
from streamhub_orm.legacy.progress import RowProgress, silent
from streamhub_orm.legacy.sources import MARKERS, VODS_MARKER
from streamhub_orm.migrations import sql_text
from streamhub_orm.migrations.legacy_files import require_importable
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.revisions import migration_transaction, route_to_head
from streamhub_orm.migrations.states import (
    State,
    imports_pending,
    is_done,
    look_for_app_upgrade,
    look_for_upgrade,
    read_state,
)
from streamhub_orm.migrations.upgrading import (
    Upgraded,
    adopt_unless_adopted,
    rows_accounted_for,
    scratch_copy,
)
from streamhub_orm.migrations.worlds import APP

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.legacy.progress import Progress
    from streamhub_orm.legacy.sources import LegacyFiles
    from streamhub_orm.migrations.revisions import Route
    from streamhub_orm.migrations.states import FileState


def upgrade_app_file(  # noqa: PLR0913 - the one road of all callers
    path: Path,
    legacy: LegacyFiles | None,
    *,
    route: Route | None = None,
    progress: Progress = silent,
    scratch: bool = False,
    before_creating: Callable[[], object] = lambda: None,
) -> Upgraded:
    """Bring an app.db to head, or along another `route`, and import its legacy rows; idempotent.

    A file that was never there is created; one that was, and is missing, is lost, unless `legacy`
    says that it is started anew. Without `legacy` nothing is created or imported: whose the file
    is, is not known. A `scratch` file is a copy that nobody keeps, so no backup of it is made.
    `progress` hears of the rows and indices of a big app; `before_creating` is called right before
    a new file appears, when nothing but the disk can prevent it. Raises a `DatabaseFileError`; then
    an existing file is as it was, and a missing one missing.
    """
    road = route or route_to_head(APP)
    if legacy is None or scratch or legacy.create_missing:
        found = look_for_upgrade(path, APP)
    else:
        found = look_for_app_upgrade(path, legacy.app, recorded=legacy.is_recorded)
    if _is_done(found, road, legacy):
        return Upgraded.unchanged(found)
    if legacy is not None and not path.exists():
        require_no_stray_wal(path)
        if road.destination(None) == APP.head:
            with suppress(FileExistsError):  # another process has created it meanwhile
                return _create(path, legacy, progress, before_creating, scratch=scratch)
        create_empty(path, mode=legacy.mode_of_new_file)
    with folder_lock(path.parent):
        found = look_for_upgrade(path, APP)
        if _is_done(found, road, legacy):
            return Upgraded.unchanged(found)
        if legacy is not None and VODS_MARKER not in found.markers:
            require_importable(legacy.vods_db, recover=not scratch)
        backup = None
        if found.state is not State.MISSING and not scratch:
            backup = back_up(path)
        with migration_transaction(path) as connection:
            raw = raw_connection(connection)
            account = Account()
            with rows_accounted_for(raw, path) as gained:
                adopt_unless_adopted(connection, APP, path)
                road.run(connection)
                reached = read_state(raw, APP, path).revision
                if legacy is not None and reached == APP.head:
                    account = _import(raw, legacy, progress)
                gained.update(asdict(account.imported))
        return Upgraded(found.revision, reached, backup, account)


def rehearse_app_file(path: Path, legacy: LegacyFiles, progress: Progress = silent) -> Upgraded:
    """Do the same work on a scratch copy and tell what it did; nothing of the app is touched."""
    found = look_for_upgrade(path, APP, recover=False)
    if is_done(found, APP):
        return Upgraded.unchanged(found)
    require_no_stray_wal(path)
    with scratch_copy(path, found) as scratch:
        return upgrade_app_file(scratch, legacy, progress=progress, scratch=True)


def _is_done(found: FileState, route: Route, legacy: LegacyFiles | None) -> bool:
    if found.revision is None:
        return False
    reached = route.destination(found.revision)
    importing = legacy is not None and reached == APP.head and imports_pending(found)
    return reached == found.revision and not importing


def _create(
    path: Path,
    legacy: LegacyFiles,
    progress: Progress,
    before_creating: Callable[[], object],
    *,
    scratch: bool,
) -> Upgraded:
    """Create an app.db at head with its legacy rows: whole and durable, or not at all.

    Raises `FileExistsError` where another process was faster.
    """
    require_importable(legacy.vods_db, recover=not scratch)
    with translated(path, "creating it"):
        if scratch:
            return Upgraded(None, APP.head, account=_fill(path, legacy, progress))
        make_folder(path.parent)
        with temporary_beside(path) as temporary:
            account = _fill(temporary, legacy, progress)
            mode = legacy.mode_of_new_file
            before_creating()
            publish(temporary, path, mode=mode)
    return Upgraded(None, APP.head, account=account)


def _fill(temporary: Path, legacy: LegacyFiles, progress: Progress) -> Account:
    """Write the template and import into it; the file is nobody's yet, so it needs no journal."""
    if not legacy.hold_rows():
        temporary.write_bytes(_template_without_rows())
        return Account()
    temporary.write_bytes(template(APP))
    with closing(open_scratch(temporary)) as connection:
        connection.execute("BEGIN")
        with checks_after_rows(connection, _checks()):
            account = _import(connection, legacy, progress)
        connection.execute("COMMIT")
    mark_as_wal(temporary)
    return account


def _import(connection: sqlite3.Connection, legacy: LegacyFiles, progress: Progress) -> Account:
    late = legacy.are_large() and are_empty(connection)
    built = RowProgress(legacy, progress).built
    with indices_after_rows(connection, built) if late else nullcontext():
        return import_legacy(connection, legacy, progress)


@cache
def _checks() -> dict[str, list[str]]:
    """Return the CHECK expressions of the moved tables at head."""
    with closing(open_in_memory()) as connection:
        connection.deserialize(template(APP))
        query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        return {
            table: sql_text.checks(connection.execute(query, (table,)).fetchone()[0])
            for table in TABLES
        }


@cache
def _template_without_rows() -> bytes:
    """Return an app.db that had nothing to import: the template in WAL mode, its markers set."""
    with closing(open_in_memory()) as connection:
        connection.deserialize(template(APP))
        set_markers(connection, MARKERS)
        return in_wal_mode(connection.serialize())

"""The life of one app.db up to head: created from a template, or upgraded, with its legacy rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import file_mode, make_folder, publish, temporary_beside
from streamhub_orm.engine.backups import copy_to_scratch
from streamhub_orm.engine.connections import open_scratch, reading, translated
from streamhub_orm.engine.database_files import in_wal_mode, mark_as_wal, require_no_stray_wal
from streamhub_orm.engine.folder_lock import folder_lock
from streamhub_orm.errors import DatabaseFileError
from streamhub_orm.legacy.deferred_constraints import (
    are_empty,
    checks_after_rows,
    indices_after_rows,
)
from streamhub_orm.legacy.importing import account_of, import_legacy, set_markers
from streamhub_orm.legacy.progress import RowProgress, silent
from streamhub_orm.legacy.sources import MARKERS, TABLES, VODS_MARKER, Account
from streamhub_orm.migrations import sql_text
from streamhub_orm.migrations.legacy_files import require_importable
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.transaction import run_upgrade
from streamhub_orm.migrations.upgrading import (
    Upgraded,
    look_for_upgrade,
    nothing_left,
    transform,
    upgrade_file,
)
from streamhub_orm.migrations.worlds import APP

if TYPE_CHECKING:
    from streamhub_orm.legacy.progress import Progress
    from streamhub_orm.legacy.sources import LegacyFiles
    from streamhub_orm.migrations.states import FileState


def bring_app_to_head(path: Path, files: LegacyFiles, progress: Progress = silent) -> Upgraded:
    """Create or upgrade an app.db and import its legacy rows; idempotent.

    `progress` hears of the rows and indices of a big app.
    Raises a `DatabaseFileError`; then an existing file is as it was, and a missing one missing.
    """
    if not path.exists():
        require_no_stray_wal(path)
        require_importable(files.vods_db)
        with suppress(FileExistsError):  # another process created it meanwhile
            return create_app_db(path, files, progress)
    with folder_lock(path.parent):
        found = look_for_upgrade(path, APP)
        if is_done(found):
            return Upgraded(found.revision, found.revision, changed=False)
        if VODS_MARKER not in found.markers:
            require_importable(files.vods_db)
        return upgrade_file(
            path,
            APP,
            like=files.global_db,
            found=found,
            finish=lambda raw: _import(raw, files, progress),
        )


def is_done(found: FileState) -> bool:
    """Tell whether there is nothing left to do for an app.db."""
    return nothing_left(found, APP)


def create_app_db(path: Path, files: LegacyFiles, progress: Progress = silent) -> Upgraded:
    """Create an app.db at head with its legacy rows: whole and durable, or not at all.

    Raises `FileExistsError` where another process was faster.
    """
    with translated(path, "creating it"):
        make_folder(path.parent, like=files.global_db)
        with temporary_beside(path) as temporary:
            account = _fill(temporary, files, progress)
            mode = file_mode(files.global_db)
            publish(temporary, path, like=files.global_db, mode=mode)
    return Upgraded(None, APP.head, account=account)


def rehearse_app(path: Path, files: LegacyFiles, progress: Progress = silent) -> Upgraded:
    """Do the same work on a scratch copy and tell what it did; nothing of the app is touched.

    The copy lies in the folder for temporary files (TMPDIR) and is removed at the end.
    """
    found = look_for_upgrade(path, APP, recover=False)
    if is_done(found):
        return Upgraded(found.revision, found.revision, changed=False)
    require_no_stray_wal(path)
    if VODS_MARKER not in found.markers:
        require_importable(files.vods_db, recover=False)
    with TemporaryDirectory(prefix="streamhub-rehearsal-") as folder:
        scratch = Path(folder) / path.name
        try:
            if found.state is State.MISSING:
                account = _fill(scratch, files, progress)
            else:
                copy_to_scratch(path, scratch)
                account = _upgrade_copy(scratch, files, progress)
        except DatabaseFileError as error:
            error.path = path
            raise
    return Upgraded(found.revision, APP.head, account=account)


def unmatched_of(path: Path, files: LegacyFiles) -> Account:
    """Count the legacy rows that an app.db at head does not hold; read-only."""
    with reading(path) as connection:
        return account_of(connection, files)


def _upgrade_copy(scratch: Path, files: LegacyFiles, progress: Progress) -> Account:
    return transform(
        scratch,
        APP,
        run=lambda connection: run_upgrade(connection, APP),
        finish=lambda raw: _import(raw, files, progress),
    )


def _fill(temporary: Path, files: LegacyFiles, progress: Progress) -> Account:
    """Write the template and import into it; the file is nobody's yet, so it needs no journal."""
    if not files.hold_rows():
        temporary.write_bytes(_template_without_rows())
        return Account()
    temporary.write_bytes(template(APP))
    with closing(open_scratch(temporary)) as connection:
        connection.execute("BEGIN")
        with checks_after_rows(connection, _checks()):
            account = _import(connection, files, progress)
        connection.execute("COMMIT")
    mark_as_wal(temporary)
    return account


def _import(connection: sqlite3.Connection, files: LegacyFiles, progress: Progress) -> Account:
    late = files.are_large() and are_empty(connection)
    built = RowProgress(files, progress).built
    with indices_after_rows(connection, built) if late else nullcontext():
        return import_legacy(connection, files, progress)


@cache
def _checks() -> dict[str, list[str]]:
    """Return the CHECK expressions of the moved tables at head."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(template(APP))
        query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        return {
            table: sql_text.checks(connection.execute(query, (table,)).fetchone()[0])
            for table in TABLES
        }


@cache
def _template_without_rows() -> bytes:
    """Return an app.db that had nothing to import: the template in WAL mode, its markers set."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(template(APP))
        set_markers(connection, MARKERS)
        return in_wal_mode(connection.serialize())

"""Restore: an installation, or one app of it, as it was when the archive was made."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.control_plane import (
    ServerRows,
    compare_with_server,
    require_rows_for_server,
    rows_put_on_server,
)
from streamhub_orm.archives.in_use import require_unused
from streamhub_orm.archives.names import Part, PartKind
from streamhub_orm.archives.places import LOCAL
from streamhub_orm.archives.replacing import (
    Replacement,
    exchanges_of,
    find_undoing,
    is_replaced,
    remove_emptied,
    replace_files,
    require_one_file_system,
)
from streamhub_orm.archives.restore_target import (
    alone_in,
    mode_of,
    staging_in,
    staging_of,
    target_of,
)
from streamhub_orm.archives.unpacking import only_app
from streamhub_orm.archives.verify import PHASE, Check
from streamhub_orm.data_dir import ASIDE, DataDir, require_app_name
from streamhub_orm.durable_files import remove_database
from streamhub_orm.engine.backups import time_stamp
from streamhub_orm.engine.changes import Changes, command
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.database_files import mark_as_wal
from streamhub_orm.engine.exchange import require_room
from streamhub_orm.errors import (
    DamagedArchiveError,
    StreamHubError,
    UnusableArchiveError,
)
from streamhub_orm.registry import read_app_ids, read_registry
from streamhub_orm.upgrade import upgrade_installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamhub_orm.archives.places import Places, ReadableArchive
    from streamhub_orm.archives.verify import Verified

    Progress = Callable[[str, int, int], None]

_GLOBAL: Final = Part(PartKind.GLOBAL)


@dataclass
class Restored:
    """The outcome of a restore; of a dry run, what it would be."""

    data_dir: Path
    source: str
    """Path or URL of the archive, or the folder that an undo took the files from."""
    files: list[str] = field(default_factory=list)
    """The files put in place, by their names in the archive."""
    set_aside: Path | None = None
    """The folder of the files before; None in a dry run."""
    unregistered: list[str] = field(default_factory=list)
    """Restored apps that the global database does not know."""
    lacks: list[str] = field(default_factory=list)
    """What is not in the archive of an installation; in the target it is as it was."""
    dry_run: bool = False
    server: str | None = None
    """The control plane that the rows of the global database are put on."""
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Numbers of rows there before and after, of the tables that differ."""
    must_be_named: str | None = None
    """Name of the database whose rows would be lost, for which a restore asks."""
    checksums: bool | None = None
    """True where the archive had checksums to compare the files with; None for an undo."""
    failed: int = 0
    """Databases that the upgrade afterwards could not bring to head."""
    error: str | None = None
    """Why the upgrade afterwards was refused; the files are in their places all the same."""

    @property
    def ok(self) -> bool:
        """True where the upgrade afterwards, if one was wanted, went well."""
        return not self.failed and self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup restore --json` and `backup undo --json` print."""
        return {
            "ok": self.ok,
            "error": self.error,
            "data_dir": str(self.data_dir),
            "source": self.source,
            "files": self.files,
            "set_aside": None if self.set_aside is None else str(self.set_aside),
            "unregistered": self.unregistered,
            "lacks": self.lacks,
            "dry_run": self.dry_run,
            "server": self.server,
            "rows": {table: {"before": a, "after": b} for table, (a, b) in self.rows.items()},
            "must_be_named": self.must_be_named,
            "checksums": self.checksums,
            "failed": self.failed,
        }


def fetch_and_restore(  # noqa: PLR0913 - one keyword for each option of the command
    places: Places,
    name: str,
    *,
    source: str = LOCAL,
    app: str | None = None,
    allow_incomplete: bool = False,
    no_manifest: bool = False,
    keep_global: bool = False,
    replace_server: str | None = None,
    dry_run: bool = False,
    then_upgrade: bool = False,
    progress: Progress = lambda *_: None,
) -> Restored:
    """Restore an archive of the folder or the bucket; with `then_upgrade`, bring all to head.

    `name` is that of an archive, a path, or `latest`. What goes wrong with the upgrade is told in
    the outcome, since the files are restored by then. Raises what `restore_archive` raises,
    `NoSuchBackupError` and `StorageError`.
    """
    with places.archive(source, name, allow_incomplete=allow_incomplete) as archive:
        restored = restore_archive(
            archive.path,
            places.data_dir,
            app=app,
            allow_incomplete=allow_incomplete,
            no_manifest=no_manifest,
            keep_global=keep_global,
            replace_server=replace_server,
            dry_run=dry_run,
            again=_again(places, archive, name, source, then_upgrade=then_upgrade),
            progress=progress,
        )
    restored.source = archive.address
    if then_upgrade and not dry_run:
        try:
            restored.failed = upgrade_installation(places.data_dir, progress=progress).failed
        except StreamHubError as error:
            restored.error = f"restored, but not upgraded: {error}"
    return restored


def _again(
    places: Places, archive: ReadableArchive, name: str, source: str, *, then_upgrade: bool
) -> list[object]:
    """Return the arguments that name the archive and what is to follow."""
    named: list[object] = [archive.address] if source == LOCAL else [name, "--from", source]
    identity = [] if places.identity is None else ["--identity", places.identity]
    return [*named, *identity, *(["--upgrade"] if then_upgrade else [])]


def restore_archive(  # noqa: PLR0913 - one keyword for each option of the command
    archive: Path,
    data_dir: Path | DataDir,
    *,
    app: str | None = None,
    allow_incomplete: bool = False,
    no_manifest: bool = False,
    keep_global: bool = False,
    replace_server: str | None = None,
    dry_run: bool = False,
    again: Sequence[object] = (),
    progress: Progress = lambda *_: None,
) -> Restored:
    """Put the files of an archive in place of the present ones, which go into `pre-restore-<UTC>/`.

    Every file is verified before the first one is touched. With `app`, only that app's files. Files
    that the archive does not hold stay, and with `keep_global` the global database does. An archive
    without a manifest, and so without checksums, is restored with `no_manifest` only.

    Where the global database is on a server, its rows there are replaced, in one transaction that
    is committed when the files are in their places; `replace_server`, the name of the database,
    gives up rows that it holds, which are set aside too. Raises `ArchiveError` and its kinds,
    `DatabaseInUseError` while another process has one of the databases open, or another
    `StreamHubError`; from the first change on `HalfDoneError`, which names the command by `again`,
    the archive as the operator did.
    """
    if app is not None:
        require_app_name(app)
    place = target_of(data_dir)
    with alone_in(place), staging_in(place) as staging:
        found, parts = _unpack_verified(archive, staging, app, progress=progress)
        _require_wanted(
            archive,
            found,
            app,
            allow_incomplete=allow_incomplete,
            no_manifest=no_manifest,
        )
        if keep_global:
            parts = [each for each in parts if each != _GLOBAL]
        replacements = [
            Replacement(each, each.path_in(place), staging / each.name) for each in parts
        ]
        if place.global_url is not None and _GLOBAL in parts:
            require_rows_for_server(archive, _GLOBAL.name, staging / _GLOBAL.name)
        options = [
            *(["--app", app] if app is not None else []),
            *(["--allow-incomplete"] if allow_incomplete else []),
            *(["--no-manifest"] if no_manifest else []),
            *(["--keep-global"] if keep_global else []),
            *(["--replace-server", replace_server] if replace_server is not None else []),
        ]
        restored = Restored(
            place.root,
            str(archive),
            [each.name for each in parts],
            lacks=found.lacks,
            dry_run=dry_run,
            checksums=found.manifest is not None,
        )
        finish = command(place.root, "backup", "restore", *(again or [archive]), *options)
        with _replacing(place, restored, replacements, finish, replace_server):
            pass
        return restored


def undo_restore(
    aside: Path, data_dir: Path, *, replace_server: str | None = None, dry_run: bool = False
) -> Restored:
    """Put back what a restore set aside; the files that are there now are set aside in turn.

    So are rows of a control plane; see `restore_archive` about `replace_server`.
    """
    place = target_of(data_dir)
    with alone_in(place), staging_in(place):
        aside = Path(os.path.abspath(aside))  # noqa: PTH100 - resolve() would follow links
        place.require_no_link(aside)
        replacements = find_undoing(place, aside)
        names = [each.part.name for each in replacements]
        if place.global_url is not None and _GLOBAL.name in names:
            require_rows_for_server(aside, _GLOBAL.name, aside / _GLOBAL.name)
        restored = Restored(place.root, str(aside), names, dry_run=dry_run)
        options = ["--replace-server", replace_server] if replace_server is not None else []
        finish = command(place.root, "backup", "undo", aside, *options)
        with _replacing(place, restored, replacements, finish, replace_server):
            if not dry_run:
                remove_emptied(aside)
        return restored


def _unpack_verified(
    archive: Path, staging: Path, app: str | None, *, progress: Progress
) -> tuple[Verified, list[Part]]:
    check = Check(archive)
    parts = []
    for unpacked in check.unpacking.files(staging, only_app(app)):
        check.look_at(unpacked)
        if unpacked.part.kind.is_database and not check.found.faults:
            mark_as_wal(unpacked.path)
        if unpacked.part.kind is PartKind.DUMP:
            unpacked.path.unlink()  # for pg_restore; it has no place in an installation
        else:
            parts.append(unpacked.part)
        progress(PHASE, len(parts), check.expected or len(parts))
    found = check.finish(partial=app is not None)
    if found.faults:
        raise DamagedArchiveError(archive, found.faults)
    if not parts:
        raise UnusableArchiveError(
            archive,
            f"no files of app {app!r}",
            "an app that is in it",
            "Name another backup or app.",
        )
    return found, parts


def _require_wanted(
    archive: Path,
    found: Verified,
    app: str | None,
    *,
    allow_incomplete: bool,
    no_manifest: bool,
) -> None:
    if found.manifest is None and not no_manifest:
        raise UnusableArchiveError(
            archive,
            "no manifest",
            "one, with the checksum of every file",
            "Use another backup, or pass --no-manifest: every database is checked all the same, "
            "but no checksum is compared.",
        )
    if app is None and found.manifest and not found.complete and not allow_incomplete:
        lacking = ", ".join(found.manifest.failures)
        raise UnusableArchiveError(
            archive,
            f"an incomplete backup, which lacks {lacking}",
            "every database",
            "Use another backup, or pass --allow-incomplete: what it lacks stays as it is.",
        )


@contextmanager
def _replacing(
    place: DataDir,
    restored: Restored,
    replacements: Sequence[Replacement],
    finish: str,
    replace_server: str | None,
) -> Iterator[None]:
    """Replace the files and go on; a fault from the first change on tells what is new and old."""
    rows, replacements = _rows_and_files(place, replacements)
    for path in (each.target for each in replacements):
        for suffix in ("", "-wal", "-journal", "-shm"):
            place.require_regular(path.with_name(path.name + suffix))
    require_unused(each.target for each in replacements if each.part.kind.is_database)
    require_one_file_system(place, replacements)
    require_room(exchanges_of(replacements))
    if restored.dry_run:
        if rows is not None:
            _tell(restored, compare_with_server(place, rows), replace_server)
        yield
        return
    aside = place.root / f"{ASIDE}{time_stamp()}"
    undo = command(place.root, "backup", "undo", aside)
    changes = Changes(restored.files, finish, undo, aside)

    def look() -> None:
        if changes.begun:
            changes.new += [each.part.name for each in replacements if is_replaced(each)]

    changes.look = look
    with changes.told(place.root, "replacing files"):
        with _rows_in_place(place, restored, rows, replace_server) as kept:
            replace_files(replacements, aside, mode=mode_of(place), changes=changes, kept=kept)
            if kept:
                changes.begin()
        changes.new += [part.name for part in kept]
        if kept and rows is not None:
            remove_database(rows)
        restored.set_aside = aside
        restored.unregistered = _unregistered(place, replacements)
        yield


def _rows_and_files(
    place: DataDir, replacements: Sequence[Replacement]
) -> tuple[Path | None, Sequence[Replacement]]:
    """Part the file whose rows a control plane gets, if any, from those that are put here."""
    if place.global_url is not None:
        rows = next((it.staged for it in replacements if it.part == _GLOBAL), None)
        return rows, [it for it in replacements if it.part != _GLOBAL]
    return None, replacements


@contextmanager
def _rows_in_place(
    place: DataDir, restored: Restored, rows: Path | None, named: str | None
) -> Iterator[dict[Part, Path]]:
    """Yield the file of what the server held, where it gets other rows at the end of the block."""
    if rows is None:
        yield {}
        return
    kept = staging_of(place) / "before.db"
    with rows_put_on_server(place, rows, kept, named, lambda *_: None) as found:
        _tell(restored, found, named)
        yield {_GLOBAL: kept} if found.rows else {}


def _tell(restored: Restored, found: ServerRows, named: str | None) -> None:
    restored.server, restored.rows = found.server, found.rows
    if found.must_be_named and named != found.database:
        restored.must_be_named = found.database


def _unregistered(place: DataDir, replacements: Sequence[Replacement]) -> list[str]:
    """Return the replaced apps that the global database does not register."""
    registered: set[str] = set()
    if place.global_url is not None:
        registered = set(read_registry(place).ids)
    elif place.global_db.exists():
        with reading(place.global_db) as connection:
            registered = set(read_app_ids(connection))
    return sorted({each.part.app for each in replacements if each.part.app} - registered)

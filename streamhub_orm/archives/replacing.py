"""Replacement of files, which are set aside in one folder so that it can be undone.

Every name leads to a whole file at every instant, the old one or the new one. A kill leaves some
files new and some old; none is lost, and the replacement can be undone from there too. A database
is not renamed but written anew by SQLite, since a service may open it at any instant.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.archives.names import PartKind, part_named
from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import (
    file_mode,
    finish,
    make_folder,
    no_empty_folder_left,
    read_regular,
    remove_leftovers,
    sync,
)
from streamhub_orm.engine.connections import fold_wal_in, is_busy, open_read_only
from streamhub_orm.engine.exchange import exchange, hold_the_same, take_away
from streamhub_orm.errors import DatabaseInUseError, OtherFileSystemError, UnusableArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streamhub_orm.archives.names import Part
    from streamhub_orm.engine.changes import Changes

_RECORD: Final = "restored.json"
_COMPANIONS: Final = ("-journal", "-wal")


@dataclass(frozen=True)
class Replacement:
    """A file of an installation, and the file that is to take its place."""

    part: Part
    target: Path
    staged: Path | None
    """None takes the file away."""


def require_one_file_system(place: DataDir, replacements: Sequence[Replacement]) -> None:
    """Raise `OtherFileSystemError` where a file could not be renamed into its place."""
    device = place.root.stat().st_dev
    for each in replacements:
        folder = existing_folder(each.target.parent)
        if folder.stat().st_dev != device:
            raise OtherFileSystemError(each.target, folder, place.root)


def exchanges_of(replacements: Sequence[Replacement]) -> list[tuple[Path, Path]]:
    """Return the databases that are written anew, each with what is new; others are renamed."""
    return [
        (it.target, it.staged)
        for it in replacements
        if it.part.kind.is_database and it.staged is not None and it.target.exists()
    ]


def existing_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def replace_files(
    replacements: Sequence[Replacement],
    aside: Path,
    *,
    mode: int,
    changes: Changes,
    kept: Mapping[Part, Path],
) -> None:
    """Put each staged file in its place, and what lay there into `aside`, as in an archive.

    So is what is `kept` of a database that is no file here.

    `aside` must not exist, and must lie on the file system of all targets. A new file takes the
    mode of the one before, else `mode`; secrets.json is 0600 in any case. `changes` is told of the
    first change and of each file that is in its place; a fault before the first leaves nothing.
    """
    folders = {each.target.parent for each in replacements}
    with ExitStack() as emptied:
        for folder in folders:
            emptied.enter_context(no_empty_folder_left(folder))
        try:
            for each in replacements:
                _prepare(each, mode)
            aside.mkdir(mode=0o700)
            existed = {each.part.name: each.target.exists() for each in replacements}
            _write_record(aside, {**{part.name: True for part in kept}, **existed})
            for part, path in kept.items():
                make_folder((aside / part.name).parent)
                path.rename(aside / part.name)
                sync((aside / part.name).parent)
            for each in replacements:
                _replace(each, aside, changes)
                changes.new.append(each.part.name)
            for folder in folders:
                sync(folder)
        except BaseException:
            if not changes.begun:
                shutil.rmtree(aside, ignore_errors=True)
            raise


def is_replaced(replacement: Replacement) -> bool:
    """Look whether a file is in its place, after a fault that left it open."""
    target, staged = replacement.target, replacement.staged
    if staged is None:
        return not target.exists()
    if not staged.exists():
        return True
    if not replacement.part.kind.is_database or not target.exists():
        return False
    return hold_the_same(target, staged)


def find_undoing(place: DataDir, aside: Path) -> list[Replacement]:
    """Find the replacements that undo the restore which made `aside`, however far it came."""
    replacements = []
    inside = DataDir(aside, aside)
    for part, existed in _load_record(aside).items():
        target, kept = part.path_in(place), aside / part.name
        inside.require_regular(kept)
        if kept.exists():
            replacements.append(Replacement(part, target, kept))
        elif not existed and target.exists():
            replacements.append(Replacement(part, target, None))
    return replacements


def remove_emptied(aside: Path) -> None:
    """Remove the folder of a restore that was undone; what it still holds stays."""
    (aside / _RECORD).unlink(missing_ok=True)
    for folder, _, _ in os.walk(aside, topdown=False):
        remove_leftovers(Path(folder))
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - what os.walk names


def _prepare(replacement: Replacement, mode: int) -> None:
    staged = replacement.staged
    if staged is None:
        return
    if replacement.part.kind.is_database and staged.with_name(f"{staged.name}-wal").exists():
        with suppress(sqlite3.DatabaseError):  # no database any more: it goes as it is
            fold_wal_in(staged)
    make_folder(replacement.target.parent)
    if replacement.target.exists():
        mode = file_mode(replacement.target)
    is_secret = replacement.part.kind is PartKind.SECRETS
    finish(staged, 0o600 if is_secret else mode & 0o666)


def _replace(replacement: Replacement, aside: Path, changes: Changes) -> None:
    kept = aside / replacement.part.name
    make_folder(kept.parent)
    if not replacement.part.kind.is_database:
        _rename(replacement, kept, changes)
    elif replacement.staged is not None and _is_same(replacement.staged, replacement.target):
        replacement.staged.unlink()  # a run put it in place and was killed just then
    elif replacement.target.exists():
        _replace_database(replacement, kept, changes)
    else:
        _put_new(replacement, kept, changes)


def _replace_database(replacement: Replacement, kept: Path, changes: Changes) -> None:
    target, staged = replacement.target, replacement.staged
    try:
        if staged is not None and _is_database(staged):
            exchange(target, staged, kept, changes.begin)
            staged.unlink()
        elif staged is None:
            take_away(target, kept, changes.begin)
        else:
            with _coming_back(target, kept):
                take_away(target, kept, changes.begin)
                _put_new(replacement, kept, changes)
    except sqlite3.DatabaseError as error:
        if is_busy(error):
            raise DatabaseInUseError([f"{target} by another process"]) from error
        if kept.exists() or error.sqlite_errorname not in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            raise
        _rename(replacement, kept, changes)  # no database, so nobody can write rows into it


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _is_database(path: Path) -> bool:
    try:
        with closing(open_read_only(path)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def _put_new(replacement: Replacement, kept: Path, changes: Changes) -> None:
    """Put a database where none is; one that somebody makes meanwhile is no less of a database."""
    target, staged = replacement.target, replacement.staged
    assert staged is not None  # noqa: S101 - what is not there is not taken away
    _move_companions(target, kept, changes)
    changes.begin()
    try:
        os.link(staged, target)
    except FileExistsError:
        if kept.exists():
            raise DatabaseInUseError([f"{target} by another process"]) from None
        _replace_database(replacement, kept, changes)
        return
    staged.unlink()
    _move_companions(staged, target, changes)


@contextmanager
def _coming_back(target: Path, kept: Path) -> Iterator[None]:
    """Put a database that was taken away back, where nothing can be put in its place."""
    try:
        yield
    except OSError:
        if kept.exists() and not target.exists():
            with suppress(OSError):  # then it lies in the folder that is named, and so it is said
                os.link(kept, target)
                kept.unlink()
                sync(target.parent)
        raise


def _rename(replacement: Replacement, kept: Path, changes: Changes) -> None:
    """Set the companions aside first: a new file must never meet the -wal of another."""
    target, staged = replacement.target, replacement.staged
    if replacement.part.kind.is_database:
        _move_companions(target, kept, changes)
    if target.exists():
        os.link(target, kept)
    sync(kept.parent)
    changes.begin()
    if staged is None:
        target.unlink()
    else:
        staged.replace(target)
        if replacement.part.kind.is_database:
            _move_companions(staged, target, changes)


def _move_companions(path: Path, target: Path, changes: Changes) -> None:
    for suffix in _COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            changes.begin()
            companion.rename(target.with_name(target.name + suffix))
    # An index of the -wal in shared memory, worth nothing without the process that made it.
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


def _write_record(aside: Path, existed: dict[str, bool]) -> None:
    record = aside / _RECORD
    record.write_text(json.dumps({"files": existed}, ensure_ascii=False, indent=1))
    sync(record)
    sync(aside)
    sync(aside.parent)


def _load_record(aside: Path) -> dict[Part, bool]:
    try:
        files = json.loads(read_regular(aside / _RECORD))["files"]
        named = {part_named(name): bool(existed) for name, existed in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnusableArchiveError(
            aside,
            f"no readable {_RECORD} ({error})",
            "a folder pre-restore-… that a restore made",
            "Name the folder that the restore printed.",
        ) from error
    return {
        part: existed
        for part, existed in named.items()
        if part is not None and part.kind is not PartKind.DUMP
    }

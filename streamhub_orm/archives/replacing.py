"""Replacement of files, which are set aside in one folder so that it can be undone.

Every name leads to a whole file at every instant, the old one or the new one. A kill leaves some
files new and some old; none is lost, and the replacement can be undone from there too.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamhub_orm.archives.names import PartKind, part_named
from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import file_mode, finish, make_folder, read_regular, sync
from streamhub_orm.engine.connections import fold_wal_in
from streamhub_orm.errors import OtherFileSystemError, UnusableArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streamhub_orm.archives.names import Part

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


def existing_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def replace_files(replacements: Sequence[Replacement], aside: Path, *, mode: int) -> None:
    """Put each staged file in its place, and what lay there into `aside`, as in an archive.

    `aside` must not exist, and must lie on the file system of all targets. A new file takes the
    mode of the one before, else `mode`; secrets.json is 0600 in any case.
    """
    _make_single_files(replacements)
    for each in replacements:
        _prepare(each, mode)
    aside.mkdir(mode=0o700)
    _write_record(aside, {each.part.name: each.target.exists() for each in replacements})
    for each in replacements:
        _replace(each, aside)
    for folder in {each.target.parent for each in replacements}:
        sync(folder)


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
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - what os.walk names


def _make_single_files(replacements: Sequence[Replacement]) -> None:
    """Fold each -wal into its file: two files cannot be moved at one instant."""
    for each in replacements:
        for path in (each.target, each.staged):
            if each.part.kind.is_database and path is not None and path.exists():
                with suppress(sqlite3.DatabaseError):  # no database any more: it goes as it is
                    fold_wal_in(path)


def _prepare(replacement: Replacement, mode: int) -> None:
    if replacement.staged is None:
        return
    make_folder(replacement.target.parent)
    if replacement.target.exists():
        mode = file_mode(replacement.target)
    is_secret = replacement.part.kind is PartKind.SECRETS
    finish(replacement.staged, 0o600 if is_secret else mode & 0o666)


def _replace(replacement: Replacement, aside: Path) -> None:
    """Set the companions aside first: a new file must never meet the -wal of another."""
    kept = aside / replacement.part.name
    make_folder(kept.parent)
    _move_companions(replacement.target, kept)
    if replacement.target.exists():
        os.link(replacement.target, kept)
    sync(kept.parent)
    if replacement.staged is None:
        replacement.target.unlink()
    else:
        replacement.staged.replace(replacement.target)
        _move_companions(replacement.staged, replacement.target)


def _move_companions(path: Path, target: Path) -> None:
    for suffix in _COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
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
    return {part: existed for part, existed in named.items() if part is not None}

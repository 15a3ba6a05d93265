"""Putting files in the place of others, which are set aside in one folder: so it can be undone.

Every name leads to a whole file at every instant, the old one or the new one. A kill leaves some
files new and some old; none is lost, and the way back is known from there too.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamhub_orm.archives.names import Kind, member_named
from streamhub_orm.durable_files import file_mode, make_folder, sync, take_owner
from streamhub_orm.errors import UnusableArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streamhub_orm.archives.names import Member
    from streamhub_orm.data_dir import DataDir

_RECORD: Final = "restored.json"
_COMPANIONS: Final = ("-journal", "-wal")


@dataclass(frozen=True)
class Swap:
    """A file of an installation, and what is to lie in its place."""

    member: Member
    target: Path
    staged: Path | None
    """None takes the file away."""


def swap_in(swaps: Sequence[Swap], aside: Path, *, like: Path) -> None:
    """Put each staged file in its place, and what lay there into `aside`, as in an archive.

    `aside` must not exist, and must lie on the file system of all targets; it takes the owner of
    `like`, so that he can undo or remove it. New files take owner and mode of the file before, or
    of `like`; secrets.json is 0600 in any case.
    """
    for swap in swaps:
        _prepare(swap, like)
    aside.mkdir(mode=0o700)
    take_owner(aside, like)
    _write_record(aside, {swap.member.name: swap.target.exists() for swap in swaps}, like)
    for swap in swaps:
        _swap(swap, aside)
    for folder in {swap.target.parent for swap in swaps}:
        sync(folder)


def swaps_back(place: DataDir, aside: Path) -> list[Swap]:
    """Return what undoes the restore whose files lie in `aside`, however far it came."""
    swaps = []
    for member, existed in _load_record(aside).items():
        target, kept = member.path_in(place), aside / member.name
        if kept.exists():
            swaps.append(Swap(member, target, kept))
        elif not existed and target.exists():
            swaps.append(Swap(member, target, None))
    return swaps


def remove_emptied(aside: Path) -> None:
    """Remove the folder of a restore that was undone; what it still holds stays."""
    (aside / _RECORD).unlink(missing_ok=True)
    for folder, _, _ in os.walk(aside, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - what os.walk names


def _prepare(swap: Swap, like: Path) -> None:
    if swap.staged is None:
        return
    make_folder(swap.target.parent, like)
    model = swap.target if swap.target.exists() else like
    take_owner(swap.staged, model)
    private = swap.member.kind is Kind.SECRETS
    swap.staged.chmod(0o600 if private else file_mode(model) & 0o666)
    sync(swap.staged)


def _swap(swap: Swap, aside: Path) -> None:
    """Set the companions aside first: a new file must never meet the -wal of another."""
    kept = aside / swap.member.name
    make_folder(kept.parent, like=aside)
    _move_companions(swap.target, kept)
    if swap.target.exists():
        os.link(swap.target, kept)
    sync(kept.parent)
    if swap.staged is None:
        swap.target.unlink()
    else:
        swap.staged.replace(swap.target)
        _move_companions(swap.staged, swap.target)


def _move_companions(path: Path, target: Path) -> None:
    for suffix in _COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(target.with_name(target.name + suffix))
    # An index of the -wal in shared memory, worth nothing without the process that made it.
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


def _write_record(aside: Path, existed: dict[str, bool], like: Path) -> None:
    record = aside / _RECORD
    record.write_text(json.dumps({"files": existed}, ensure_ascii=False, indent=1))
    take_owner(record, like)
    sync(record)
    sync(aside)
    sync(aside.parent)


def _load_record(aside: Path) -> dict[Member, bool]:
    try:
        files = json.loads((aside / _RECORD).read_bytes())["files"]
        named = {member_named(name): bool(existed) for name, existed in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableArchiveError(
            aside,
            f"no readable {_RECORD} ({error})",
            "a folder pre-restore-… that a restore made",
            "Name the folder that the restore printed.",
        ) from error
    return {member: existed for member, existed in named.items() if member is not None}

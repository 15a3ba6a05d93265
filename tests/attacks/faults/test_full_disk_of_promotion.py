"""A disk that is full, or nearly so, while the global database moves to a server and back."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import DatabaseFileError, HalfDoneError
from streamhub_orm.global_db import Tenant
from streamhub_orm.promotion.demote import demote
from streamhub_orm.promotion.promote import promote
from tests.promotion.conftest import Sides
from tests.promotion.contents import bytes_of, read_all

if TYPE_CHECKING:
    from pathlib import Path

_ROOM: Final = (0, 16 << 10, 96 << 10, 256 << 10, 640 << 10)
"""Bytes that are free: for nothing, for less than a backup, for that alone, and so on."""


@pytest.fixture
def small(sides: Sides, small_disk: Path) -> Sides:
    """The installation of a promotion, on a disk that can be filled."""
    shutil.move(sides.root, small_disk / "data")
    return Sides(DataDir.find(small_disk / "data"), sides.text)


def leave(small: Sides, free: int) -> Path:
    """Fill the disk but for so many bytes."""
    filler = small.root.parent / "filler"
    filler.unlink(missing_ok=True)
    room = shutil.disk_usage(small.root).free - free
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, room)
    os.close(descriptor)
    return filler


def add_tenant(databases: Databases, number: int) -> None:
    with databases.global_session() as session:
        session.add(Tenant(id=f"tnt_{number}", name=""))


def test_promotion_on_a_full_disk_is_refused_or_done(small: Sides) -> None:
    outcomes = []
    for number, free in enumerate(_ROOM):
        before = bytes_of(small.file)
        filler = leave(small, free)
        try:
            outcomes.append(promote(small.root, small.url).changed)
        except DatabaseFileError as error:
            assert "free" in error.todo.lower(), error  # noqa: PT017 - what is said counts
            outcomes.append(False)
        filler.unlink()
        if not outcomes[-1]:
            after = bytes_of(small.file)
            after.pop("streamhub.db-wal", None)  # frames of no commit
            assert after == before
            with Databases(small.root) as databases:
                add_tenant(databases, number)
                expected = read_all(databases)
    assert (outcomes[0], outcomes[-1]) == (False, True)
    with Databases(small.root, global_url=small.text) as databases:
        assert read_all(databases) == expected


def test_demotion_on_a_full_disk_is_refused_or_done(small: Sides) -> None:
    promote(small.root, small.url)
    outcomes = []
    for number, free in enumerate(_ROOM):
        filler = leave(small, free)
        try:
            outcomes.append(demote(small.root, small.url).changed)
        except (DatabaseFileError, HalfDoneError) as error:
            assert error.exit_code == 3, error  # noqa: PT017 - what is said counts
            outcomes.append(False)
        filler.unlink()
        if not outcomes[-1]:
            with Databases(small.root, global_url=small.text) as databases:
                add_tenant(databases, number)
                expected = read_all(databases)
    assert (outcomes[0], outcomes[-1]) == (False, True)
    with Databases(small.root) as databases:
        assert read_all(databases) == expected

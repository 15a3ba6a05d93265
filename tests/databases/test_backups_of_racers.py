"""Processes that open one old app at once: one of them works on it, and leaves one backup."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import list_backups
from tests.support.faults.starting_line import StartingLine
from tests.support.installations import Options

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation

OPENERS = 6
ROUNDS = 6


@pytest.mark.parametrize("plain", [False, True], ids=["sessions", "plain alembic"])
def test_processes_that_open_one_old_app_at_once_leave_one_backup(
    make_installation: MakeInstallation, *, plain: bool
) -> None:
    """Whoever comes second finds the work done, or the same backup there already."""
    installation = make_installation("pre_tenancy", options=Options(killed_writers=False))
    data_dir, path = installation.data_dir, installation.app_db("tv-2")
    original = shutil.copytree(path.parent, data_dir / "original")
    counts = []
    with StartingLine() as line:
        for _ in range(ROUNDS):
            labels = [f"opener {number}" for number in range(OPENERS)]
            runs = [("open", str(data_dir), "tv-2", label) for label in labels]
            left = line.start([("alembic", str(data_dir), "tv-2")] * OPENERS if plain else runs)
            assert [it.status for it in left.values()] == [0] * OPENERS
            said = "".join(it.stderr for it in left.values())
            assert said.count("upgraded from") == (1 if plain else 0), said
            assert said.count("nothing to do") == (OPENERS - 1 if plain else 0), said
            assert len(said.splitlines()) == (OPENERS if plain else 0), said
            counts.append(len(list_backups(path)))
            shutil.rmtree(path.parent)
            shutil.copytree(original, path.parent)
    assert counts == [1] * ROUNDS

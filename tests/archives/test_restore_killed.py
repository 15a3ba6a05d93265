"""SIGKILL within a restore: nothing is lost, and both ways out are open."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.restore import restore_archive, undo_restore
from tests.archives.test_restore import contents_of, spoil
from tests.support.faults.sampling import sample

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.support.installations import Installation

FEWEST_POINTS = 50
EVERY = 17

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from streamhub_orm.archives.restore import restore_archive

changing = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.chmod"}
points = 0

def count(event, arguments):
    global points
    if event in changing:
        points += 1
        if points == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
restore_archive(Path(sys.argv[1]), Path(sys.argv[2]))
print(points)
"""


def run_killed_at(point: int, archive: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED_AT, str(archive), str(data_dir), str(point)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def spoiled(installation: Installation, created: Created) -> tuple[Installation, Path]:
    spoil(installation)
    return installation, created.archive


def copy_of(data_dir: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(data_dir, folder)
    return folder


def test_killed_restore_can_be_undone_and_can_be_done_again(
    spoiled: tuple[Installation, Path], tmp_path: Path
) -> None:
    """At calls that rename, link, remove or make: the way back is open, and the way forth."""
    original, archive = spoiled[0].data_dir, spoiled[1]
    whole = copy_of(original, tmp_path / "whole")
    done = run_killed_at(0, archive, whole)
    assert done.returncode == 0, done.stderr
    before, after, points = contents_of(original), contents_of(whole), int(done.stdout)
    assert points > FEWEST_POINTS
    for point in sample(points, EVERY):
        attempt = copy_of(original, tmp_path / "attempt")
        assert run_killed_at(point, archive, attempt).returncode == -signal.SIGKILL
        assert_nothing_is_lost(before, attempt)
        for record in attempt.glob("pre-restore-*/restored.json"):
            back = copy_of(attempt, tmp_path / "back")
            undo_restore(back / record.parent.name, back)
            assert contents_of(back) == before, point
        restore_archive(archive, attempt)
        assert contents_of(attempt) == after, point


def test_killed_restore_into_a_new_folder_can_be_done_again(
    created: Created, tmp_path: Path
) -> None:
    """What it left is known for its own, so the folder is as good as new."""
    done = run_killed_at(0, created.archive, tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    whole, points = contents_of(tmp_path / "whole"), int(done.stdout)
    for point in sample(points, EVERY):
        folder = tmp_path / f"new-{point}"
        assert run_killed_at(point, created.archive, folder).returncode == -signal.SIGKILL
        restore_archive(created.archive, folder)
        assert contents_of(folder) == whole, point


def assert_nothing_is_lost(before: dict[str, object], attempt: Path) -> None:
    """Each file is where it was, or set aside."""
    present = contents_of(attempt)
    aside: dict[str, object] = {}
    for folder in attempt.glob("pre-restore-*"):
        aside |= contents_of(folder)
    for name, content in before.items():
        archived = name if name.startswith("data/") else f"data/{name}"
        assert content in (present.get(name), aside.get(archived)), name


def test_undo_that_was_killed_between_its_two_names_of_a_file_is_done_again(
    installation: Installation, created: Created
) -> None:
    """A database that it had just put in an empty place is still in the folder, too."""
    path = installation.data_dir / "apps/live/app.db"
    before = contents_of(installation.data_dir)
    restored = restore_archive(created.archive, installation.data_dir, app="live")
    assert restored.set_aside is not None
    path.unlink()
    path.hardlink_to(restored.set_aside / "data/apps/live/app.db")
    undo_restore(restored.set_aside, installation.data_dir)
    assert contents_of(installation.data_dir) == before
    assert path.stat().st_nlink == 1

"""Turns in a folder: one at a time, but never a reason to fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from streamhub_orm.engine import folder_lock as module
from streamhub_orm.engine.folder_lock import folder_lock

if TYPE_CHECKING:
    import pytest

CHECKOUT = Path(__file__).parents[2]

# Run in a process of its own: pytest must not be forked.
FORK_DURING_A_TURN = """
import os, signal, sys, time
from pathlib import Path
from streamhub_orm.engine.folder_lock import folder_lock

folder = Path(sys.argv[1])
with folder_lock(folder):
    child = os.fork()
    if not child:
        signal.pause()
begun = time.monotonic()
with folder_lock(folder):
    seconds = time.monotonic() - begun
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
assert seconds < 1, seconds
"""


def test_turns_never_overlap_and_leave_no_file(tmp_path: Path) -> None:
    """Eight threads, each with a descriptor of its own as processes have."""
    inside: list[int] = []
    overlaps: list[int] = []

    def work(number: int) -> None:
        with folder_lock(tmp_path):
            overlaps.extend(inside)
            inside.append(number)
            time.sleep(0.002)
            inside.remove(number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    assert overlaps == []
    assert list(tmp_path.iterdir()) == []


def test_turn_ends_although_a_process_was_forked_during_it(tmp_path: Path) -> None:
    """The lock belongs to the open file, which the child still has."""
    command = [sys.executable, "-c", FORK_DURING_A_TURN, str(tmp_path)]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_turn_that_does_not_come_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that hangs makes nobody fail: the worst is a backup too many."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_SECONDS", 0.05)
    done = threading.Event()
    with folder_lock(tmp_path), folder_lock(tmp_path):
        done.set()
    assert done.is_set()


def test_turn_in_a_folder_that_cannot_be_opened_is_done_without(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "missing"):
        assert not (tmp_path / "missing").exists()

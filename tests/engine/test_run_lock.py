"""The lock of a run: one holder at a time, named, and never in the way after its death."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import LockFileError, UpgradeRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]

HOLDER = """
import sys, time
from pathlib import Path
from streamhub_orm.engine.run_lock import run_lock
path = Path(sys.argv[1])
with run_lock(path):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streamhub.db.lock"


@contextmanager
def other_run(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_lock_that_another_process_holds_is_refused_at_once_with_its_holder(path: Path) -> None:
    """The error names file, holder and what to do, and the holder is not disturbed."""
    with other_run(path) as other:
        started = time.monotonic()
        with pytest.raises(UpgradeRunningError) as refused, run_lock(path):
            pytest.fail("another process holds it")
        assert time.monotonic() - started < 2
        assert refused.value.holder == f"process {other.pid}"
        assert refused.value.exit_code == 3
        for part in (str(path), str(other.pid), "--lock-timeout"):
            assert part in str(refused.value)
        assert path.read_text() == f"process {other.pid}"
        assert other.poll() is None


def test_lock_is_waited_for_as_long_as_the_timeout_says(path: Path) -> None:
    """A holder that ends in time is followed; one that does not is refused after the time."""
    with other_run(path) as other:
        started = time.monotonic()
        with (
            pytest.raises(UpgradeRunningError),
            run_lock(path, timeout_seconds=0.3),
        ):
            pytest.fail("another process holds it")
        assert 0.3 <= time.monotonic() - started < 5

        assert other.stdin is not None
        threading.Timer(0.2, other.stdin.close).start()
        with run_lock(path, timeout_seconds=30):
            assert other.wait(30) == 0


def test_lock_of_a_killed_holder_is_taken_over(path: Path) -> None:
    """The kernel lets go with the process; the file stays the same one."""
    with other_run(path) as other:
        inode = path.stat().st_ino
        other.kill()
        other.wait()
    with run_lock(path):
        assert path.stat().st_ino == inode
        assert path.read_text().startswith("process ")
        assert path.read_text() != f"process {other.pid}"


def test_lock_file_is_private_and_never_removed(path: Path) -> None:
    """Mode 0600, before and after; a second run in the same process finds it free again."""
    inodes = set()
    for _ in range(2):
        with run_lock(path):
            inodes.add(path.stat().st_ino)
            assert path.stat().st_mode & 0o7777 == 0o600
        assert path.exists()
    assert len(inodes) == 1


def test_lock_is_let_go_when_the_run_fails(path: Path) -> None:
    """An error inside does not leave the installation locked."""
    with pytest.raises(KeyError), run_lock(path):
        raise KeyError
    with run_lock(path):
        pass


def test_lock_is_not_shared_by_two_runs_of_one_process(path: Path) -> None:
    """Two threads are two runs."""
    with (
        run_lock(path),
        pytest.raises(UpgradeRunningError),
        run_lock(path),
    ):
        pytest.fail("this process holds it")


def test_lock_passes_to_one_of_many_that_wait(path: Path) -> None:
    """Eight threads in turn: never two inside at once, and each gets its turn."""
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with run_lock(path, timeout_seconds=60):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.005)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_lock_that_is_let_go_names_nobody(path: Path) -> None:
    """Whoever is refused a moment later never reads the name of one that is done."""
    with run_lock(path):
        assert path.read_text() == f"process {os.getpid()}"
    assert path.read_text() == ""


def test_lock_that_a_dead_process_left_named_is_never_said_to_be_its(path: Path) -> None:
    """A holder that has not yet written its name is waited for, not mistaken for a dead one."""
    with other_run(path) as other:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        path.write_text(f"process {dead.pid}")
        threading.Timer(0.1, path.write_text, [f"process {other.pid}"]).start()
        with pytest.raises(UpgradeRunningError) as refused, run_lock(path):
            pytest.fail("another process holds it")
    assert refused.value.holder == f"process {other.pid}"


def test_lock_that_only_workers_of_a_dead_run_hold_is_refused_in_words(path: Path) -> None:
    """The run that started them is named, and that it is not the run itself that holds on."""
    with other_run(path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        path.write_text(f"process {dead.pid}")
        with pytest.raises(UpgradeRunningError) as refused, run_lock(path):
            pytest.fail("another process holds it")
    assert refused.value.holder == f"process {dead.pid} or what it started"


@pytest.mark.parametrize("kind", ["link", "link to nothing", "second name", "folder", "pipe"])
def test_lock_file_that_is_none_of_ours_is_refused_and_left_alone(path: Path, kind: str) -> None:
    """An operator runs it with sudo: what a link leads to must not be emptied or given away."""
    precious = path.with_name("precious")
    precious.write_text("precious")
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "link to nothing":
        path.symlink_to(path.with_name("new"))
    elif kind == "second name":
        path.hardlink_to(precious)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(LockFileError) as refused, run_lock(path):
        pytest.fail("it is not the lock file")
    assert str(path) in str(refused.value)
    assert refused.value.exit_code == 3
    assert precious.read_text() == "precious"
    assert not path.with_name("new").exists()

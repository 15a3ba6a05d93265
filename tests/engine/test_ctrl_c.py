"""Ctrl-C while the process is inside one call of SQLite that takes long."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pytest

from streamhub_orm.engine.ctrl_c import CtrlC
from tests.support.installations.commands import CHECKOUT, COMMAND, run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeInstallation

_AMID_A_TRANSACTION: Final = """
import os, signal, sys
from pathlib import Path
from streamhub_orm.engine.connections import open_for_migration
from streamhub_orm.engine.ctrl_c import CtrlC

def end():
    print("ended", flush=True)
    os._exit(130)

signal.signal(signal.SIGINT, signal.default_int_handler)
with CtrlC(lambda names: print("waiting for", *names, flush=True), end):
    connection = open_for_migration(Path(sys.argv[1]))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO held VALUES (2)")
    print("begun", flush=True)
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    ).fetchone()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE held (n)")
        connection.execute("INSERT INTO held VALUES (1)")
    return path


@contextmanager
def started(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start a program, and end it in any case."""
    process = subprocess.Popen(
        # A suite that a shell has started in the background passes on that SIGINT is ignored.
        ["env", "--default-signal=INT", *map(str, command)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_within_a_second(stream: IO[str] | None) -> str:
    assert stream is not None
    began = time.monotonic()
    line = stream.readline()
    assert time.monotonic() - began < 1
    return line


def test_first_is_answered_and_second_ends_amid_a_statement_without_end(database: Path) -> None:
    """Nothing of its transaction stays."""
    with started(sys.executable, "-c", _AMID_A_TRANSACTION, database) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert line_within_a_second(process.stdout) == f"waiting for {database}\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert line_within_a_second(process.stdout) == "ended\n"
        assert process.wait(1) == 130
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT n FROM held").fetchall() == [(1,)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("command", [("upgrade", "--jobs", "1"), ("optimize", "--app", "live")])
def test_command_that_waits_inside_sqlite_is_acknowledged_and_ended(
    make_installation: MakeInstallation, command: tuple[str, ...]
) -> None:
    """SQLite waits 5 s for a lock, in one call. The next run finishes."""
    installation = make_installation("node_split", rows=8)
    path = installation.app_db("live")
    words = (*COMMAND, "--data-dir", str(installation.data_dir), "--json", *command)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with started(*words) as process:
            _wait_until_open(process.pid, path)
            process.send_signal(signal.SIGINT)
            assert line_within_a_second(process.stderr).startswith("Ctrl-C: waiting for ")
            process.send_signal(signal.SIGINT)
            assert process.wait(1) == 130
            assert process.stdout is not None
            assert '"error": "Stopped by Ctrl-C. ' in process.stdout.read()
        writer.execute("ROLLBACK")
    outcome = run_in_process("--data-dir", installation.data_dir, *command)
    assert outcome.status == 0, outcome
    assert not list(path.parent.glob(".*"))


def test_second_ends_a_command_whose_last_words_are_stuck() -> None:
    """Nobody reads its output, and the pipe is full."""
    reading, writing = os.pipe()
    os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
    words = ["env", "--default-signal=INT", *COMMAND, "--json", "history"]
    with subprocess.Popen(words, cwd=CHECKOUT, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        try:
            _wait_until_stuck(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while process.stderr.readline() != b"Stopped by Ctrl-C.\n":
                assert process.poll() is None
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.wait(1) == -signal.SIGINT
        finally:
            process.kill()
            os.close(reading)


def _wait_until_stuck(pid: int) -> None:
    """Wait until a process has begun to print, and takes no time of the processor any more."""
    used = "0"
    for _ in range(100):
        time.sleep(0.3)
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").split()
        if fields[2] == "S" and fields[13] == used != "0":
            return
        used = fields[13]
    raise AssertionError(used)


def _wait_until_open(pid: int, path: Path) -> None:
    """Wait until the process has been at a database for long enough to be waiting for its lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        links = {os.path.realpath(it) for it in Path(f"/proc/{pid}/fd").iterdir()}
        if {str(path), f"{path}-wal"} <= links:
            time.sleep(0.3)
            return
        time.sleep(0.01)
    raise AssertionError(path)


def test_thread_is_not_there_where_the_process_forks() -> None:
    """What came meanwhile is answered afterwards."""
    told = threading.Event()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    others = threading.active_count() - 1
    try:
        with CtrlC(lambda _: told.set(), lambda: None):
            assert threading.active_count() == others + 2
            assert CtrlC.count_other_threads() == others
            with CtrlC.without_thread():
                assert threading.active_count() == others + 1
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            assert told.wait(1)
        assert threading.active_count() == others + 1
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGINT, before)


def test_handler_of_the_program_is_left_alone() -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    others = threading.active_count() - 1
    try:
        with CtrlC(lambda _: None, lambda: None):
            assert threading.active_count() == others + 1
    finally:
        signal.signal(signal.SIGINT, before)

"""A stdout that is closed, full or no longer read: the work goes to its end and has its status."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.init import make_installation as init
from tests.support.installations.commands import CHECKOUT, COMMAND
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation

STDOUTS: Final = {
    "full": "> /dev/full",
    "closed": ">&-",
    "unread": "| true",
    "one line": "| head -1",
}


def run(data_dir: Path, arguments: str, stdout: str) -> tuple[int, str]:
    """Run the command in a shell with this end of stdout; return its status and its stderr."""
    command = f"{shlex.join([*COMMAND, '--data-dir', str(data_dir)])} {arguments}"
    # The sleep lets the other end of the pipe be gone before anything is written.
    script = f"(sleep 0.1; {command}) {stdout}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return init(tmp_path / "fresh").root


def tokens_in(data_dir: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data_dir / "data" / "streamhub.db")) as connection:
        return connection.execute("SELECT id, name FROM api_tokens").fetchall()


@pytest.mark.parametrize("stdout", STDOUTS)
@pytest.mark.parametrize("arguments", ["--json status", "history", "--help"])
def test_work_that_is_done_ends_with_0(fresh: Path, arguments: str, stdout: str) -> None:
    """Only a full one is told of: from the others the operator has turned away on purpose."""
    status, stderr = run(fresh, arguments, STDOUTS[stdout])
    assert status == 0, stderr
    if stdout == "full":
        assert stderr == "Error: the output could not be written: No space left on device\n"
    else:
        assert stderr == ""


@pytest.mark.parametrize("stdout", STDOUTS)
def test_work_that_is_refused_or_failed_says_so_on_stderr(fresh: Path, stdout: str) -> None:
    """3 for a refusal, 2 for wrong usage, 1 for a database that failed."""
    status, stderr = run(fresh, "--json downgrade nonsense", STDOUTS[stdout])
    assert (status, "Traceback" in stderr) == (3, False), stderr
    status, stderr = run(fresh, "--json status --nonsense", STDOUTS[stdout])
    assert (status, "Traceback" in stderr) == (2, False), stderr
    (fresh / "apps" / "live" / "app.db").write_bytes(b"x" * 5000)
    status, stderr = run(fresh, "status", STDOUTS[stdout])
    assert status == 1
    assert "app.db" in stderr


@pytest.mark.parametrize("stdout", STDOUTS)
def test_upgrade_is_done_whole(make_installation: MakeInstallation, stdout: str) -> None:
    """And the next run has nothing to do, so that nothing was left undone."""
    installation = make_installation("vods_db")
    status, stderr = run(installation.data_dir, "upgrade --jobs 2", STDOUTS[stdout])
    assert status == 0, stderr
    assert "Traceback" not in stderr
    before = fingerprint_files(installation.data_dir)
    assert run(installation.data_dir, "upgrade --jobs 2", "> /dev/null")[0] == 0
    assert fingerprint_files(installation.data_dir) == before


@pytest.mark.parametrize("command", ["tokens issue lost", "--json tokens issue lost"])
@pytest.mark.parametrize("stdout", ["full", "closed", "unread"])
def test_token_that_nobody_was_shown_is_not_there(fresh: Path, command: str, stdout: str) -> None:
    """Refused: 3, in words, and the table is empty."""
    status, stderr = run(fresh, command, STDOUTS[stdout])
    assert status == 3, stderr
    assert "found output that cannot be written" in stderr
    assert tokens_in(fresh) == []


def test_token_that_was_shown_is_there(fresh: Path) -> None:
    assert run(fresh, "tokens issue kept", "> /dev/null") == (0, "")
    assert [name for _, name in tokens_in(fresh)] == ["kept"]


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "1>&- 2>&-", "0<&-", "2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(fresh: Path, closed: str) -> None:
    """What is printed would be written into it."""
    command = shlex.join([*COMMAND, "--data-dir", str(fresh), "backup", "create", "--jobs", "1"])
    done = subprocess.run(["bash", "-c", f"{command} {closed}"], cwd=CHECKOUT, check=False)
    assert done.returncode == 0
    verified = [*COMMAND, "--data-dir", str(fresh), "backup", "verify"]
    assert subprocess.run(verified, cwd=CHECKOUT, check=False, stdout=sys.stderr).returncode == 0

"""A look by a user who may not read a file: it is unreadable, and nothing is said of its rows."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.installations import Options
from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NOBODY: Final = 65534
LOOK: Final = f"""
import os, sys
from streamhub_orm.cli import main  # before the uid changes: the checkout may be closed to it
import streamhub_orm.cli.installation, streamhub_orm.cli.space
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
sys.argv = ["streamhub-db", *sys.argv[1:]]
main()
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to become somebody else needs root")


@pytest.fixture
def installation(make_upgraded: MakeInstallation) -> Iterator[Installation]:
    """An installation that everybody may read."""
    built = make_upgraded("vods_db", options=Options(killed_writers=False))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = built.copy_to(Path(folder) / "installation")
        for path in (copy.data_dir, *copy.data_dir.rglob("*")):
            path.chmod(0o777 if stat.S_ISDIR(path.stat().st_mode) else 0o666)
        yield copy


def look(installation: Installation, *command: str) -> tuple[int, dict[str, Any], str]:
    """Run a command as nobody."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, "--data-dir", str(installation.data_dir), "--json", *command],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def state_of(report: dict[str, Any], app: str) -> dict[str, Any]:
    return next(it for it in report["apps"] if it["app"] == app)


def test_global_file_that_may_not_be_read_is_unreadable(installation: Installation) -> None:
    """Whether the split is done nobody can say then."""
    installation.global_path.chmod(0o600)
    status, report, stderr = look(installation, "status")
    assert status == 1
    assert report["global"]["state"] == "unreadable"
    assert report["split_done"] is None
    assert "not done" not in stderr
    assert str(installation.global_path) in stderr
    assert "report it" not in stderr


def test_folder_of_the_global_file_that_may_not_be_entered(installation: Installation) -> None:
    installation.global_path.parent.chmod(0o700)
    status, report, stderr = look(installation, "status")
    assert status in {1, 3}
    assert report["ok"] is False
    assert "report it" not in stderr
    assert str(installation.data_dir) in stderr
    assert "streamhub-db init" not in stderr  # there may well be an installation


@pytest.mark.parametrize("closed", ["file", "folder", "apps", "wal"])
def test_app_that_may_not_be_read_is_unreadable_and_the_others_are_shown(
    installation: Installation, closed: str
) -> None:
    path = installation.app_db("radio--x")
    targets = {
        "file": path,
        "folder": path.parent,
        "apps": path.parent.parent,
        "wal": path.with_name(path.name + "-wal"),
    }
    if closed == "wal":
        targets["wal"].write_bytes(b"")
    targets[closed].chmod(0o600 if targets[closed].is_file() else 0o700)
    status, report, stderr = look(installation, "status")
    assert status == 1, report
    assert report["split_done"] is True
    found = state_of(report, "radio--x")
    assert found["state"] == "unreadable", found
    assert "this user" in found["error"]
    others = {it["state"] for it in report["apps"] if it["app"] != "radio--x"}
    assert others == ({"unreadable"} if closed == "apps" else {"current"})
    assert "report it" not in stderr


@pytest.mark.parametrize("command", ["check", "health"])
def test_other_looks_name_the_file_in_words(installation: Installation, command: str) -> None:
    path = installation.app_db("radio--x")
    (path.parent if command == "check" else path).chmod(0o600)
    status, report, stderr = look(installation, command)
    assert status == 1
    assert str(path) in stderr
    assert "report it" not in stderr
    found = next(it for it in report["databases"] if it["name"] == "radio--x")
    assert found["state"] == "unreadable"

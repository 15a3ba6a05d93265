"""An app's folder that the user may not enter: that app is named, all others are done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamhub_orm.migrations.worlds import APP
from tests.support.installations import Options
from tests.support.installations.commands import CHECKOUT
from tests.upgrade.test_read_only import UID, give_away

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

CLOSED: Final = "tv-2"
# Python itself may lie where only root can read it, so all modules are imported before the change.
AS_USER: Final = f"""
import importlib, os, pkgutil, sys
import streamhub_orm
for module in pkgutil.walk_packages(streamhub_orm.__path__, "streamhub_orm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from streamhub_orm.cli import main
from streamhub_orm.migrations.worlds import APP, GLOBAL
(APP.history, GLOBAL.history)
os.setgroups([])
os.setresgid({UID}, {UID}, {UID})
os.setresuid({UID}, {UID}, {UID})
sys.argv = ["streamhub-db", *sys.argv[1:]]
main()
"""


@pytest.fixture
def installation(make_installation: MakeInstallation) -> Iterator[Installation]:
    """The user's own, but for the folder of one app, which only root may enter."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    found = make_installation("node_split", rows=8, options=Options(killed_writers=False))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = found.copy_to(Path(folder) / "data_dir")
        give_away(copy.data_dir)
        closed = copy.data_dir / "apps" / CLOSED
        os.chown(closed, 0, 0)
        closed.chmod(0o700)
        yield copy


def run(installation: Installation, *words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-c", AS_USER, "--data-dir", str(installation.data_dir), "--json"]
    done = subprocess.run(
        [*command, *words],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_upgrade_names_the_app_and_does_the_others(installation: Installation) -> None:
    status, report = run(installation, "upgrade")
    assert (status, report["failed"]) == (1, 1)
    errors = {app["app"]: app["error"] for app in report["apps"] if app["error"]}
    assert list(errors) == [CLOSED]
    assert "a folder that this user may not enter" in errors[CLOSED]
    others = [app for app in report["apps"] if app["app"] != CLOSED]
    assert others
    assert all(app["to"] == APP.head for app in others)


def test_upgrade_of_another_app_alone_is_done(installation: Installation) -> None:
    status, report = run(installation, "upgrade", "--app", "live")
    assert (status, [app["app"] for app in report["apps"]]) == (0, ["live"])


def test_looks_name_the_app_and_show_the_others(installation: Installation) -> None:
    status, found = run(installation, "status")
    states = {app["app"]: app["state"] for app in found["apps"]}
    assert (status, states[CLOSED]) == (1, "unreadable")
    assert states["live"] == "unadopted"
    for words in (("check",), ("health",), ("sizes",)):
        status, found = run(installation, *words)
        assert status == 1, words
        assert "may not enter" in json.dumps(found), words
        assert "live" in json.dumps(found), words


def test_backup_names_the_file_and_holds_the_others(installation: Installation) -> None:
    status, made = run(installation, "backup", "create")
    assert (status, made["complete"]) == (1, False)
    assert f"data/apps/{CLOSED}/app.db" in made["failures"]
    assert made["files"] > 2

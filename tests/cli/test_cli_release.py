"""`streamhub-db release`: the look before, the upgrade and the check after, in one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.support.installations import Options
from tests.support.installations.commands import CHECKOUT, run_in_process, run_program
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

SCRIPT = CHECKOUT / "scripts/release_upgrade.py"


@pytest.fixture
def old(make_installation: MakeInstallation) -> Installation:
    return make_installation("node_head", options=Options(killed_writers=False))


def test_release_looks_upgrades_and_checks(old: Installation) -> None:
    """The document holds those of the three commands."""
    outcome = run_in_process("--data-dir", old.data_dir, "--json", "release")
    assert outcome.status == 0, outcome
    report = outcome.report
    assert (report["ok"], report["error"], report["dry_run"]) == (True, None, False)
    assert report["status"]["global"]["state"] == "unadopted"
    assert report["upgrade"]["global"]["to"] == GLOBAL.head
    assert {it["revision"] for it in report["check"]["databases"]} == {GLOBAL.head, APP.head}
    again = run_in_process("--data-dir", old.data_dir, "release")
    assert again.status == 0
    steps = [line for line in again.stdout.splitlines() if line.startswith("==")]
    assert steps == ["== status", "== upgrade", "== check"]
    assert "Nothing to do" in again.stdout


def test_release_with_a_broken_app_does_and_checks_the_others(old: Installation) -> None:
    """Exit 1, and the app is named."""
    old.app_db("live").write_bytes(b"no database" * 1000)
    outcome = run_in_process("--data-dir", old.data_dir, "--json", "release")
    assert outcome.status == 1
    report = outcome.report
    assert (report["ok"], report["upgrade"]["failed"]) == (False, 1)
    assert {it["name"] for it in report["check"]["databases"] if not it["ok"]} == {"live"}
    assert str(old.app_db("live")) in outcome.stderr


def test_release_that_is_refused_ends_with_3_and_says_what_it_had_seen(
    tmp_path: Path, old: Installation
) -> None:
    """Without an installation nothing; beside another upgrade the status of before."""
    nowhere = run_in_process("--data-dir", tmp_path / "none", "--json", "release")
    assert (nowhere.status, nowhere.report["ok"]) == (3, False)
    assert nowhere.report["error"] in nowhere.stderr
    assert [nowhere.report[part] for part in ("status", "upgrade", "check")] == [None, None, None]
    with run_lock(DataDir.find(old.data_dir).lock_path):
        before = fingerprint_files(old.data_dir)
        options = ("--json", "release", "--lock-timeout", "0")
        locked = run_in_process("--data-dir", old.data_dir, *options)
        assert fingerprint_files(old.data_dir) == before
    assert locked.status == 3
    assert locked.report["status"]["global"]["state"] == "unadopted"
    assert (locked.report["upgrade"], locked.report["check"]) == (None, None)


def test_rehearsal_of_a_release_touches_nothing(old: Installation) -> None:
    run_in_process("--data-dir", old.data_dir, "--json", "release", "--dry-run")  # makes the lock
    before = fingerprint_files(old.data_dir)
    outcome = run_in_process("--data-dir", old.data_dir, "--json", "release", "--dry-run")
    assert (outcome.status, outcome.report["check"]) == (0, None)
    assert outcome.report["upgrade"]["dry_run"] is True
    assert fingerprint_files(old.data_dir) == before


def test_script_is_the_same_command(old: Installation) -> None:
    options = ("--data-dir", old.data_dir, "--json", "--jobs", "1")
    outcome = run_program((sys.executable, str(SCRIPT)), options, cwd=CHECKOUT)
    assert (outcome.status, outcome.report["ok"]) == (0, True)


def test_script_ends_with_3_where_the_package_is_missing(tmp_path: Path) -> None:
    """No traceback, and one JSON document where that is asked for."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--data-dir", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: ")
    assert "has no streamhub_orm" in done.stderr
    assert json.loads(done.stdout)["ok"] is False

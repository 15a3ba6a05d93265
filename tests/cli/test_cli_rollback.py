"""`streamhub-db rollback`: back to the global database as it was before the split."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.init import make_installation as init
from tests.installations.commands import run_in_process
from tests.installations.snapshot import fingerprint_files, load_database, load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


def test_rollback_puts_the_global_database_back_and_can_be_undone(
    make_installation: MakeInstallation,
) -> None:
    """Back to every row as before the split, and forth again; app databases are not touched."""
    found = make_installation("monolith")
    data_dir = found.data_dir
    original = load_database(found.global_path)
    assert run_in_process("--data-dir", data_dir, "upgrade").status == 0
    upgraded, apps = load_database(found.global_path), load_snapshot(data_dir).app_dbs

    before = fingerprint_files(data_dir)
    rehearsed = run_in_process("--data-dir", data_dir, "--json", "rollback", "--dry-run").report
    assert fingerprint_files(data_dir) == before
    assert (rehearsed["dry_run"], rehearsed["set_aside"]) == (True, None)

    done = run_in_process("--data-dir", data_dir, "--json", "rollback").report
    assert (done["ok"], done["restored"]) == (True, rehearsed["restored"])
    assert load_database(found.global_path) == original
    states = run_in_process("--data-dir", data_dir, "--json", "status").report
    assert states["global"]["state"] == "unadopted"

    undone = run_in_process("--data-dir", data_dir, "rollback", "--to", done["set_aside"])
    assert undone.status == 0
    assert load_database(found.global_path) == upgraded
    assert load_snapshot(data_dir).app_dbs == apps
    assert run_in_process("--data-dir", data_dir, "check").status == 0


@pytest.mark.parametrize("to", [None, "data/streamhub.db", "data/secrets.json", "apps/live/app.db"])
def test_rollback_to_what_is_no_backup_is_refused_untouched(tmp_path: Path, to: str | None) -> None:
    """None recorded, the database itself, another file, or another kind of database."""
    fresh = init(tmp_path / "fresh").root
    before = fingerprint_files(fresh)
    chosen = () if to is None else ("--to", fresh / to)
    outcome = run_in_process("--data-dir", fresh, "--json", "rollback", *chosen)
    assert (outcome.status, outcome.report["ok"]) == (3, False)
    assert "Nothing was changed" in outcome.stderr
    assert fingerprint_files(fresh) == before


def test_upgrade_after_a_rollback_doubles_and_loses_no_row(
    make_upgraded: MakeInstallation,
) -> None:
    """The markers of the apps are final: the rows that came with the first upgrade stay as one."""
    found = make_upgraded("pre_tenancy")
    apps = load_snapshot(found.data_dir).app_dbs
    assert run_in_process("--data-dir", found.data_dir, "rollback").status == 0
    again = run_in_process("--data-dir", found.data_dir, "--json", "upgrade")
    assert again.status == 0
    assert not any(sum(app["imported"].values()) for app in again.report["apps"])
    assert load_snapshot(found.data_dir).app_dbs == apps
    status = run_in_process("--data-dir", found.data_dir, "--json", "status").report
    assert (status["ok"], status["split_done"]) == (True, True)


def test_rollback_while_an_upgrade_runs_is_refused(make_upgraded: MakeInstallation) -> None:
    """The lock of the installation holds for both."""
    found = make_upgraded("monolith")
    lock = found.global_path.with_name("streamhub.db.lock")
    before = fingerprint_files(found.data_dir)
    with run_lock(lock, like=found.global_path):
        outcome = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
    assert outcome.status == 3
    assert "expected no other upgrade" in outcome.report["error"]
    assert fingerprint_files(found.data_dir) == before


def test_rollback_while_the_server_has_it_open_is_refused(make_upgraded: MakeInstallation) -> None:
    """A database that another process has open cannot be swapped under its hands."""
    found = make_upgraded("monolith")
    before = load_database(found.global_path)
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    script += "print(c.execute('SELECT count(*) FROM apps').fetchone(), flush=True); input()"
    command = [sys.executable, "-c", script, str(found.global_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:  # type: ignore[call-overload]
        server.stdout.readline()
        outcome = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
        server.communicate("\n")
    assert outcome.status == 3
    assert "Stop the server" in outcome.stderr
    assert load_database(found.global_path) == before

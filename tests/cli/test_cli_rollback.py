"""`streamhub-db rollback`: back to the global database as it was before the split."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import rollback
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.init import make_installation as init
from tests.support.installations.commands import run_in_process
from tests.support.installations.killed_writer import write_and_kill
from tests.support.installations.snapshot import fingerprint_files, load_database, load_snapshot

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation


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
    with run_lock(lock):
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


def test_rollback_in_words_says_what_it_did_and_how_to_undo_it(
    make_upgraded: MakeInstallation,
) -> None:
    """Whoever reads the last line knows the way back; the rehearsal says what would be done."""
    found = make_upgraded("monolith")
    backup = recorded_backup_of(found)

    would = run_in_process("--data-dir", found.data_dir, "rollback", "--dry-run")
    done = run_in_process("--data-dir", found.data_dir, "rollback")

    [aside] = found.global_path.parent.glob("streamhub.db.rolled-back-*Z")
    assert would.stdout.splitlines() == [f"would put {backup} in the place of {found.global_path}"]
    assert done.stdout.splitlines() == [
        f"{found.global_path} is {backup.name} again",
        f"the database until now is {aside}",
        f"To undo this: streamhub-db rollback --to {aside}",
    ]


def test_rollback_keeps_what_was_written_since_in_the_file_set_aside(
    make_upgraded: MakeInstallation,
) -> None:
    """Rows of a killed server that lie only in the -wal are there as well."""
    found = make_upgraded("monolith")
    kill_writer(found.global_path, "INSERT INTO tenants (id, name) VALUES ('late', 'Late')")
    assert found.global_path.with_name("streamhub.db-wal").stat().st_size > 0

    done = run_in_process("--data-dir", found.data_dir, "--json", "rollback").report

    aside = load_database(Path(str(done["set_aside"])))
    assert aside is not None
    assert "late" in {row["id"] for row in aside.rows("tenants")}
    restored = load_database(found.global_path)
    assert restored is not None
    assert restored.rows("tenants") == []
    for suffix in ("-wal", "-shm"):
        assert not found.global_path.with_name(f"streamhub.db{suffix}").exists()


def test_rollback_to_a_file_with_a_wal_of_its_own_brings_every_row(
    make_upgraded: MakeInstallation, tmp_path: Path
) -> None:
    """A copy of a live database is the main file and its -wal."""
    found = make_upgraded("monolith")
    to = tmp_path / "copy.db"
    shutil.copyfile(found.global_path, to)
    kill_writer(to, "INSERT INTO tenants (id, name) VALUES ('late', 'Late')")

    outcome = run_in_process("--data-dir", found.data_dir, "rollback", "--to", to)

    assert outcome.status == 0, outcome
    restored = load_database(found.global_path)
    assert restored is not None
    assert "late" in {row["id"] for row in restored.rows("tenants")}


@pytest.mark.parametrize("wal", [False, True])
def test_rollback_of_a_database_that_cannot_be_opened_sets_it_aside_with_all_it_holds(
    make_upgraded: MakeInstallation, *, wal: bool
) -> None:
    """A destroyed header is the very case for it; nothing of it comes into the new file."""
    found = make_upgraded("monolith")
    path, backup = found.global_path, recorded_backup_of(found)
    if wal:
        kill_writer(path, "INSERT INTO tenants (id, name) VALUES ('late', 'Later than all')")
    path.write_bytes(b"\xa5" * 4096 + path.read_bytes()[4096:])

    done = run_in_process("--data-dir", found.data_dir, "--json", "rollback", "--to", backup)

    assert done.status == 0, done
    aside = Path(str(done.report["set_aside"]))
    assert aside.read_bytes()[:4096] == b"\xa5" * 4096
    held = b"".join(it.read_bytes() for it in aside.parent.glob(f"{aside.name}*"))
    assert (b"Later than all" in held) is wal
    assert load_database(path) == load_database(backup)
    assert not [it.name for it in path.parent.glob("streamhub.db-*")]
    assert run_in_process("--data-dir", found.data_dir, "upgrade").status == 0


def test_rollback_of_a_damaged_database_without_a_file_names_the_way_out(
    make_upgraded: MakeInstallation,
) -> None:
    """Which backup was recorded stands in the database that cannot be read."""
    found = make_upgraded("monolith")
    path = found.global_path
    path.write_bytes(b"\xa5" * 4096 + path.read_bytes()[4096:])
    before = fingerprint_files(found.data_dir)

    refused = run_in_process("--data-dir", found.data_dir, "--json", "rollback")

    assert refused.status == 3
    assert str(path) in refused.report["error"]
    assert "--to FILE" in refused.report["error"]
    assert fingerprint_files(found.data_dir) == before


@pytest.mark.parametrize("what", ["missing", "empty", "cut short", "another kind", "a folder"])
def test_rollback_to_a_recorded_backup_that_does_not_verify_is_refused(
    make_upgraded: MakeInstallation, what: str
) -> None:
    """The file is named, nothing is changed, and --to is the way out."""
    found = make_upgraded("monolith")
    backup = recorded_backup_of(found)
    content = backup.read_bytes()
    backup.unlink()
    if what == "empty":
        backup.touch()
    elif what == "cut short":
        backup.write_bytes(content[: len(content) // 2])
    elif what == "another kind":
        shutil.copyfile(found.app_db("live"), backup)
    elif what == "a folder":
        backup.mkdir()
    before = fingerprint_files(found.data_dir)

    refused = run_in_process("--data-dir", found.data_dir, "--json", "rollback")

    assert (refused.status, refused.report["ok"]) == (3, False)
    assert str(backup) in refused.report["error"]
    assert "--to FILE" in refused.report["error"]
    assert fingerprint_files(found.data_dir) == before


def test_rollback_to_a_backup_with_a_bad_page_is_refused_whichever_it_is(
    make_upgraded: MakeInstallation,
) -> None:
    """Every page counts: a backup that is not whole never takes the place of the database."""
    found = make_upgraded("monolith")
    backup = recorded_backup_of(found)
    good = backup.read_bytes()
    before = load_database(found.global_path)
    for page in range(len(good) // 4096):
        backup.write_bytes(good[: page * 4096] + b"\xa5" * 4096 + good[(page + 1) * 4096 :])
        refused = run_in_process("--data-dir", found.data_dir, "--json", "rollback")
        assert refused.status == 3, (page, refused)
        assert str(backup) in refused.report["error"], page
        assert load_database(found.global_path) == before, page
    backup.write_bytes(good)
    assert run_in_process("--data-dir", found.data_dir, "rollback").status == 0


def test_rollback_to_the_database_itself_under_another_name_is_refused(
    make_upgraded: MakeInstallation,
) -> None:
    """A second name of the file is no backup of it, and it stays."""
    found = make_upgraded("monolith")
    other = found.global_path.with_name("streamhub.db.bak-other")
    other.hardlink_to(found.global_path)
    refused = run_in_process("--data-dir", found.data_dir, "--json", "rollback", "--to", other)
    assert refused.status == 3
    assert "the global database itself" in refused.report["error"]
    assert other.exists()


def test_rollback_keeps_mode_of_the_database(make_upgraded: MakeInstallation) -> None:
    """The server under its own group can read what it could read; others cannot."""
    found = make_upgraded("monolith")
    found.global_path.chmod(0o640)
    assert run_in_process("--data-dir", found.data_dir, "rollback").status == 0
    assert found.global_path.stat().st_mode & 0o7777 == 0o640


def test_rollbacks_of_one_instant_set_their_files_aside_under_names_of_their_own(
    make_upgraded: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that went back to the same millisecond overwrites nothing."""
    found = make_upgraded("monolith")
    backup = recorded_backup_of(found)
    instants = iter(["2001-01-01T00-00-00-000Z"] * 3 + ["2001-01-01T00-00-00-001Z"])
    monkeypatch.setattr(rollback, "time_stamp", lambda: next(instants))
    for _ in range(2):
        outcome = run_in_process("--data-dir", found.data_dir, "rollback", "--to", backup)
        assert outcome.status == 0, outcome
    assert len(list(found.global_path.parent.glob("streamhub.db.rolled-back-*Z"))) == 2


def kill_writer(path: Path, sql: str) -> None:
    write_and_kill({path: [(sql, [])]})


def recorded_backup_of(found: Installation) -> Path:
    registry = load_database(found.global_path)
    assert registry is not None
    recorded = Path(str(registry.meta()["streamhub_orm_split_backup"]))
    return found.global_path.with_name(recorded.name)  # the installation is a copy

"""`doctor`: what would fail tonight is named beforehand, with what to do; nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm.init import make_installation
from streamhub_orm.testing.installations import Clock
from tests.support.installations.commands import CHECKOUT, COMMAND, run_command, run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.settings import S3Settings

UNREACHABLE = {
    "BACKUP_S3_BUCKET": "archives",
    "BACKUP_S3_ENDPOINT": "http://127.0.0.1:9",
    "BACKUP_S3_ACCESS_KEY_ID": "key",
    "BACKUP_S3_SECRET_ACCESS_KEY": "hush-hush",
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return make_installation(tmp_path / "data").root


def examined(data_dir: Path, *options: str) -> dict[str, Any]:
    """Return the findings by subject; the exit status must be that of the worst."""
    outcome = run_in_process("--data-dir", data_dir, "--json", "doctor", *options)
    items = outcome.report["items"]
    failures = [it for it in items if it["verdict"] == "failure"]
    assert (outcome.status, outcome.report["ok"]) == (bool(failures), not failures)
    assert all(it["todo"] for it in failures)
    return {it["subject"]: it for it in items}


def test_good_installation_has_no_failure_and_is_not_touched(data_dir: Path) -> None:
    before = fingerprint_files(data_dir)
    found = examined(data_dir)
    assert {it["verdict"] for it in found.values()} <= {"ok", "warning"}
    assert found["backups, local"]["verdict"] == "warning"
    assert "backup create" in found["backups, local"]["todo"]
    assert fingerprint_files(data_dir) == before


def test_backup_that_is_too_old_or_missing_fails_where_an_age_is_asked(data_dir: Path) -> None:
    assert examined(data_dir, "--max-age", "26h")["backups, local"]["verdict"] == "failure"
    assert run_in_process("--data-dir", data_dir, "backup", "create").status == 0
    assert examined(data_dir, "--max-age", "26h")["backups, local"]["verdict"] == "ok"


def test_damage_links_and_settings_are_named_with_what_to_do(data_dir: Path) -> None:
    (data_dir / "apps/live/config.yaml").write_text("recording: [")
    (data_dir / "data/secrets.json").write_text("{}")
    (data_dir / "data/secrets.json").chmod(0o644)
    (data_dir / "apps/live/app.db").rename(data_dir / "elsewhere.db")
    (data_dir / "apps/live/app.db").symlink_to(data_dir / "elsewhere.db")
    outcome = run_in_process("--data-dir", data_dir, "doctor")
    assert outcome.status == 1
    errors = [it for it in outcome.stderr.splitlines() if it.startswith("Error: ")]
    assert [it.split(":")[1].strip() for it in errors] == ["databases", "settings", "settings"]
    assert "link" in errors[0]
    assert "chmod 600" in errors[1]
    assert "config.yaml" in errors[2]


def test_global_database_that_is_none_is_one_failure(data_dir: Path) -> None:
    (data_dir / "data/streamhub.db").write_bytes(b"no database " * 500)
    found = examined(data_dir)
    assert found["upgrade"]["verdict"] == "failure"
    assert str(data_dir / "data/streamhub.db") in found["upgrade"]["found"]


def test_process_that_has_databases_open_is_named(data_dir: Path) -> None:
    script = (
        "import sqlite3, sys; held = [sqlite3.connect(path) for path in sys.argv[1:]];"
        "[it.execute('SELECT * FROM sqlite_master').fetchall() for it in held];"
        "print('ready', flush=True); sys.stdin.read()"
    )
    files = [str(data_dir / "data/streamhub.db"), str(data_dir / "apps/live/app.db")]
    with subprocess.Popen(
        [sys.executable, "-c", script, *files],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        found = examined(data_dir)["processes"]
        process.communicate("")
    assert found["verdict"] == "warning"
    assert f"process {process.pid} " in found["found"]
    assert "has 2 of the databases open" in found["found"]


def test_bucket_that_does_not_answer_is_a_failure_without_its_keys(data_dir: Path) -> None:
    outcome = run_command(
        "--data-dir", str(data_dir), "doctor", environment={**os.environ, **UNREACHABLE}
    )
    assert outcome.status == 1
    assert "Error: backups, s3: " in outcome.stderr
    assert "hush-hush" not in outcome.stdout + outcome.stderr


def test_clock_is_compared_with_that_of_the_bucket(
    data_dir: Path, s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_S3_BUCKET", s3_settings.bucket)
    monkeypatch.setenv("BACKUP_S3_ENDPOINT", str(s3_settings.endpoint))
    monkeypatch.setenv("BACKUP_S3_ACCESS_KEY_ID", s3_settings.access_key)
    monkeypatch.setenv("BACKUP_S3_SECRET_ACCESS_KEY", s3_settings.secret_key)
    found = examined(data_dir)
    assert (found["clock"]["verdict"], found["backups, s3"]["verdict"]) == ("ok", "warning")
    with Clock(datetime.now(UTC) + timedelta(hours=1)):
        assert examined(data_dir)["clock"]["verdict"] == "failure"


def test_low_limit_on_open_files_is_a_warning(data_dir: Path) -> None:
    words = " ".join([*COMMAND, "--data-dir", str(data_dir), "doctor"])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 64; {words}"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "warning: open files: a limit of 64," in done.stderr


def test_folder_for_temporary_files_that_is_closed_is_a_failure(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a user that is not root; root may write anywhere."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    monkeypatch.setenv("TMPDIR", str(closed))
    assert examined(data_dir)["space in TMPDIR"]["verdict"] == "failure"

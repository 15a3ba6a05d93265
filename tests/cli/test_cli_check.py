"""`check` on what is wrong: few lines, each with what to do; the settings are looked at too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm.init import make_installation
from tests.support.installations.commands import Outcome, run_in_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return make_installation(tmp_path / "data").root


def check(data_dir: Path, *options: str) -> Outcome:
    return run_in_process("--data-dir", data_dir, "check", *options)


def database(data_dir: Path, name: str) -> dict[str, Any]:
    outcome = run_in_process("--data-dir", data_dir, "--json", "check")
    assert outcome.status == 1
    return next(it for it in outcome.report["databases"] if it["name"] == name)


def test_rows_that_point_to_nothing_are_one_line_for_two_tables(data_dir: Path) -> None:
    """And what it says to run mends it."""
    path = data_dir / "data/streamhub.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 7 UNION ALL SELECT n + 1 FROM numbers LIMIT 2995)"
            " INSERT INTO api_tokens (id, name, token_hash, scope, app_id)"
            " SELECT n, 'deploy', 'hash' || n, 'app', 999 FROM numbers"
        )
    outcome = check(data_dir)
    (line,) = outcome.stderr.splitlines()
    assert "api_tokens → apps: 2,995 rows point to nothing (first 7, 8, 9). " in line
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(line.partition("then: ")[2])
    assert check(data_dir).status == 0


def test_damaged_page_is_one_line(data_dir: Path) -> None:
    path = data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE mine (text TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n LIMIT 2000) INSERT INTO mine SELECT printf('%050d', i) FROM n;"
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
        query = "SELECT pageno FROM dbstat WHERE name = 'mine' AND pagetype = 'leaf' LIMIT 1"
        (page,) = connection.execute(query).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 8)
        file.write(b"\xff" * 60)
    found = database(data_dir, "live")
    if found["error"] is None:  # else SQLite gave up at once, with one line of its own
        assert len(found["integrity"]) == 1
        assert f"page {page}" in found["integrity"][0]
    (line,) = check(data_dir).stderr.splitlines()
    assert "`streamhub-db backup restore" in line


def test_at_most_five_lines_for_one_database(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / "data/streamhub.db")) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL LIMIT 7"
        for (name,) in connection.execute(query).fetchall():
            connection.execute(f"DROP INDEX {name}")
    lines = check(data_dir).stderr.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "Error: global: 3 more faults; -v shows them"
    assert all("`streamhub-db backup restore latest`" in line for line in lines[:-1])
    assert len(check(data_dir, "-v").stderr.splitlines()) >= 7


def test_settings_are_checked_for_form_and_mode(data_dir: Path) -> None:
    """A missing file is no fault; a secret is never shown."""
    secrets, config = data_dir / "data/secrets.json", data_dir / "apps/live/config.yaml"
    secrets.write_text('{"KEY": "hush"}')
    secrets.chmod(0o640)
    (fault,) = database(data_dir, "global")["settings"]
    assert f"Run `chmod 600 {secrets}`." in fault
    secrets.write_text('["hush"]')
    assert "a JSON list" in database(data_dir, "global")["settings"][0]
    assert "hush" not in check(data_dir).stderr
    secrets.unlink()
    config.write_text("recording: [")
    assert str(config) in database(data_dir, "live")["settings"][0]
    config.write_text("recording: yes please")
    assert "recording" in database(data_dir, "live")["settings"][0]
    config.write_text("recording: {}")
    config.chmod(0o666)
    assert f"Run `chmod 664 {config}`." in check(data_dir).stderr
    config.unlink()
    assert check(data_dir).status == 0


def test_health_says_that_it_did_not_look_for_damage(data_dir: Path) -> None:
    words = ("--data-dir", data_dir, "health")
    assert "Not looked for damage" in run_in_process(*words).stdout
    assert "Not looked for damage" not in run_in_process(*words, "--full").stdout

"""A BLOB or bytes that are no UTF-8 where a name belongs: that app is named, the others go on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.fleet import list_app_names
from tests.support.installations import Options
from tests.support.installations.commands import run_alembic_in_process, run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

BAD: Final = {
    "blob": "x'6c697665ff'",
    "blob of a good name": "x'616263'",
    "no utf-8": "CAST(x'6162ff63' AS TEXT)",
    "nul": "CAST(x'61620063' AS TEXT)",
    "number": "12345",
}
SHOWN: Final = {
    "blob": "X'6C697665FF'",
    "blob of a good name": "X'616263'",
    "no utf-8": r"ab\xffc",
    "nul": r"ab\x00c",
    "number": "12345",
}
LOOKS: Final = ["status", "check", "health", "sizes", "apps list"]


@pytest.fixture(params=BAD)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old(make_installation: MakeInstallation, kind: str) -> Installation:
    """An installation before its upgrade, with one such row among its apps."""
    installation = make_installation("vods_db", options=Options(killed_writers=False))
    spoil(installation.global_path, f"INSERT INTO apps (name) VALUES ({BAD[kind]})")
    return installation


def spoil(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_upgrade_fails_that_app_and_does_the_others(old: Installation, kind: str) -> None:
    """Exit status 1; the second run says the same of it, and has nothing else to do."""
    for dry_run in (["--dry-run"], [], []):
        done = run_in_process("--data-dir", old.data_dir, "--json", "upgrade", "--jobs=1", *dry_run)
        expected = 0 if kind == "number" else 1
        assert done.status == expected, done
        failed = [app for app in done.report["apps"] if app["error"] is not None]
        assert len(done.report["apps"]) == len(old.apps) + 1
        assert len(failed) == expected
        for app in failed:
            assert SHOWN[kind] in done.stderr
            assert "expected 3 to 32 characters" in app["error"]
            assert "report it" not in app["error"]
    states = run_in_process("--data-dir", old.data_dir, "--json", "status").report["apps"]
    assert sum(app["state"] == "current" for app in states) >= len(old.apps)


def test_every_look_names_that_app_and_shows_the_others(old: Installation, kind: str) -> None:
    """One JSON document, and no fault that nobody foresaw."""
    run_in_process("--data-dir", old.data_dir, "upgrade", "--jobs=1")
    for look in LOOKS:
        done = run_in_process("--data-dir", old.data_dir, "--json", *look.split())
        text = json.dumps(done.report) + done.stderr
        assert "report it" not in text, (look, text)
        for app in old.apps:
            assert app in text, look
        plain = run_in_process("--data-dir", old.data_dir, *look.split())
        assert plain.status == done.status, plain
        assert SHOWN[kind] in plain.stdout + plain.stderr, plain


def test_library_and_plain_alembic_go_on_with_the_others(
    old: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of a good app opens, and `-x app=all` does the others."""
    names = list_app_names(DataDir.find(old.data_dir))
    assert set(old.apps) < set(names)
    with Databases(old.data_dir) as databases, databases.app_session("radio--x") as session:
        assert session is not None
    monkeypatch.setenv("DATA_DIR", str(old.data_dir))
    done = run_alembic_in_process("-n", "app", "-x", "app=all", "upgrade", "head")
    assert "report it" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("column", ["display_name", "livekit_room_prefix", "tenant_id"])
def test_bad_text_in_another_column_hides_no_app(
    make_upgraded: MakeInstallation, kind: str, column: str
) -> None:
    """The list names every app; the bad one has its text escaped."""
    installation = make_upgraded("vods_db")
    spoil(installation.global_path, f"UPDATE apps SET {column} = {BAD[kind]} WHERE name = 'live'")
    done = run_in_process("--data-dir", installation.data_dir, "--json", "apps", "list")
    names = [app["app"] for app in done.report["apps"]]
    assert set(names) == set(installation.apps), done
    assert "report it" not in done.stderr
    plain = run_in_process("--data-dir", installation.data_dir, "apps", "list")
    assert plain.status == done.status
    for app in installation.apps:
        assert app in plain.stdout
    upgraded = run_in_process("--data-dir", installation.data_dir, "--json", "upgrade")
    assert upgraded.status == 0, upgraded

"""A lost app.db is lost: nothing makes an empty one in its place unless it is asked to by name."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import AppDatabaseLostError, MissingDatabaseError
from tests.support.installations.commands import run_command, run_in_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeInstallation


def remove(path: Path) -> None:
    for file in path.parent.glob("app.db*"):
        file.unlink()


def empty(path: Path) -> None:
    remove(path)
    path.touch()


def without_tables(path: Path) -> None:
    remove(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 8")


def empty_global(path: Path) -> None:
    for file in path.parent.glob("streamhub.db*"):
        if ".bak-" not in file.name:
            file.unlink()
    path.touch()


def global_without_tables(path: Path) -> None:
    empty_global(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def keep_backup_alone(path: Path) -> None:
    kept = path.with_name("kept")
    shutil.copy(path, kept)
    remove(path)
    kept.rename(path.with_name("app.db.bak-2026-01-02T03-04-05-678Z"))


def entry(data_dir: Path, command: str, *options: str, key: str = "apps") -> dict[str, Any]:
    outcome = run_in_process("--data-dir", data_dir, "--json", command, *options)
    found = (it for it in outcome.report[key] if it.get("app", it.get("name")) == "live")
    return {**next(found), "status": outcome.status}


@pytest.fixture
def data_dir(make_installation: MakeInstallation) -> Path:
    """Give an installation that an upgrade has brought to head, so every app.db is recorded."""
    found = make_installation("node_head")
    assert run_in_process("--data-dir", found.data_dir, "upgrade").status == 0
    for backup in found.data_dir.glob("apps/live/app.db.bak-*"):
        backup.unlink()
    return found.data_dir


@pytest.mark.parametrize("lose", [remove, empty, without_tables])
def test_lost_database_is_refused_by_every_command_and_session(
    data_dir: Path, lose: Callable[[Path], None]
) -> None:
    path = data_dir / "apps/live/app.db"
    lose(path)
    before = sorted(it.name for it in path.parent.iterdir())
    status = entry(data_dir, "status")
    assert (status["state"], status["status"]) == ("lost", 1)
    assert "--create-missing live" in status["error"]
    check = entry(data_dir, "check", key="databases")
    assert (check["state"], check["ok"], check["status"]) == ("lost", False, 1)
    for options in ((), ("--dry-run",), ("--app", "live")):
        upgrade = entry(data_dir, "upgrade", *options)
        assert upgrade["status"] == 1
        assert f"{path}: found no rows, though app 'live' had a database here" in upgrade["error"]
    with Databases(data_dir) as databases:
        for _ in range(2):
            with pytest.raises(AppDatabaseLostError) as caught, databases.app_session("live"):
                pass
        assert caught.value.app == "live"
        with databases.app_session("tv-2", read_only=True):
            pass
    assert sorted(it.name for it in path.parent.iterdir()) == before


def test_backup_beside_the_place_tells_that_a_database_was_there(
    make_installation: MakeInstallation,
) -> None:
    """Also where nothing is recorded yet: an older core's installation, with a copy of ours."""
    found = make_installation("node_head")
    path = found.app_db("live")
    keep_backup_alone(path)
    upgrade = entry(found.data_dir, "upgrade")
    assert upgrade["status"] == 1
    assert "app.db.bak-2026-01-02T03-04-05-678Z" in upgrade["error"]
    assert not path.exists()


def test_lost_database_is_started_anew_when_it_is_asked_for_by_name(data_dir: Path) -> None:
    path = data_dir / "apps/live/app.db"
    remove(path)
    other = entry(data_dir, "upgrade", "--create-missing", "tv-2")
    assert (other["status"], path.exists()) == (1, False)
    assert entry(data_dir, "upgrade", "--create-missing", "live")["status"] == 0
    assert entry(data_dir, "status")["state"] == "current"
    unknown = run_command("--data-dir", data_dir, "upgrade", "--create-missing", "nobody")
    assert unknown.status == 3
    assert "nobody" in unknown.stderr


def test_database_that_is_put_back_is_used_again(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "apps/live/app.db"
    kept = shutil.copy(path, tmp_path / "kept.db")
    remove(path)
    with Databases(data_dir) as databases:
        with pytest.raises(AppDatabaseLostError), databases.app_session("live"):
            pass
        shutil.copy(kept, path)
        with databases.app_session("live") as session:
            assert session.connection().exec_driver_sql("SELECT count(*) FROM vods").scalar()


def test_app_that_never_had_a_database_gets_one(data_dir: Path) -> None:
    with closing(sqlite3.connect(next(data_dir.rglob("streamhub.db")))) as connection, connection:
        connection.execute("INSERT INTO apps (name) VALUES ('new-app')")
    with Databases(data_dir) as databases, databases.app_session("new-app", read_only=True):
        pass
    assert run_in_process("--data-dir", data_dir, "upgrade").status == 0
    remove(data_dir / "apps/new-app/app.db")
    with (
        Databases(data_dir) as databases,
        pytest.raises(AppDatabaseLostError),
        databases.app_session("new-app"),
    ):
        pass


def test_open_inside_a_global_session_does_not_wait_for_its_own_lock(data_dir: Path) -> None:
    """The record of a new app is for the next open where the lock is this very thread's."""
    with closing(sqlite3.connect(next(data_dir.rglob("streamhub.db")))) as connection, connection:
        connection.execute("INSERT INTO apps (name) VALUES ('new-app')")
    with Databases(data_dir) as databases:
        started = os.times().elapsed
        with databases.global_session() as session:
            session.connection()
            with databases.app_session("new-app", read_only=True):
                pass
        assert os.times().elapsed - started < 4


@pytest.mark.parametrize("lose", [empty_global, global_without_tables])
def test_empty_global_database_of_an_installation_is_lost_and_stays_as_it_is(
    data_dir: Path, lose: Callable[[Path], None]
) -> None:
    """Neither an upgrade nor a session nor `init` makes an empty registry of it."""
    path = next(data_dir.rglob("streamhub.db"))
    lose(path)
    newest = max(it.name for it in path.parent.glob("streamhub.db.bak-*"))
    content = path.read_bytes()
    upgrade = run_in_process("--data-dir", data_dir, "--json", "upgrade")
    assert upgrade.status == 3
    assert "Its rows are lost" in upgrade.report["error"]
    assert newest in upgrade.report["error"]
    init = run_in_process("--data-dir", data_dir, "--json", "init")
    assert init.status == 3
    with (
        Databases(data_dir) as databases,
        pytest.raises(MissingDatabaseError, match="lost"),
        databases.global_session(),
    ):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("lose", [empty_global, global_without_tables])
def test_global_database_of_a_first_start_is_taken_by_init(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    """`upgrade` names `init`, and `init` does it: they do not point at each other."""
    path = tmp_path / "data/streamhub.db"
    path.parent.mkdir()
    lose(path)
    upgrade = run_in_process("--data-dir", tmp_path, "--json", "upgrade")
    assert upgrade.status == 3
    assert "streamhub-db init" in upgrade.report["error"]
    assert run_in_process("--data-dir", tmp_path, "init").status == 0
    assert run_in_process("--data-dir", tmp_path, "upgrade").status == 0
    assert run_in_process("--data-dir", tmp_path, "check").status == 0


def test_app_of_which_nothing_is_known_is_made_and_named(
    make_installation: MakeInstallation,
) -> None:
    """The Node core marks the split done though an app failed; that app may have had rows."""
    found = make_installation("node_split")
    with closing(sqlite3.connect(found.data_dir / "data/streamhub.db")) as connection, connection:
        connection.execute("INSERT INTO apps (id, name) VALUES (9999, 'who-knows')")

    dry = run_in_process("--data-dir", found.data_dir, "upgrade", "--dry-run")
    real = run_in_process("--data-dir", found.data_dir, "upgrade")
    again = run_in_process("--data-dir", found.data_dir, "upgrade")

    warned = "warning: registered, with no database and no legacy rows, an empty one "
    assert f"{warned}would be made: who-knows\n" in dry.stdout
    assert f"{warned}was made: who-knows\n" in real.stdout
    assert "who-knows" not in again.stdout

"""`alembic -n app -x path=FILE`: the one way to name a file, and what it must not lead to."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.init import make_installation
from streamhub_orm.migrations.worlds import APP
from tests.support.installations.commands import run_alembic_in_process, run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from tests.support.installations.commands import Outcome

HOSTILE_NAMES = (
    *("a b.db", "o'brien\".db", "50%20.db", "what?.db", "#1.db", "ü🎥.db", "new\nline.db"),
)


@pytest.fixture
def place(tmp_path: Path) -> DataDir:
    """An installation whose app stands one revision behind, so that there is something to do."""
    made = make_installation(tmp_path / "installation")
    done = run_in_process("--data-dir", made.root, "downgrade", "a0008", "--app", "live")
    assert done.status == 0, done
    return made


def upgrade(path: object) -> Outcome:
    return run_alembic_in_process("-n", "app", "-x", f"path={path}", "upgrade", "head")


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_path_with_any_character_names_just_that_file(
    place: DataDir, tmp_path: Path, name: str
) -> None:
    """What SQLite or a URI could read into a name is part of it; the backup lies beside it."""
    folder = tmp_path / f"in {name}"
    folder.mkdir()
    path = folder / name
    shutil.copyfile(place.app_db("live"), path)

    outcome = upgrade(path)

    assert outcome.status == 0, outcome
    assert revision_of(path) == APP.head
    assert {it.name.partition(".bak-")[0] for it in folder.iterdir()} <= {
        name, f"{name}-wal", f"{name}-shm"
    }  # fmt: skip
    assert len(list(folder.glob("*.bak-*Z"))) == 1


@pytest.mark.parametrize(
    "kind", ["link", "link to nothing", "folder", "pipe", "device", "nothing", "text"]
)
def test_path_that_names_no_database_file_is_refused_and_nothing_is_made(
    place: DataDir, tmp_path: Path, kind: str
) -> None:
    """The words name what it is; no journal and no backup appears beside it."""
    folder = tmp_path / "named"
    folder.mkdir()
    path = folder / "app.db"
    if kind == "link":
        path.symlink_to(place.app_db("live"))
    elif kind == "link to nothing":
        path.symlink_to(folder / "nothing.db")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    elif kind == "text":
        path.write_text("no database")
    before = {it.name for it in folder.iterdir()}, fingerprint_files(place.root)

    outcome = upgrade(path)

    assert outcome.status != 0
    assert f"{path}: found " in outcome.stderr + outcome.stdout
    assert "Traceback" not in outcome.stderr
    assert ({it.name for it in folder.iterdir()}, fingerprint_files(place.root)) == before
    assert not list(Path(os.devnull).parent.glob("null-*"))


@pytest.mark.parametrize("stamped", [True, False])
def test_path_of_a_global_database_is_refused_by_the_app_environment(
    place: DataDir, *, stamped: bool
) -> None:
    """It says which kind it is, and not that it was newer."""
    if not stamped:
        with closing(sqlite3.connect(place.global_db, isolation_level=None)) as connection:
            connection.execute("DROP TABLE alembic_version")
    before = fingerprint_files(place.root)
    outcome = upgrade(place.global_db)
    assert outcome.status != 0
    assert "global" in outcome.stdout
    assert "newer release" not in outcome.stdout
    assert fingerprint_files(place.root) == before


@pytest.mark.parametrize("name", ["../live", "/etc/passwd", "..", "live/../live", "", "LIVE"])
def test_app_name_never_becomes_a_path(place: DataDir, name: str) -> None:
    """`-x app=` takes registered names alone."""
    before = fingerprint_files(place.root)
    outcome = run_alembic_in_process(
        "-n", "app", "-x", f"data_dir={place.root}", "-x", f"app={name}", "upgrade", "head"
    )
    assert outcome.status != 0
    assert fingerprint_files(place.root) == before


def test_path_that_fails_does_not_stop_the_next_one(place: DataDir, tmp_path: Path) -> None:
    """Several may be named; the exit status tells of the one that failed."""
    outcome = run_alembic_in_process(
        *("-n", "app", "-x", f"path={tmp_path}", "-x", f"path={place.app_db('live')}"),
        *("upgrade", "head"),
    )
    assert outcome.status != 0
    assert revision_of(place.app_db("live")) == APP.head

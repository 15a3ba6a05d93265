"""The mode of every file and folder that any command makes, whatever the umask."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.durable_files import temporary_beside
from tests.support.installations import Options, build_installation
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.installations import Installation

PRIVATE = re.compile(r"\.bak-|\.lock$|\.streamhub-tmp")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def found(tmp_path: Path, umask: int) -> Installation:
    """A split installation whose files the server's group may read."""
    built = build_installation(
        tmp_path / "data", era="vods_db", apps=2, rows=8, options=Options(killed_writers=False)
    )
    for path in (built.data_dir, *built.data_dir.rglob("*")):
        path.chmod(0o750 if path.is_dir() else 0o640)
    return built


def modes_of(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix() + "/" * path.is_dir(): path.lstat().st_mode & 0o7777
        for path in folder.rglob("*")
    }


def unexpected(before: dict[str, int], after: dict[str, int]) -> list[tuple[str, str]]:
    """List what has not the mode of the global file; of apps/, where it is a folder; or 0600."""
    return [
        (name, oct(mode))
        for name, mode in after.items()
        if before.get(name) != mode
        and mode != (0o600 if PRIVATE.search(name) else 0o750 if name.endswith("/") else 0o640)
    ]


def test_files_that_an_upgrade_and_a_rollback_make_have_the_mode_of_the_global_file(
    found: Installation,
) -> None:
    """Backups and lock are 0600; what the server opens it can open as before."""
    before = modes_of(found.data_dir)
    for command in ("upgrade", "rollback", "upgrade"):
        assert run_in_process("--data-dir", found.data_dir, command).status == 0
        after = modes_of(found.data_dir)
        assert {name for name in after if ".bak-" in name}
        assert unexpected(before, after) == []


def test_files_that_a_downgrade_and_a_lazy_open_make_have_the_mode_of_the_global_file(
    found: Installation,
) -> None:
    """A new app's folder takes the mode of apps/, its file that of the global file."""
    before = modes_of(found.data_dir)
    with Databases(found.data_dir) as databases:
        for app in found.apps:
            with databases.app_connection(app) as connection:
                connection.exec_driver_sql("DELETE FROM vods WHERE id < 0")
            assert unexpected(before, modes_of(found.data_dir)) == []
    command = ("downgrade", "a0008", "--all-apps")
    assert run_in_process("--data-dir", found.data_dir, *command).status == 0
    assert unexpected(before, modes_of(found.data_dir)) == []


def test_databases_of_a_new_installation_are_private_and_its_folders_as_the_umask_says(
    tmp_path: Path, umask: int
) -> None:
    """The worker that records runs under a uid of its own, in the group of the server."""
    target = tmp_path / "new"
    assert run_in_process("--data-dir", target, "init").status == 0
    for name, mode in modes_of(target).items():
        of_file = (0o644 & ~umask) if name.endswith(".yaml") else 0o600
        assert mode == ((0o777 & ~umask) if name.endswith("/") else of_file), name


def test_secrets_of_a_demo_are_as_private_as_real_ones(tmp_path: Path, umask: int) -> None:
    """Whoever copies it as a pattern copies the right mode."""
    assert run_in_process("demo", tmp_path / "demo").status == 0
    assert modes_of(tmp_path / "demo")["data/secrets.json"] == 0o600


def test_temporary_files_are_private_from_their_first_instant(tmp_path: Path, umask: int) -> None:
    """A copy of a database is as secret as the database before it has its name, too."""
    with temporary_beside(tmp_path / "app.db") as temporary:
        temporary.write_bytes(b"rows")
        assert set(modes_of(tmp_path).values()) == {0o600}


def test_rehearsal_copies_are_private_and_gone_afterwards(
    found: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie in a folder of mode 0700 below TMPDIR."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen: set[int] = set()
    mkdtemp = os.mkdir

    def watched(path: str, mode: int = 0o777, **options: int) -> None:
        mkdtemp(path, mode, **options)
        if str(path).startswith(str(scratch)):
            seen.add(Path(path).stat().st_mode & 0o7777)

    monkeypatch.setattr(os, "mkdir", watched)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert run_in_process("--data-dir", found.data_dir, "upgrade", "--dry-run").status == 0
    assert seen == {0o700}
    assert list(scratch.iterdir()) == []

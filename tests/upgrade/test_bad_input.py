"""Bad input of the installation as a whole: refused with status 3, in words, untouched."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import run_command
from tests.support.installations.facts import global_path_of
from tests.support.installations.snapshot import load_snapshot
from tests.upgrade.refusals import (
    assert_refused,
    corrupt_pages,
    execute,
    held_write_lock,
    make_newer_by_revision,
    make_newer_by_user_version,
    replace_by_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NO_WAL = Options(killed_writers=False)


@pytest.fixture
def installation(make_installation: MakeInstallation) -> Installation:
    """Make an installation that would be upgraded if nothing were wrong with it."""
    return make_installation("vods_db", options=NO_WAL)


def test_upgrade_of_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """There is no such DATA_DIR, and none is made."""
    data_dir = tmp_path / "nowhere"

    assert_refused(data_dir, names=data_dir, found="no such folder")

    assert not data_dir.exists()


def test_upgrade_of_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """DATA_DIR names a file, such as the database itself."""
    data_dir = tmp_path / "streamhub.db"
    data_dir.touch()

    assert_refused(data_dir, names=data_dir, found="a file|not a folder")


def test_upgrade_of_a_folder_without_database_is_refused(tmp_path: Path) -> None:
    """Nothing is created where there is no installation; `init` does that."""
    outcome = assert_refused(tmp_path, names=tmp_path, found=r"streamhub\.db")

    assert "init" in outcome.stderr


def test_upgrade_of_both_layouts_is_refused(installation: Installation) -> None:
    """Of two global databases, the command does not choose one."""
    shutil.copyfile(installation.global_path, installation.data_dir / "streamhub.db")

    assert_refused(installation.data_dir, names=installation.data_dir, found="two")


def test_upgrade_of_the_inner_folder_is_refused(installation: Installation) -> None:
    """The folder that holds streamhub.db is not DATA_DIR; the message names the right one."""
    inner = installation.data_dir / "data"

    outcome = assert_refused(inner, names=inner, found="apps/")

    assert f"{installation.data_dir} " in outcome.report["error"]


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_upgrade_of_a_global_file_that_is_not_sqlite_is_refused(
    make_installation: MakeInstallation, layout: str
) -> None:
    """A text file under the database's name is not overwritten."""
    data_dir = make_installation("vods_db", layout, options=NO_WAL).data_dir
    path = global_path_of(data_dir, layout)
    replace_by_text(path)

    assert_refused(data_dir, names=path, found="not a database")


def test_upgrade_of_an_empty_global_file_is_refused(installation: Installation) -> None:
    """Zero bytes are no installation, and nothing says what it held."""
    path = installation.global_path
    path.write_bytes(b"")

    assert_refused(installation.data_dir, names=path, found="empty|zero|no table|apps")


def test_upgrade_of_a_corrupt_global_file_is_refused(installation: Installation) -> None:
    """Damaged pages are found before anything is touched."""
    corrupt_pages(installation.global_path)

    assert_refused(
        installation.data_dir, names=installation.global_path, found="damage|malformed|corrupt"
    )


def test_upgrade_of_a_truncated_global_file_is_refused(installation: Installation) -> None:
    """Half a file is a damaged file."""
    path = installation.global_path
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)

    assert_refused(installation.data_dir, names=path, found="damage|malformed|corrupt")


@pytest.mark.parametrize(
    ("make_newer", "found"),
    [(make_newer_by_user_version, "9"), (make_newer_by_revision, "z9999")],
)
def test_upgrade_of_a_newer_global_file_is_refused(
    installation: Installation, make_newer: Callable[[Path], None], found: str
) -> None:
    """What a later release wrote is not taken down by an older one."""
    make_newer(installation.global_path)

    assert_refused(installation.data_dir, names=installation.global_path, found=found)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("ALTER TABLE apps RENAME COLUMN settings_json TO settings", "settings_json"),
        ("ALTER TABLE server_logs RENAME COLUMN message TO text", "message"),
        ("DROP TABLE api_tokens; CREATE TABLE api_tokens (id INTEGER PRIMARY KEY)", "api_tokens"),
        ("DROP TABLE apps", "apps"),
    ],
)
def test_upgrade_of_a_global_file_of_unknown_structure_is_refused(
    installation: Installation, change: str, found: str
) -> None:
    """Tables that fit no known state are refused with the differences listed."""
    execute(installation.global_path, change)

    assert_refused(installation.data_dir, names=installation.global_path, found=found)


def test_upgrade_of_a_locked_global_file_is_refused(installation: Installation) -> None:
    """Another process holds the write lock for longer than the busy timeout."""
    path = installation.global_path
    with held_write_lock(path):
        assert_refused(installation.data_dir, names=path, found="locked")


def test_upgrade_beside_a_running_upgrade_is_refused(installation: Installation) -> None:
    """Only one upgrade runs at a time; the second ends at once."""
    lock = installation.global_path.with_name("streamhub.db.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        started = time.monotonic()

        assert_refused(installation.data_dir, names=lock, found="held|running")

        assert time.monotonic() - started < 4


def test_upgrade_with_lock_timeout_waits_for_the_running_upgrade(
    installation: Installation,
) -> None:
    """Whoever is willing to wait gets its turn."""
    before = load_snapshot(installation.data_dir)
    lock = installation.global_path.with_name("streamhub.db.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        release = threading.Timer(1.0, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        release.start()

        outcome = run_command(
            "--data-dir", installation.data_dir, "upgrade", "--lock-timeout", "60"
        )

        release.join()
    assert outcome.status == 0, outcome
    assert_accounted(before, load_snapshot(installation.data_dir))


def test_upgrade_without_space_for_the_backup_is_refused(
    make_installation: MakeInstallation, small_disk: Path
) -> None:
    """Where the copy does not fit, nothing begins; with room, the next run does it all."""
    data_dir = make_installation("monolith", rows=300).copy_to(small_disk / "data_dir").data_dir
    before = load_snapshot(data_dir)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 200_000))

    assert_refused(data_dir, names=data_dir / "data" / "streamhub.db", found="free")

    filler.unlink()
    outcome = run_command("--data-dir", data_dir, "--json", "upgrade")
    assert outcome.status == 0, outcome
    assert_accounted(before, load_snapshot(data_dir))


def test_upgrade_that_runs_out_of_space_loses_nothing(
    make_installation: MakeInstallation, small_disk: Path
) -> None:
    """The backup still fits, an app.db does not: the apps are named, and the next run goes on."""
    data_dir = make_installation("monolith", rows=300).copy_to(small_disk / "data_dir").data_dir
    before = load_snapshot(data_dir)
    size = sum(it.stat().st_size for it in (data_dir / "data").iterdir())
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - size - 300_000))

    outcome = run_command("--data-dir", data_dir, "--json", "upgrade")

    assert outcome.status == 1, outcome
    assert outcome.report["failed"] > 0
    assert "Traceback" not in outcome.stderr
    filler.unlink()
    assert run_command("--data-dir", data_dir, "upgrade").status == 0
    assert_accounted(before, load_snapshot(data_dir))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of its own, which can be filled."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)

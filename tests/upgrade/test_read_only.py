"""Files and folders that the user cannot write, tried as a user who really cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import COMMAND, run_command
from tests.support.installations.snapshot import load_snapshot
from tests.upgrade.refusals import assert_app_refused, assert_refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

UID: Final = 65534
APP: Final = "radio--x"

# Without the right to read everything the interpreter may be out of reach, in a folder of root's.
UNPRIVILEGED: Final = (
    "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)  # fmt: skip


@pytest.fixture(scope="module")
def prefix() -> Sequence[str]:
    """Find what turns a command into one of an unprivileged user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    try:
        probe = subprocess.run(
            [*UNPRIVILEGED, *COMMAND, "--version"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no setpriv here")
    if probe.returncode != 0:
        pytest.skip(f"setpriv cannot run the command: {probe.stderr!r}")
    return UNPRIVILEGED


@pytest.fixture
def untouched(make_installation: MakeInstallation) -> Installation:
    return make_installation("vods_db", options=Options(killed_writers=False))


@pytest.fixture
def installation(untouched: Installation) -> Iterator[Installation]:
    """Make an installation of root's in a place that everybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield untouched.copy_to(Path(folder) / "data_dir")


def give_away(path: Path) -> None:
    """Let the unprivileged user own a file, or a folder with all in it."""
    for it in (path, *path.rglob("*")):
        os.chown(it, UID, UID)


def assert_plain_write_refused(prefix: Sequence[str], path: Path) -> None:
    """Show that the user is really refused: no new file in a folder, no byte into a file."""
    target = path / "new" if path.is_dir() else path
    refused = subprocess.run(
        [*prefix, "sh", "-c", 'printf x >> "$1"', "sh", str(target)],
        capture_output=True,
        check=False,
    )
    assert refused.returncode != 0
    assert b"denied" in refused.stderr


def test_upgrade_of_a_read_only_installation_is_refused(
    installation: Installation, prefix: Sequence[str]
) -> None:
    """Nothing of it can be written: the global file is named, and nothing is touched."""
    assert_plain_write_refused(prefix, installation.global_path)
    assert_plain_write_refused(prefix, installation.data_dir)

    assert_refused(
        installation.data_dir,
        names=installation.global_path,
        found="cannot write|denied|read-?only",
        prefix=prefix,
    )


def test_upgrade_of_a_read_only_global_file_is_refused(
    installation: Installation, prefix: Sequence[str]
) -> None:
    """The folder could be written, but the database could not."""
    give_away(installation.data_dir)
    os.chown(installation.global_path, 0, 0)
    installation.global_path.chmod(0o644)
    assert_plain_write_refused(prefix, installation.global_path)

    assert_refused(
        installation.data_dir,
        names=installation.global_path,
        found="cannot write|denied|read-?only",
        prefix=prefix,
    )


def test_upgrade_of_a_global_file_in_a_read_only_folder_is_refused(
    installation: Installation, prefix: Sequence[str]
) -> None:
    """The database could be written, but no backup could be laid beside it."""
    give_away(installation.data_dir)
    folder = installation.global_path.parent
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    assert_plain_write_refused(prefix, folder)

    assert_refused(
        installation.data_dir, names=folder, found="cannot write|denied|read-?only", prefix=prefix
    )


@pytest.mark.parametrize("what", ["file", "folder"])
def test_upgrade_with_a_read_only_app_does_the_others(
    installation: Installation, untouched: Installation, prefix: Sequence[str], what: str
) -> None:
    """An app that cannot be written is named; once it can be, the next run takes it up."""
    give_away(installation.data_dir)
    path = installation.app_db(APP) if what == "file" else installation.app_db(APP).parent
    os.chown(path, 0, 0)
    path.chmod(0o644 if what == "file" else 0o755)
    assert_plain_write_refused(prefix, path)

    assert_app_refused(
        installation, APP, names=path, found="cannot write|denied|read-?only", prefix=prefix
    )

    os.chown(path, UID, UID)
    outcome = run_command("--data-dir", installation.data_dir, "upgrade", prefix=prefix)
    assert outcome.status == 0, outcome
    assert_accounted(load_snapshot(untouched.data_dir), load_snapshot(installation.data_dir))


def test_upgrade_by_root_leaves_files_to_the_owner_of_the_global_file(
    installation: Installation, prefix: Sequence[str]
) -> None:
    """The core runs under its own uid: whatever root makes or swaps in is the core's."""
    give_away(installation.data_dir)
    shutil.rmtree(installation.app_db("tv-2").parent)

    outcome = run_command("--data-dir", installation.data_dir, "upgrade")

    assert outcome.status == 0, outcome
    strangers = [it for it in installation.data_dir.rglob("*") if it.stat().st_uid != UID]
    assert strangers == []
    again = run_command("--data-dir", installation.data_dir, "check", prefix=prefix)
    assert again.status == 0, again

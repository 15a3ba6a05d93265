"""A system that refuses: no flock, a backup that cannot be read, no room for a rehearsal."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.faults.shim import build_shim
from tests.support.installations import Options
from tests.support.installations.commands import run_command
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from tests.conftest import MakeDisk, MakeInstallation
    from tests.support.installations.commands import Outcome

SOURCE: Final = Path(__file__).parents[2] / "support" / "faults" / "refusals_shim.c"
COMMANDS: Final = [
    ("upgrade", "--jobs", "1"),
    ("rollback",),
    ("split", "cleanup", "--yes"),
    ("backup", "create"),
    ("optimize",),
    ("apps", "create", "another"),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    if build_shim() is None:
        pytest.skip("there is no C compiler")
    target = tmp_path_factory.mktemp("shim") / "refusals.so"
    compiler = shutil.which("gcc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, SOURCE, "-ldl"], check=True)
    return str(target)


def assert_in_words(done: Outcome) -> None:
    assert "report it" not in done.stderr, done
    assert "Traceback" not in done.stderr, done
    assert done.report["ok"] == (done.status == 0)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_locks_is_refused_in_words(
    make_upgraded: MakeInstallation, shim: str, command: tuple[str, ...], number: int
) -> None:
    """Nothing is touched, nothing is left, and the message says what such a system needs."""
    installation = make_upgraded("vods_db", options=Options(killed_writers=False))
    before = fingerprint_files(installation.data_dir)
    environment = {"LD_PRELOAD": shim, "REFUSE_FLOCK": str(number)}
    done = run_command(
        "--data-dir", installation.data_dir, "--json", *command, environment=environment
    )
    assert_in_words(done)
    assert done.status in {1, 3}, done
    assert "flock" in done.stderr, done
    after = fingerprint_files(installation.data_dir)
    assert {name: it for name, it in after.items() if not str(name).endswith(".lock")} == {
        name: it for name, it in before.items() if not str(name).endswith(".lock")
    }


@pytest.mark.parametrize(
    "command",
    [
        ("split", "cleanup", "--yes"),
        ("purge", "live", "--scope", "all", "--yes"),
        ("upgrade", "--jobs", "1"),
        ("optimize",),
    ],
    ids=lambda it: it[0],
)
def test_older_backup_that_cannot_be_read_stops_nothing(
    make_upgraded: MakeInstallation, shim: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It is only looked at to spare a second one that is the same."""
    installation = make_upgraded("vods_db", options=Options(killed_writers=False))
    for path in (installation.global_path, installation.app_db("live")):
        shutil.copy(path, path.with_name(path.name + ".bak-2020-01-01T00-00-00-000Z"))
    untroubled = installation.copy_to(tmp_path / "untroubled")
    environment = {"LD_PRELOAD": shim, "REFUSE_READ": ".bak-2020"}
    done = run_command(
        "--data-dir", installation.data_dir, "--json", *command, environment=environment
    )
    expected = run_command("--data-dir", untroubled.data_dir, "--json", *command)
    assert_in_words(done)
    assert done.status == expected.status
    assert done.stderr.replace(str(installation.data_dir), "") == expected.stderr.replace(
        str(untroubled.data_dir), ""
    )


def test_backup_that_was_just_made_and_cannot_be_read_removes_no_row(
    make_upgraded: MakeInstallation, shim: str
) -> None:
    """The proof of a clean-up is read from it."""
    installation = make_upgraded("monolith", options=Options(killed_writers=False))
    before = installation.global_path.read_bytes()
    environment = {"LD_PRELOAD": shim, "REFUSE_READ": ".bak-"}
    done = run_command(
        *("--data-dir", installation.data_dir, "--json", "split", "cleanup", "--yes"),
        environment=environment,
    )
    assert_in_words(done)
    assert done.status == 3, done
    assert ".bak-" in done.stderr
    assert installation.global_path.read_bytes() == before


def test_rehearsal_without_room_names_tmpdir_and_the_bytes(
    make_installation: MakeInstallation, make_disk: MakeDisk
) -> None:
    """Refused with 3 before the first copy."""
    installation = make_installation("vods_db", rows=600, options=Options(killed_writers=False))
    disk = make_disk(200)
    done = run_command(
        *("--data-dir", installation.data_dir, "--json", "upgrade", "--dry-run"),
        environment={"TMPDIR": str(disk)},
    )
    assert_in_words(done)
    assert done.status == 3, done
    assert "TMPDIR" in done.stderr
    assert str(disk) in done.stderr
    assert "bytes" in done.stderr
    assert list(disk.iterdir()) == []


def test_tmpdir_that_is_a_file_or_full_is_no_reason_to_report(
    make_installation: MakeInstallation, make_disk: MakeDisk, tmp_path: Path
) -> None:
    """Python then takes /tmp."""
    installation = make_installation("vods_db", options=Options(killed_writers=False))
    disk = make_disk(16)
    (disk / "filler").write_bytes(b"x" * 8192)
    (tmp_path / "file").write_bytes(b"")
    for tmpdir in (disk, tmp_path / "file", tmp_path / "nowhere"):
        done = run_command(
            *("--data-dir", installation.data_dir, "--json", "upgrade", "--dry-run"),
            environment={"TMPDIR": str(tmpdir)},
        )
        assert_in_words(done)
        assert done.status in {0, 3}

"""A link, FIFO, socket or device under every name of an installation, met by every command."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.security.owned import RootsFile, by_root, replace_by
from tests.support.installations import Options
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")

KINDS: Final = ("link", "link to nothing", "FIFO", "socket", "device")
DATABASES: Final = ("data/streamhub.db", "apps/live/app.db")
NAMES: Final = (
    *(f"{it}{suffix}" for it in DATABASES for suffix in ("", "-wal", "-shm", "-journal")),
    *("apps/live/vods.db", "apps/live/config.yaml", "data/secrets.json", "data/streamhub.db.lock"),
    *("apps/live", "apps", "data", "backups", ".streamhub-restore"),
)
NEEDED: Final = {*DATABASES, "apps/live", "apps", "data"}
COMMANDS: Final = (
    ("status",),
    ("check",),
    ("sizes",),
    ("health",),
    ("upgrade",),
    ("upgrade", "--dry-run"),
    ("downgrade", "g0013"),
    ("rollback",),
    ("optimize",),
    ("purge", "live", "--dry-run", "--scope", "vods"),
    ("split", "cleanup", "--dry-run"),
    ("apps", "list"),
    ("apps", "create", "tv-9"),
    ("backup", "create"),
    ("backup", "restore", "ARCHIVE"),
)
EVERY: Final = "STREAMHUB_EVERY_POINT" in os.environ
SECONDS: Final = 20
"""A command that waits for a FIFO waits for ever; this leaves room for a busy machine."""


@pytest.fixture
def found(make_upgraded: MakeInstallation) -> Installation:
    return make_upgraded("node_split", rows=8, options=Options(killed_writers=False))


@pytest.fixture
def archive(found: Installation) -> str:
    """An archive beside the installation."""
    folder = found.data_dir.with_name("archives")
    option = ("--data-dir", found.data_dir, "--local-dir", folder)
    done = run_in_process("--json", "backup", "create", *option)
    assert done.status == 0, done
    return str(done.report["archive"])


def within(seconds: int, data_dir: Path, words: list[str]) -> tuple[int, str]:
    """Run a command in a forked child that is killed where it hangs."""
    out, inner = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        done = run_in_process("--data-dir", data_dir, "--json", *words)
        with os.fdopen(inner, "w") as file:
            file.write(done.stdout + done.stderr)
        os._exit(done.status)
    os.close(inner)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with os.fdopen(out) as file:
                return os.waitstatus_to_exitcode(status), file.read()
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(out)
    return -9, "it hangs"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for number, name in enumerate(NAMES)
        for kind in KINDS
        # Every kind in the place of a database, and one kind in each other place, unless all are
        # asked for.
        if name in DATABASES or kind == KINDS[number % len(KINDS)] or EVERY
    ],
)
def test_whatever_lies_under_a_name_is_refused_at_once_and_not_touched(
    found: Installation, archive: str, tmp_path: Path, name: str, kind: str
) -> None:
    """Every command ends, in words; it names what it needs, follows nothing and changes nothing."""
    precious = RootsFile(tmp_path / "outside", (found.data_dir / DATABASES[1]).read_bytes())
    keep = found.data_dir.with_name("kept")
    shutil.copytree(found.data_dir, keep)
    for words in COMMANDS:
        shutil.rmtree(found.data_dir)
        shutil.copytree(keep, found.data_dir)
        replace_by(found.data_dir / name, kind, precious.path)
        command = [archive if it == "ARCHIVE" else it for it in words]
        status, told = within(SECONDS, found.data_dir, command)
        case = (words, status, told)
        assert status in (0, 1, 3), case
        assert "Traceback" not in told, case
        assert "eport it" not in told, case
        if name in NEEDED and words in (("status",), ("check",), ("upgrade",)):
            assert status != 0, case
            assert name in told, case
        precious.assert_untouched()


@pytest.mark.parametrize("name", ["data/secrets.json", "apps/live/config.yaml"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_never_holds_what_a_link_leads_to(
    found: Installation, tmp_path: Path, name: str, kind: str
) -> None:
    """It is named among the failures, and the archive says that it is incomplete."""
    precious = RootsFile(tmp_path / "outside")
    replace_by(found.data_dir / name, kind, precious.path)
    done = by_root(found, "backup", "create")
    assert done.status == 1, done
    assert list(done.report["failures"]) == [f"data/{name.removeprefix('data/')}"]
    assert name in done.report["failures"][f"data/{name.removeprefix('data/')}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        *("data", "data/streamhub.db", "data/apps", "data/apps/live", "data/apps/live/app.db"),
        "restored.json",
    ],
)
def test_undo_takes_nothing_from_where_a_link_leads(
    found: Installation, archive: str, tmp_path: Path, name: str, kind: str
) -> None:
    """A link in pre-restore-*/ made a file of root's readable for the world."""
    done = run_in_process("--data-dir", found.data_dir, "--json", "backup", "restore", archive)
    assert done.status == 0, done
    aside = found.data_dir / str(done.report["set_aside"]).rpartition("/")[2]
    precious = RootsFile(tmp_path / "outside", (found.data_dir / DATABASES[1]).read_bytes())
    replace_by(aside / name, kind, precious.path)
    before = fingerprint_files(found.data_dir / "apps")
    status, told = within(SECONDS, found.data_dir, ["backup", "undo", str(aside)])
    assert status == 3, told
    assert name in told
    assert "eport it" not in told
    precious.assert_untouched()
    assert fingerprint_files(found.data_dir / "apps") == before


@pytest.mark.parametrize(
    "name", ["apps/live", "apps/live/app.db", "data/secrets.json", "apps", "data"]
)
def test_restore_writes_through_no_link(
    found: Installation, archive: str, tmp_path: Path, name: str
) -> None:
    """Neither into a folder of somebody else's nor over his file; nothing is moved."""
    outside = tmp_path / "outside"
    path = found.data_dir / name
    if path.is_dir():
        shutil.copytree(path, outside)
    else:
        outside.mkdir()
        (outside / "file").write_bytes(path.read_bytes() if path.exists() else b"{}")
    replace_by(path, "link", outside if name in {"apps/live", "apps", "data"} else outside / "file")
    before = fingerprint_files(outside)
    status, told = within(SECONDS, found.data_dir, ["backup", "restore", archive])
    assert status == 3, told
    assert name in told
    assert fingerprint_files(outside) == before
    assert not list(found.data_dir.glob("pre-restore-*"))


def test_archives_are_not_written_through_a_linked_folder(
    found: Installation, tmp_path: Path
) -> None:
    """backups/ inside the installation is ours; another folder is named by --local-dir."""
    (tmp_path / "outside").mkdir()
    (found.data_dir / "backups").symlink_to(tmp_path / "outside")
    for words in (("backup", "create"), ("backup", "list"), ("backup", "prune", "--keep", "1")):
        done = run_in_process("--data-dir", found.data_dir, "--json", *words)
        assert done.status == 3, done
        assert "backups: found a link" in done.report["error"]
    assert list((tmp_path / "outside").iterdir()) == []

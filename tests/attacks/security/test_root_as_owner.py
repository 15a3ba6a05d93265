"""Root on an installation of the service's user works as that user, and only there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.init import make_installation
from tests.attacks.security.owned import (
    GID,
    UID,
    RootsFile,
    by_root,
    foreigners,
    give_away,
    owned_copy,
    reachable_folder,
)
from tests.support.installations import Options
from tests.support.installations.commands import CHECKOUT, run_alembic, run_command, run_program
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.settings import S3Settings
    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

WATCHED: Final = """
import json, os, sys
from streamhub_orm.cli import main
seen = set()
def watch(event, arguments):
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.link", "sqlite3.connect"):
        if ROOT in str(arguments[0]):
            seen.add((os.geteuid(), os.getegid()))
ROOT = sys.argv[2]
sys.addaudithook(watch)
try:
    main()
finally:
    print(json.dumps(sorted(seen)), file=sys.stderr)
"""


@pytest.fixture
def found(make_installation: MakeInstallation) -> Iterator[Installation]:
    built = make_installation("node_split", rows=8, options=Options(killed_writers=False))
    with owned_copy(built) as copy:
        yield copy


COMMANDS: Final = [
    ("upgrade",),
    ("upgrade", "--dry-run"),
    ("upgrade", "--jobs", "3"),
    ("status",),
    ("check",),
    ("backup", "create"),
    ("apps", "create", "tv-9"),
    ("apps", "config", "set", "live", "own=1"),
    ("optimize",),
    ("sizes",),
    ("downgrade", "g0013"),
]


def test_every_command_leaves_all_files_to_the_owner(found: Installation) -> None:
    """User and group, of files and folders, whatever was made: the core can use every one."""
    earlier = set(found.data_dir.rglob("*.bak-*"))  # the core's own
    assert by_root(found, "upgrade", "--jobs", "3").status == 0
    for words in (*COMMANDS, ("upgrade",), ("rollback",)):
        outcome = by_root(found, *words)
        assert outcome.status == 0, (words, outcome)
        assert foreigners(found.data_dir) == [], words
    [archive] = (found.data_dir / "backups").iterdir()
    restored = by_root(found, "backup", "restore", archive.name)
    assert restored.status == 0, restored
    assert by_root(found, "backup", "undo", restored.report["set_aside"]).status == 0
    assert foreigners(found.data_dir) == []
    made = set(found.data_dir.rglob("*.bak-*")) - earlier
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_nothing_of_the_installation_is_opened_as_root(
    found: Installation, words: tuple[str, ...]
) -> None:
    """As Python itself tells of each open, folder, rename and removal below DATA_DIR."""
    if words[0] != "upgrade":
        assert by_root(found, "upgrade").status == 0
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "--data-dir", str(found.data_dir), *words],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == [[UID, GID]]


def test_plain_alembic_works_as_the_owner_too(found: Installation) -> None:
    outcome = run_alembic("upgrade", "head", data_dir=found.data_dir)
    assert outcome.status == 0, outcome
    assert foreigners(found.data_dir) == []


def test_a_new_installation_in_a_folder_of_the_users_is_his() -> None:
    with reachable_folder() as folder:
        target = folder / "new"
        target.mkdir()
        give_away(target)
        assert run_command("--data-dir", target, "init").status == 0
        assert foreigners(target) == []


def test_archives_in_a_folder_of_roots_are_roots_and_come_back(
    found: Installation, tmp_path: Path
) -> None:
    """A cron job of root's keeps them where the service's user cannot even look."""
    assert by_root(found, "upgrade").status == 0
    folder = tmp_path / "archives" / "of streamhub"
    option = ("--local-dir", str(folder))
    for reused in (0, 1):
        made = by_root(found, "backup", "create", *option)
        assert made.status == 0, made
        assert (made.report["reused"] > 0) == bool(reused) or reused
        archive = Path(made.report["archive"])
        assert (archive.stat().st_uid, archive.stat().st_mode & 0o777) == (0, 0o600)
        assert made.report["bytes"] == archive.stat().st_size
    assert all(path.suffix == ".gz" for path in folder.iterdir())
    assert not list(found.data_dir.glob(".streamhub-*"))
    assert len(by_root(found, "backup", "list", *option).report["backups"]) == 2
    assert by_root(found, "backup", "verify", *option).status == 0
    assert by_root(found, "backup", "prune", "--keep", "1", *option).status == 0
    assert len(list(folder.iterdir())) == 1
    for name in ("latest", str(next(folder.iterdir()))):
        restored = by_root(found, "backup", "restore", name, *option)
        assert restored.status == 0, restored
    assert foreigners(found.data_dir) == []


def test_an_archive_that_is_refused_leaves_no_folder_of_roots(
    found: Installation, tmp_path: Path
) -> None:
    shutil.rmtree(found.data_dir / "data")
    folder = tmp_path / "archives"
    assert by_root(found, "backup", "create", "--local-dir", str(folder)).status == 3
    assert not folder.exists()


def test_a_page_is_written_where_root_alone_may_write(found: Installation, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    assert by_root(found, "upgrade").status == 0
    target = tmp_path / "report.html"
    for _ in range(2):
        outcome = by_root(found, "report", "--html", str(target))
        assert outcome.status == 0, outcome
    assert (target.stat().st_uid, target.stat().st_mode & 0o777) == (0, 0o600)
    assert target.read_text().lower().startswith("<!doctype html>")


def test_a_folder_of_the_owners_is_never_written_as_root(found: Installation) -> None:
    """Archives beside the installation, in a folder of the same user: a link there hits nothing."""
    assert by_root(found, "upgrade").status == 0
    folder = found.data_dir.parent / "archives"
    folder.mkdir()
    precious = RootsFile(found.data_dir.parent / "roots")
    give_away(folder)
    assert by_root(found, "backup", "create", "--local-dir", str(folder)).status == 0
    assert foreigners(folder) == []
    (folder / "page.html").symlink_to(precious.path)
    os.chown(folder / "page.html", UID, GID, follow_symlinks=False)
    by_root(found, "report", "--html", str(folder / "page.html"))
    precious.assert_untouched()


def test_a_scratch_folder_that_the_owner_may_not_write_is_named(
    found: Installation, tmp_path: Path
) -> None:
    """TMPDIR of a session of root's is often root's alone."""
    before = fingerprint_files(found.data_dir)
    outcome = by_root(found, "upgrade", "--dry-run", TMPDIR=str(tmp_path))
    assert outcome.status == 3, outcome
    assert f"TMPDIR: found the folder {tmp_path}" in outcome.report["error"]
    assert fingerprint_files(found.data_dir) == before
    assert by_root(found, "upgrade", "--dry-run", TMPDIR="/tmp").status == 0  # noqa: S108


def test_an_installation_that_its_owner_cannot_reach_is_refused_in_words(tmp_path: Path) -> None:
    """He could not run the server there either."""
    place = make_installation(tmp_path / "installation")
    give_away(place.root)
    tmp_path.chmod(0o700)
    outcome = run_command("--data-dir", place.root, "--json", "status")
    assert outcome.status == 3
    assert "may not enter" in outcome.report["error"]
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data/streamhub.db", ("upgrade",)),
        ("apps/live/app.db", ("upgrade",)),
        ("apps/live/app.db-wal", ("upgrade",)),
        ("apps/live", ("upgrade",)),
        ("data/streamhub.db.lock", ("upgrade",)),
        ("data/secrets.json", ("backup", "create")),
        ("apps/live/config.yaml", ("backup", "create")),
        ("backups", ("backup", "create")),
    ],
)
def test_what_an_earlier_sudo_left_to_root_is_named_with_its_remedy(
    found: Installation, name: str, words: tuple[str, ...]
) -> None:
    """The command that is told gives it back, and then the work is done."""
    path = found.data_dir / name
    if not path.exists() and name in {"backups", "apps/live"}:
        path.mkdir()
    elif not path.exists():
        path.touch()
    os.chown(path, 0, 0)
    path.chmod(0o700 if path.is_dir() else 0o600)

    outcome = by_root(found, *words)

    assert outcome.status in (1, 3), outcome
    told = outcome.stderr + outcome.stdout
    assert f"sudo chown {UID}:{GID} {path}" in told, outcome
    assert "eport it" not in told
    os.chown(path, UID, GID)
    if name != "apps/live/app.db-wal":
        assert by_root(found, *words).status == 0


def test_the_library_refuses_to_work_as_root_and_can_become_the_owner(found: Installation) -> None:
    """It never changes its process's user by itself; one call does it."""
    program = f"""
from pathlib import Path
from streamhub_orm import Databases, owner
from streamhub_orm.errors import ForeignOwnerError
root = Path({str(found.data_dir)!r})
try:
    Databases(root)
except ForeignOwnerError as error:
    assert "{UID}:{GID}" in str(error), error
else:
    raise SystemExit("it was opened as root")
owner.become_owner(root)
with Databases(root) as databases, databases.app_session("live") as session:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert foreigners(found.data_dir) == []


@pytest.fixture
def private_program() -> Iterator[tuple[str, ...]]:
    """Give `streamhub-db` with all its packages in a folder of root's alone, as pipx makes it."""
    with reachable_folder() as folder:
        private = folder / "private"
        private.mkdir(0o700)
        (private / "packages").symlink_to(sysconfig.get_path("purelib"))
        (private / "checkout").symlink_to(CHECKOUT)
        script = f"""
import sys
sys.path[:0] = [{str(private / "checkout")!r}, {str(private / "packages")!r}]
from streamhub_orm.cli import main
main()
"""
        yield (sys.executable, "-I", "-S", "-c", script)


@pytest.mark.parametrize(
    "words",
    [
        ("upgrade",),
        ("backup", "create"),
        ("backup", "list"),
        ("backup", "prune", "--keep", "1"),
        ("check",),
    ],
    ids=" ".join,
)
def test_a_program_that_only_root_can_read_works_for_the_owner(
    found: Installation,
    private_program: tuple[str, ...],
    s3_settings: S3Settings,
    words: tuple[str, ...],
) -> None:
    """Neither code nor data of a package is read after root became the owner."""
    environment = {
        "BACKUP_S3_BUCKET": s3_settings.bucket,
        "BACKUP_S3_ENDPOINT": str(s3_settings.endpoint),
        "BACKUP_S3_ACCESS_KEY_ID": s3_settings.access_key,
        "BACKUP_S3_SECRET_ACCESS_KEY": s3_settings.secret_key,
        "BACKUP_S3_FORCE_PATH_STYLE": "true",
    }
    if words != ("upgrade",):
        assert by_root(found, "upgrade").status == 0
    options = ("--data-dir", str(found.data_dir), "--json")
    done = run_program(
        private_program, (*options, *words), cwd=found.data_dir, environment=environment
    )
    assert done.status == 0, done
    assert foreigners(found.data_dir) == []

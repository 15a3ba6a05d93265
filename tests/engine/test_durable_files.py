"""Files that appear whole or not at all, and what killed runs leave."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.durable_files import (
    make_folder,
    publish,
    remove_database,
    remove_leftovers,
    temporary_beside,
    write_whole,
)
from streamhub_orm.engine.database_files import create_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]

HOLDER = """
import sys, time
from pathlib import Path
from streamhub_orm.durable_files import temporary_beside
path = Path(sys.argv[1])
with temporary_beside(path) as temporary:
    temporary.write_bytes(b"half a copy")
    for suffix in ("-journal", "-wal", "-shm"):
        temporary.with_name(temporary.name + suffix).write_bytes(b"x")
    print(temporary, flush=True)
    time.sleep(60)
"""


@contextmanager
def run_that_holds_a_temporary(path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        temporary = Path(process.stdout.readline().strip())
        try:
            yield process, temporary
        finally:
            process.kill()


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_temporary_is_private_empty_and_beside_its_target(tmp_path: Path) -> None:
    """Mode 0600 from the first instant; at the end it goes with its journals."""
    path = tmp_path / "app.db"
    with temporary_beside(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.stat().st_mode & 0o7777 == 0o600
        assert temporary.read_bytes() == b""
        assert temporary.name.startswith(".app.db.")
        for suffix in ("-journal", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).touch()
    assert entries(tmp_path) == []


def test_temporary_is_removed_when_the_work_fails(tmp_path: Path) -> None:
    """An error, or Ctrl-C, leaves nothing behind."""
    with pytest.raises(KeyboardInterrupt), temporary_beside(tmp_path / "app.db"):
        raise KeyboardInterrupt
    assert entries(tmp_path) == []


def test_publish_makes_the_whole_file_appear_with_the_mode_asked_for(tmp_path: Path) -> None:
    """The target has content and mode of its own, and the temporary name is gone afterwards."""
    target = tmp_path / "app.db"
    with temporary_beside(target) as temporary:
        temporary.write_bytes(b"whole")
        publish(temporary, target, mode=0o640)
    assert target.read_bytes() == b"whole"
    assert target.stat().st_mode & 0o7777 == 0o640
    assert target.stat().st_nlink == 1
    assert entries(tmp_path) == ["app.db"]


def test_publish_leaves_the_locks_of_who_opens_the_file_at_once(tmp_path: Path) -> None:
    """Another thread may open the database as soon as it appears, and keeps its POSIX locks.

    Closing any descriptor of a file drops all locks of the process on it; without its lock, the
    next process that closes the database deletes the -wal under the thread's connection.
    """
    target = tmp_path / "app.db"
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE vods (name TEXT)")
        content = made.serialize()
    with temporary_beside(target) as temporary:
        temporary.write_bytes(content)
        publish(temporary, target, mode=0o600)
        connection = sqlite3.connect(target, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO vods VALUES ('committed')")
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('ANALYZE'); c.close()"
    subprocess.run([sys.executable, "-c", other, str(target)], check=True)
    kept = entries(tmp_path)
    connection.close()
    assert kept == ["app.db", "app.db-shm", "app.db-wal"]


def test_write_whole_replaces_a_file_and_leaves_no_other(tmp_path: Path) -> None:
    """With the mode asked for, whatever the old one had; a name that is a link gets a file."""
    target, elsewhere = tmp_path / "secrets.json", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"another's")
    target.symlink_to(elsewhere)
    write_whole(target, b"old", mode=0o644)
    write_whole(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o7777 == 0o600
    assert elsewhere.read_bytes() == b"another's"
    assert entries(tmp_path) == ["elsewhere", "secrets.json"]


def test_write_whole_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """Here what should be replaced is a folder."""
    (tmp_path / "secrets.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "secrets.json", b"new", mode=0o600)
    assert entries(tmp_path) == ["secrets.json"]


def test_temporary_that_cannot_be_removed_gives_its_lock_back(tmp_path: Path) -> None:
    """A folder of its journal's name is in the way; the next run removes the rest."""
    with suppress(OSError), temporary_beside(tmp_path / "app.db") as temporary:
        in_the_way = temporary.with_name(temporary.name + "-journal")
        in_the_way.mkdir()
    assert len(entries(tmp_path)) == 2
    in_the_way.rmdir()
    remove_leftovers(tmp_path)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link to nowhere"])
def test_publish_never_replaces_what_is_there(tmp_path: Path, kind: str) -> None:
    """A file that another process made meanwhile stays, and the caller is told."""
    target = tmp_path / "app.db"
    if kind == "file":
        target.write_bytes(b"another's")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with temporary_beside(target) as temporary:
        temporary.write_bytes(b"ours")
        with pytest.raises(FileExistsError):
            publish(temporary, target, mode=0o600)
    assert entries(tmp_path) == ["app.db"]
    assert not target.is_file() or target.read_bytes() == b"another's"


def test_leftovers_of_a_killed_run_are_removed_with_their_journals(tmp_path: Path) -> None:
    """SIGKILL leaves the temporary file; the kernel has let go of its lock."""
    path = tmp_path / "app.db"
    path.write_bytes(b"mine")
    with run_that_holds_a_temporary(path) as (process, temporary):
        process.kill()
        process.wait()
        assert temporary.exists()
        assert len(entries(tmp_path)) == 6
        remove_leftovers(tmp_path)
    assert entries(tmp_path) == ["app.db"]
    assert path.read_bytes() == b"mine"


def test_leftovers_of_a_living_run_stay(tmp_path: Path) -> None:
    """What another process is writing right now is not touched."""
    with run_that_holds_a_temporary(tmp_path / "app.db") as (_, temporary):
        before = entries(tmp_path)
        remove_leftovers(tmp_path)
        assert entries(tmp_path) == before
        assert temporary.read_bytes() == b"half a copy"


def test_leftovers_of_this_process_stay_while_it_writes(tmp_path: Path) -> None:
    """Another thread of the same process is as safe as another process."""
    with temporary_beside(tmp_path / "app.db") as temporary:
        remove_leftovers(tmp_path)
        assert temporary.exists()


def test_journal_of_a_temporary_that_is_gone_is_removed(tmp_path: Path) -> None:
    """A run may have died between removing the file and removing its journal."""
    (tmp_path / ".app.db.0a1b2c3d.streamhub-tmp-journal").touch()
    remove_leftovers(tmp_path)
    assert entries(tmp_path) == []


def test_leftovers_are_known_by_their_name_alone(tmp_path: Path) -> None:
    """Databases, backups and an operator's files stay; a folder that is missing is nothing."""
    kept = ["app.db", "app.db-wal", "app.db.bak-2026-01-01T00-00-00-000Z", "notes.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "no such folder")
    remove_leftovers(tmp_path / "app.db")
    assert entries(tmp_path) == kept


def test_database_is_removed_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    """Main file, -journal, -wal and -shm; twice is no error."""
    for name in ("a.db", "a.db-journal", "a.db-wal", "a.db-shm", "b.db"):
        (tmp_path / name).touch()
    remove_database(tmp_path / "a.db")
    remove_database(tmp_path / "a.db")
    assert entries(tmp_path) == ["b.db"]


def test_empty_file_is_created_with_its_folders_and_never_emptied(tmp_path: Path) -> None:
    """Mode of the model file, folders with the mode of those around; an existing file stays."""
    tmp_path.chmod(0o750)
    model = tmp_path / "streamhub.db"
    model.touch(mode=0o640)
    path = tmp_path / "apps" / "live" / "app.db"
    create_empty(path, mode=0o640)
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [it.stat().st_mode & 0o7777 for it in path.parents[:2]] == [0o750, 0o750]
    path.write_bytes(b"mine")
    create_empty(path, mode=0o640)
    make_folder(path.parent)
    assert path.read_bytes() == b"mine"

"""Lazy open, backup and rollback: folders that turn read-only, locks half-way, bad pages."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from tests.support import figures
from tests.support.faults import fork_server, scenarios
from tests.support.faults.scenarios import assert_rows_accounted
from tests.support.faults.shim import Mode
from tests.support.faults.state import Reader
from tests.support.installations import Options, build_installation
from tests.support.installations.facts import find_global_path
from tests.support.installations.snapshot import fingerprint_databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import Ended, ForkServer, Job

UID: Final = 65534
PAGE: Final = 4096


def build(memory: Path, era: str) -> tuple[Path, Path]:
    """Build an installation twice: to compare with, and to work on."""
    built = build_installation(
        *(memory / "original",),
        era=era,
        apps=scenarios.APPS,
        rows=scenarios.ROWS,
        options=Options(killed_writers=False),
    )
    return built.data_dir, built.copy_to(memory / "data").data_dir


def bad_pages(path: Path) -> Iterator[int]:
    """Destroy one page of a file after the other, and mend it at the end."""
    good = path.read_bytes()
    for page in range(len(good) // PAGE):
        path.write_bytes(good[: page * PAGE] + b"\xa5" * PAGE + good[(page + 1) * PAGE :])
        figures.count("pages destroyed")
        yield page
    path.write_bytes(good)


def assert_failed(ended: Ended, path: Path) -> None:
    assert ended.status in (1, 3), ended
    assert "Traceback" not in ended.stderr
    assert ended.report["ok"] is False
    assert str(path) in ended.report["error"]
    assert "report it" not in ended.report["error"]


def assert_finished(server: ForkServer, original: Path, data_dir: Path, *, user: int = 0) -> None:
    ended = server.run(fork_server.upgrade(data_dir).by_user(user))
    assert ended.status == 0, ended
    assert_rows_accounted(original, data_dir)
    assert not list(data_dir.rglob("*.streamhub-tmp*"))


def test_open_of_a_new_app_with_a_bad_page_in_its_vods_db_makes_no_file(
    server: ForkServer, memory: Path
) -> None:
    """Whichever page it is: no app.db with half the rows appears, and the words name the source."""
    original, data_dir = build(memory, "vods_db")
    source = data_dir / "apps" / "live" / "vods.db"
    (source.parent / "app.db").unlink(missing_ok=True)
    (original / "apps" / "live" / "app.db").unlink(missing_ok=True)
    for page in bad_pages(source):
        ended = server.run(fork_server.open_app(data_dir, "live"))
        assert_failed(ended, source)
        assert not source.with_name("app.db").exists(), f"page {page}"
    assert server.run(fork_server.open_app(data_dir, "live")).status == 0
    assert_finished(server, original, data_dir)


@pytest.mark.parametrize("work", ["open", "upgrade", "rehearsal"])
def test_old_app_with_a_bad_page_is_refused_untouched(
    server: ForkServer, memory: Path, work: str
) -> None:
    """Whichever page of the app.db it is, one of an index too."""
    original, data_dir = build(memory, "pre_tenancy")
    path = data_dir / "apps" / "tv-2" / "app.db"
    job = {
        "open": fork_server.open_app(data_dir, "tv-2"),
        "upgrade": fork_server.upgrade(data_dir, "--app", "tv-2"),
        "rehearsal": fork_server.upgrade(data_dir, "--app", "tv-2", "--dry-run"),
    }[work]
    for page in bad_pages(path):
        before = path.read_bytes()
        ended = server.run(job)
        assert (page, ended.status) in ((page, 1), (page, 3)), f"page {page}"
        assert_failed(ended, path)
        assert path.read_bytes() == before, f"page {page}"
    assert server.run(job).status == 0
    assert_finished(server, original, data_dir)


def test_backup_of_a_file_with_a_bad_page_fails_and_leaves_nothing(
    server: ForkServer, memory: Path
) -> None:
    """A copy that is no backup never bears the name of one."""
    _, data_dir = build(memory, "monolith")
    path = find_global_path(data_dir)
    names = {it.name for it in path.parent.iterdir()}
    for page in bad_pages(path):
        ended = server.run(fork_server.back_up(data_dir, path))
        assert_failed(ended, path)
        left = {it.name for it in path.parent.iterdir() if not it.name.endswith(("-shm", "-wal"))}
        assert left == names, f"page {page}"
    assert server.run(fork_server.back_up(data_dir, path)).status == 0


def open_tv(data_dir: Path) -> Job:
    return fork_server.open_app(data_dir, "tv-2")


def roll_back(data_dir: Path) -> Job:
    return fork_server.cli(data_dir, "rollback")


def back_up(data_dir: Path) -> Job:
    return fork_server.back_up(data_dir, data_dir / "apps/tv-2/app.db")


@pytest.mark.parametrize(
    ("make", "folder"), [(open_tv, "apps/tv-2"), (back_up, "apps/tv-2"), (roll_back, "data")]
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_work_in_a_folder_that_turns_read_only_half_way_costs_no_row(
    server: ForkServer, memory: Path, make: object, folder: str, share: float
) -> None:
    """An unprivileged user meets EACCES in the middle: in words, whole, and cured by the mode."""
    if not server.has_shim or os.geteuid() != 0:
        pytest.skip("only root can become another user, and the shim alone can stop half-way")
    original, data_dir = build(memory, "pre_tenancy")
    for path in (memory, *memory.rglob("*")):
        shutil.chown(path, UID, UID)
    if make is roll_back:
        assert_finished(server, original, data_dir, user=UID)
    job = make(data_dir).by_user(UID)  # type: ignore[operator]
    counted_dir = memory / "counted"
    shutil.copytree(data_dir, counted_dir)
    for path in (counted_dir, *counted_dir.rglob("*")):
        shutil.chown(path, UID, UID)
    counted = server.run(make(counted_dir).by_user(UID))  # type: ignore[operator]
    assert counted.status == 0, counted
    before = {
        name: contents
        for name, contents in Reader().read_all(data_dir).items()
        if contents is not None
    }

    ended = server.run(
        job.at(int(counted.points * share), Mode.PAUSE),
        lambda: (data_dir / folder).chmod(0o555),
    )

    figures.count("folders that turned read-only, files that got locked")
    if ended.status:
        assert_failed(ended, data_dir / folder)
        now = Reader().read_all(data_dir)
        assert all(contents.is_like(now.get(name)) for name, contents in before.items())
    (data_dir / folder).chmod(0o755)
    again = server.run(job)
    assert again.status == 0 or (make is roll_back and not ended.status), again
    assert_finished(server, original, data_dir, user=UID)


@pytest.mark.parametrize("make", [open_tv, back_up])
def test_work_that_finds_the_file_locked_half_way_ends_in_words_or_does_not_need_the_lock(
    server: ForkServer, memory: Path, make: object
) -> None:
    """Another program holds the write lock for longer than the busy timeout."""
    if not server.has_shim:
        pytest.skip("no C compiler, so nothing that stops half-way")
    original, data_dir = build(memory, "pre_tenancy")
    path = data_dir / "apps/tv-2/app.db"
    holders: list[sqlite3.Connection] = []

    def lock() -> None:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        holders.append(holder)

    ended = server.run(make(data_dir).at(12, Mode.PAUSE), lock)  # type: ignore[operator]
    for holder in holders:
        holder.close()

    figures.count("folders that turned read-only, files that got locked")
    if make is open_tv:
        assert_failed(ended, path)
        assert "lock" in ended.report["error"]
    else:
        assert ended.status == 0, ended  # a backup reads
    assert server.run(make(data_dir)).status == 0  # type: ignore[operator]
    before = fingerprint_databases(data_dir)
    assert server.run(open_tv(data_dir)).status == 0
    assert make is back_up or fingerprint_databases(data_dir) == before
    assert_finished(server, original, data_dir)

"""Disks that fill up, fail, turn read-only or were bad all along, at any moment of an upgrade."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.support import figures
from tests.support.faults import scenarios
from tests.support.faults.fork_server import upgrade
from tests.support.faults.full_disk import leave_room
from tests.support.faults.kill_points import Attack, attack_at, calls_of, fault_numbers
from tests.support.faults.sampling import sample
from tests.support.faults.scenarios import assert_rows_accounted
from tests.support.faults.shim import Mode
from tests.support.installations import Options, build_installation
from tests.support.installations.snapshot import fingerprint_databases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.attacks.conftest import Preparations
    from tests.support.faults.fork_server import Ended, ForkServer
    from tests.support.faults.scenarios import Scenario


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        pytest.param(Mode.FAIL_ON, errno.ENOSPC, id="full from then on"),
        pytest.param(Mode.FAIL_ONCE, errno.ENOSPC, id="full once"),
        pytest.param(Mode.FAIL_ONCE, errno.EIO, id="bad once"),
        pytest.param(Mode.FAIL_ON, errno.EIO, id="bad from then on"),
    ],
)
@pytest.mark.parametrize(("era", "every"), [("monolith", 61), ("pre_tenancy", 151)])
def test_upgrade_on_a_disk_that_fails_changes_nothing_by_halves(  # noqa: PLR0913, PLR0917
    server: ForkServer, preparations: Preparations, era: str, every: int, mode: Mode, error: int
) -> None:
    """Wherever it fails: status 0, 1 or 3 rightly, the file is named, the next run finishes."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    prepared = preparations.get(scenarios.upgrade_of(era))
    numbers = fault_numbers(server, prepared, first=1 + mode, every=every)
    violations = attack_at(server, prepared, numbers, Attack(mode, error))
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        pytest.param(Mode.FAIL_ON, errno.ENOSPC, id="full from then on"),
        pytest.param(Mode.FAIL_ONCE, errno.ENOSPC, id="full once"),
        pytest.param(Mode.FAIL_ONCE, errno.EIO, id="bad once"),
        pytest.param(Mode.FAIL_ON, errno.EIO, id="bad from then on"),
    ],
)
@pytest.mark.parametrize(
    ("make", "every"),
    [
        (scenarios.lazy_open_of_new_app, 7),
        (scenarios.lazy_open_of_old_app, 47),
        (scenarios.backup_alone, 7),
        (scenarios.fresh_installation, 7),
        (scenarios.rollback, 19),
        (scenarios.split_cleanup, 61),
    ],
    ids=lambda it: getattr(it, "__name__", None),
)
def test_other_work_on_a_disk_that_fails_changes_nothing_by_halves(  # noqa: PLR0913, PLR0917
    server: ForkServer,
    preparations: Preparations,
    make: Callable[[], Scenario],
    every: int,
    mode: Mode,
    error: int,
) -> None:
    """Lazy open, backup, `init`, `rollback` and `split cleanup`: whole, in words, done again."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    prepared = preparations.get(make())
    numbers = fault_numbers(server, prepared, first=1 + mode + error, every=every)
    violations = attack_at(server, prepared, numbers, Attack(mode, error))
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.parametrize(
    ("era", "mode", "error", "every"),
    [
        pytest.param("monolith", Mode.FAIL_ON, errno.ENOSPC, 5, id="monolith-full"),
        pytest.param("monolith", Mode.FAIL_ONCE, errno.EIO, 7, id="monolith-bad"),
        pytest.param("node_split", Mode.FAIL_ON, errno.EIO, 11, id="node_split-bad"),
    ],
)
def test_upgrade_whose_syncs_and_new_files_fail_changes_nothing_by_halves(  # noqa: PLR0913, PLR0917
    server: ForkServer, preparations: Preparations, era: str, mode: Mode, error: int, every: int
) -> None:
    """The calls on which durability rests: fsync, create, link, truncate."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    prepared = preparations.get(scenarios.upgrade_of(era))
    calls = calls_of(server, prepared)
    numbers = [
        number
        for number, call in enumerate(calls, 1)
        if call.startswith(("fsync ", "create ", "link ", "truncate "))
    ]
    chosen = [numbers[number - 1] for number in sample(len(numbers), every)]
    violations = attack_at(server, prepared, chosen, Attack(mode, error))
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.parametrize("kibibytes", [8, 24, 48, 96, 160])
def test_upgrade_under_a_limit_of_file_size_names_the_file_and_is_finished_without_it(
    server: ForkServer, memory: Path, kibibytes: int
) -> None:
    """RLIMIT_FSIZE makes SQLite's own writes fail with EFBIG."""
    original, data_dir = _build(memory, "vods_db")
    job = upgrade(data_dir)

    ended = server.run(job.limited(kibibytes * 1024))

    _assert_failed(ended, data_dir)
    _assert_next_run_finishes(server, original, data_dir)


@pytest.mark.parametrize("spare_pages", range(0, 120, 15))
def test_upgrade_on_a_full_file_system_names_the_file_and_is_finished_with_room(
    server: ForkServer, memory: Path, small_disk: Path, spare_pages: int
) -> None:
    """With no room the preflight refuses; with some, the run fails half-way and says where."""
    original, copied = _build(memory, "pre_tenancy")
    data_dir = small_disk / "data"
    shutil.copytree(copied, data_dir)
    before = fingerprint_databases(data_dir)
    leave_room(small_disk, pages=spare_pages)

    ended = server.run(upgrade(data_dir))

    _assert_failed(ended, data_dir)
    assert "space" in ended.report["error"]
    if ended.status == 3:
        assert fingerprint_databases(data_dir) == before
    (small_disk / "filler").unlink()
    _assert_next_run_finishes(server, original, data_dir)


def test_upgrade_whose_app_folder_turns_read_only_half_way_fails_for_that_app_alone(
    server: ForkServer, memory: Path
) -> None:
    """An unprivileged user meets EACCES in the middle; the other apps are done."""
    _require_pauses(server)
    user = _unprivileged()
    original, data_dir = _build(memory, "pre_tenancy")
    _give_away(memory, user)
    locked = data_dir / "apps" / "tv-2"
    job = upgrade(data_dir)

    def turn_read_only() -> None:
        locked.chmod(0o555)

    ended = server.run(job.by_user(user).at(60, Mode.PAUSE), turn_read_only)

    _assert_failed(ended, data_dir, status=1)
    failed = {app["app"]: app["error"] for app in ended.report["apps"] if app["error"]}
    assert list(failed) == ["tv-2"]
    assert str(locked) in failed["tv-2"]
    locked.chmod(0o755)
    _assert_next_run_finishes(server, original, data_dir, user=user)


def test_upgrade_whose_global_folder_turns_read_only_half_way_is_finished_later(
    server: ForkServer, memory: Path
) -> None:
    """The split has begun by then; the run says that the global database cannot be written."""
    _require_pauses(server)
    user = _unprivileged()
    original, data_dir = _build(memory, "monolith")
    _give_away(memory, user)

    ended = server.run(
        upgrade(data_dir).by_user(user).at(150, Mode.PAUSE),
        lambda: (data_dir / "data").chmod(0o555),
    )

    _assert_failed(ended, data_dir)
    (data_dir / "data").chmod(0o755)
    _assert_next_run_finishes(server, original, data_dir, user=user)


@pytest.mark.parametrize("name", ["apps/tv-2/app.db", "data/streamhub.db"])
def test_upgrade_that_finds_a_file_locked_half_way_names_it_and_is_finished_later(
    server: ForkServer, memory: Path, name: str
) -> None:
    """Another program holds the write lock for longer than the busy timeout."""
    _require_pauses(server)
    original, data_dir = _build(memory, "pre_tenancy")
    holders: list[sqlite3.Connection] = []

    def lock() -> None:
        holder = sqlite3.connect(data_dir / name, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        holders.append(holder)

    ended = server.run(upgrade(data_dir).at(200, Mode.PAUSE), lock)
    for holder in holders:
        holder.close()

    _assert_failed(ended, data_dir, status=1)
    assert str(data_dir / name) in ended.report["error"]
    assert "lock" in ended.report["error"]
    _assert_next_run_finishes(server, original, data_dir)


def test_upgrade_with_a_bad_page_in_a_vods_db_fails_for_that_app_alone(
    server: ForkServer, memory: Path
) -> None:
    """Whichever page it is: nothing of the app comes over by halves, the other apps are done."""
    original, data_dir = _build(memory, "vods_db", killed_writers=False)
    damaged = data_dir / "apps" / "radio--x" / "vods.db"
    if not damaged.exists():
        damaged = min(data_dir.rglob("vods.db"))
    app = damaged.parent.name
    good = damaged.read_bytes()
    for page in range(len(good) // 4096):
        figures.count("pages destroyed")
        damaged.write_bytes(good[: page * 4096] + b"\xa5" * 4096 + good[(page + 1) * 4096 :])
        ended = server.run(upgrade(data_dir))
        _assert_failed(ended, data_dir, status=1)
        failed = {it["app"]: it["error"] for it in ended.report["apps"] if it["error"]}
        assert list(failed) == [app], f"page {page}"
        assert str(damaged) in failed[app], f"page {page}"
    damaged.write_bytes(good)
    _assert_next_run_finishes(server, original, data_dir)


def test_upgrade_with_a_bad_page_in_the_global_database_is_refused_untouched(
    server: ForkServer, memory: Path
) -> None:
    """No page of it may be bad before anything is done."""
    original, data_dir = _build(memory, "monolith", killed_writers=False)
    path = data_dir / "data" / "streamhub.db"
    good = path.read_bytes()
    for page in range(len(good) // 4096):
        figures.count("pages destroyed")
        path.write_bytes(good[: page * 4096] + b"\xa5" * 4096 + good[(page + 1) * 4096 :])
        before = fingerprint_databases(data_dir)
        ended = server.run(upgrade(data_dir))
        _assert_failed(ended, data_dir, status=3)
        assert str(path) in ended.report["error"], f"page {page}"
        assert fingerprint_databases(data_dir) == before, f"page {page}"
    path.write_bytes(good)
    _assert_next_run_finishes(server, original, data_dir)


def _build(memory: Path, era: str, *, killed_writers: bool = True) -> tuple[Path, Path]:
    """Build an installation twice: to compare with, and to work on."""
    options = Options(killed_writers=killed_writers)
    built = build_installation(
        memory / "original", era=era, apps=scenarios.APPS, rows=scenarios.ROWS, options=options
    )
    return built.data_dir, built.copy_to(memory / "data").data_dir


def _assert_failed(ended: Ended, data_dir: Path, *, status: int | None = None) -> None:
    assert ended.status in ((1, 3) if status is None else (status,)), ended
    assert "Traceback" not in ended.stderr
    assert ended.report["ok"] is False
    assert str(data_dir) in ended.report["error"]
    assert "Please report it" not in ended.report["error"]


def _assert_next_run_finishes(
    server: ForkServer, original: Path, data_dir: Path, *, user: int = 0
) -> None:
    ended = server.run(upgrade(data_dir).by_user(user))
    assert ended.status == 0, ended
    assert ended.report["ok"] is True
    assert_rows_accounted(original, data_dir)
    assert not list(data_dir.rglob("*.streamhub-tmp*"))
    before = fingerprint_databases(data_dir)
    assert server.run(upgrade(data_dir).by_user(user)).status == 0
    assert fingerprint_databases(data_dir) == before


def _require_pauses(server: ForkServer) -> None:
    if not server.has_shim:
        pytest.skip("no C compiler, so no pause half-way")


def _unprivileged() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, and root may write everywhere")
    return 65534


def _give_away(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user, user)

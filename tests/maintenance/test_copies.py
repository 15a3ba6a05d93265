"""Copies that earlier work left are listed, and old ones go but for those that may be needed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import UpgradeRunningError
from streamhub_orm.maintenance.copies import list_copies, prune_copies
from streamhub_orm.upgrade import upgrade_installation
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


def aged(path: Path, days: int) -> Path:
    """Put a backup beside a file, as old as its name says."""
    time = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H-%M-%S-000Z")
    backup = path.with_name(f"{path.name}.bak-{time}")
    backup.write_bytes(b"x" * 100)
    return backup


@pytest.fixture
def place(make_installation: MakeInstallation) -> Path:
    """An upgraded installation; its pre-split backup is recorded."""
    found = make_installation("node_split", rows=4)
    upgrade_installation(found.data_dir)
    return found.data_dir


def test_backups_and_folders_of_restores_are_listed(place: Path) -> None:
    live = place / "apps/live/app.db"
    old, new = aged(live, 9), aged(live, 2)
    aside = place / "pre-restore-2026-01-02T03-04-05-678Z"
    (aside / "data").mkdir(parents=True)
    (aside / "data/streamhub.db").write_bytes(b"12345")
    (place / "pre-restore-mine").mkdir()
    live.with_name("app.db.bak-mine").write_bytes(b"1")
    (place / "pre-restore-2026-01-02T03-04-05-679Z").symlink_to(aside)
    found = {copy.path: copy for copy in list_copies(place)}
    mine = [copy.path for copy in found.values() if copy.of == "live"]
    assert mine[-2:] == [new, old]
    assert (found[aside].of, found[aside].size_bytes) == ("restore", 5)
    assert found[aside].taken_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert all("mine" not in str(path) for path in found)
    assert sum(copy.path.name.startswith("pre-restore") for copy in found.values()) == 1


def test_newest_young_and_needed_ones_stay(place: Path) -> None:
    """What was there before the split, and the copies of a lost database, are never removed."""
    live, lost = place / "apps/live/app.db", place / "apps/000/app.db"
    backups = [aged(live, days) for days in (40, 30, 20, 10)]
    for companion in lost.parent.glob("app.db*"):
        companion.unlink()
    only = aged(lost, 400)
    recorded = {it.path for it in list_copies(place) if it.of == "global" and it.stays}
    assert recorded
    for days in range(1, 4):
        aged(place / "data/streamhub.db", days)
    planned = prune_copies(place, keep=1, older_than=timedelta(days=25), dry_run=True)
    assert {copy.path for copy in planned.removed} == set(backups[:2])
    assert all(path.exists() for path in backups)
    done = prune_copies(place, keep=1, older_than=timedelta(days=25))
    assert [it.path for it in done.removed] == [it.path for it in planned.removed]
    assert [path.exists() for path in backups] == [False, False, True, True]
    prune_copies(place, keep=0)
    left = {copy.path for copy in list_copies(place)}
    assert left == {only} | recorded


def test_upgrade_under_way_keeps_its_backups(place: Path) -> None:
    with run_lock(place / "data/streamhub.db.lock"), pytest.raises(UpgradeRunningError):
        prune_copies(place, keep=0)


def test_command_wants_consent_and_says_what_went(place: Path) -> None:
    backup = aged(place / "apps/live/app.db", 9)
    words = ("--data-dir", place, "copies", "prune", "--keep", "0", "--older-than", "8d")
    assert run_in_process(*words).status == 2
    assert backup.exists()
    of_any_age = run_in_process("--data-dir", place, "copies", "prune", "--keep", "0", "--dry-run")
    assert f"would remove {backup}" in of_any_age.stdout
    planned = run_in_process(*words, "--dry-run")
    assert f"would remove {backup}" in planned.stdout
    done = run_in_process("--json", *words, "--yes")
    assert json.loads(done.stdout)["removed"] == [str(backup)]
    assert not backup.exists()
    first = run_in_process("--data-dir", place, "--json", "copies", "list", "--limit", "1")
    assert len(first.report["items"]) == 1
    listed = run_in_process("--data-dir", place, "copies", "list", "--sort", "age")
    assert "copies, " in listed.stdout.splitlines()[-1]

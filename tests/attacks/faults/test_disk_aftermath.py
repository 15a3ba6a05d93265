"""What a run that met a fault leaves at once, before any next run: every row, and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.faults.fork_server import upgrade
from tests.support.faults.scenarios import APPS, ROWS
from tests.support.faults.shim import Mode
from tests.support.faults.state import names_of
from tests.support.installations import build_installation
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import ForkServer
    from tests.support.installations import Installation
    from tests.support.installations.snapshot import Snapshot

UID: Final = 65534
FAULTS: Final = [
    pytest.param(Mode.FAIL_ONCE, errno.ENOSPC, id="full once"),
    pytest.param(Mode.FAIL_ON, errno.ENOSPC, id="full from then on"),
    pytest.param(Mode.FAIL_ONCE, errno.EIO, id="bad once"),
    pytest.param(Mode.FAIL_ON, errno.EIO, id="bad from then on"),
]


@pytest.fixture
def built(memory: Path) -> Installation:
    return build_installation(memory / "original", era="vods_db", apps=APPS, rows=ROWS)


def find_missing_rows(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """List rows that are no longer where they were: neither the split nor a fault takes any."""
    pairs = [("global", before.registry, after.registry)]
    pairs += [(app, it, after.app_dbs[app]) for app, it in before.app_dbs.items()]
    pairs += [(f"{app}/vods.db", it, after.vods_dbs[app]) for app, it in before.vods_dbs.items()]
    for label, old, new in pairs:
        for table in old.tables.keys() - {"alembic_version", "_streamhub_meta"}:
            key = old.keys[table]
            ids = Counter(tuple(row[name] for name in key) for row in old.rows(table))
            ids -= Counter(tuple(row[name] for name in key) for row in new.rows(table))
            if ids:
                yield f"{label}: {table} lacks {list(ids)[:3]}"


def find_leftovers(before: Counter[str], data_dir: Path) -> list[str]:
    """List what no whole run leaves: temporary files, journals, two backups of one file."""
    found = names_of(data_dir)
    return [
        name
        for name, count in (found - before).items()
        if count > 1 or (not name.endswith(("/app.db", ".db.bak-*")) and "/" in name)
    ]


@pytest.mark.parametrize(("mode", "error"), FAULTS)
def test_upgrade_that_met_a_fault_leaves_every_row_and_nothing_half_made(
    server: ForkServer, memory: Path, built: Installation, mode: Mode, error: int
) -> None:
    """It clears up behind itself; the next run need not."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    before, names = load_snapshot(built.data_dir), names_of(built.data_dir)
    counted = server.run(upgrade(built.copy_to(memory / "counted").data_dir))
    complaints = []
    for number in range(5 + mode, counted.points, counted.points // 8):
        data_dir = built.copy_to(memory / str(number)).data_dir

        ended = server.run(upgrade(data_dir).at(number, mode, error))

        found = [*find_missing_rows(before, load_snapshot(data_dir))]
        found += find_leftovers(names, data_dir)
        found += ["a traceback"] if "Traceback" in ended.stderr else []
        found += [] if ended.status in (0, 1, 3) else [f"status {ended.status}"]
        complaints += [f"{number}, {ended.last}: {it}" for it in found]
        cured = server.run(upgrade(data_dir))
        assert cured.status == 0, cured
        assert_accounted(before, load_snapshot(data_dir))
    assert complaints == []


@pytest.mark.parametrize("where", ["apps/tv-2", "data"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_folder_that_turns_read_only_half_way_costs_no_row(
    server: ForkServer, memory: Path, built: Installation, where: str, share: float
) -> None:
    """The user is shown to be refused a plain write; the folder is named, the next run finishes."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, and root may write everywhere")
    if not server.has_shim:
        pytest.skip("no C compiler, so nothing that stops half-way")
    before = load_snapshot(built.data_dir)
    counted = server.run(upgrade(built.copy_to(memory / "counted").data_dir))
    data_dir = built.copy_to(memory / "data").data_dir
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, UID, UID)
    locked = data_dir / where
    job = replace(upgrade(data_dir), uid=UID).at(int(counted.points * share), Mode.PAUSE)
    refused: list[subprocess.CompletedProcess[bytes]] = []

    def turn_read_only() -> None:
        locked.chmod(0o555)
        command = ["sh", "-c", 'printf x > "$1"', "sh", str(locked / "new")]
        refused.append(
            subprocess.run(
                command, user=UID, group=UID, extra_groups=[], capture_output=True, check=False
            )
        )

    ended = server.run(job, turn_read_only)

    assert [it.returncode != 0 and b"denied" in it.stderr for it in refused] == [True]
    assert "Traceback" not in ended.stderr
    assert ended.status in (0, 1), ended  # 0 where its part was done by then
    if ended.status == 1:
        assert str(locked) in ended.report["error"]
    assert [*find_missing_rows(before, load_snapshot(data_dir))] == []
    locked.chmod(0o755)
    cured = server.run(replace(upgrade(data_dir), uid=UID))
    assert cured.status == 0, cured
    assert_accounted(before, load_snapshot(data_dir))
    assert not [it for it in data_dir.rglob("*") if ".streamhub-tmp" in it.name]

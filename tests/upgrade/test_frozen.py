"""Every frozen installation comes to head with all its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm import __version__
from streamhub_orm.check import check_installation
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.upgrade import upgrade_installation
from tests.support.frozen.dumps import FOLDER, thaw_installation
from tests.support.frozen.freeze import dump_head
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.facts import ERAS
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.worlds import World

FROZEN = sorted(
    path.name for path in FOLDER.iterdir() if (path / "apps").is_dir() or (path / "data").is_dir()
)
THIS_RELEASE = FOLDER / f"release-{__version__}"


def test_every_era_and_this_release_are_frozen() -> None:
    """Whoever makes a release freezes it: `python -m tests.support.frozen.freeze`."""
    assert {*ERAS, THIS_RELEASE.name} <= set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_installation_upgrades_to_head_with_every_row(tmp_path: Path, name: str) -> None:
    """What could be upgraded once can be for ever."""
    thaw_installation(FOLDER / name, tmp_path)
    before = load_snapshot(tmp_path)

    report = upgrade_installation(tmp_path, jobs=1)

    assert report.failed == 0, report.error
    assert_report(report.to_json(), before)
    assert_accounted(before, load_snapshot(tmp_path))
    checks = list(check_installation(tmp_path))
    assert [(it.name, it.to_json()) for it in checks if not it.ok] == []
    assert {it.revision for it in checks} == {GLOBAL.head, APP.head}


@pytest.mark.parametrize("world", [GLOBAL, APP], ids=["global", "app"])
def test_head_of_this_release_is_what_the_history_builds(world: World) -> None:
    """A revision that was released is never changed afterwards: a new one is added."""
    frozen = (FOLDER / f"heads-{__version__}" / f"{world.name}.sql").read_text(encoding="utf-8")

    assert frozen == dump_head(world)

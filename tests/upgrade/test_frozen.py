"""What could be upgraded once can be for ever: frozen installations, with all their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.check import check_installation
from streamhub_orm.demo import write_demo
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.upgrade import upgrade_installation
from tests.support.frozen.freeze import FOLDER, RELEASE, dump_at, revision_in, thaw
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.facts import ERAS
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.worlds import World

pytestmark = pytest.mark.history

FROZEN = sorted(path.name for path in FOLDER.glob("release-*"))
HEADS = sorted(path.name for path in FOLDER.glob("heads-*"))


def test_this_release_is_frozen() -> None:
    """Whoever makes a release freezes it: `python -m tests.support.frozen.freeze`."""
    assert RELEASE.name in FROZEN


@pytest.mark.parametrize("name", FROZEN)
def test_release_upgrades_to_head_with_every_row(tmp_path: Path, name: str) -> None:
    thaw(FOLDER / name, tmp_path)
    assert_upgrade_keeps_every_row(tmp_path)


@pytest.mark.parametrize("era", [None, *ERAS])
def test_demo_upgrades_to_head_with_every_row(tmp_path: Path, era: str | None) -> None:
    """Its dumps are frozen too: those of the Node core's eras, and of all eras in one."""
    write_demo(tmp_path, era)
    assert_upgrade_keeps_every_row(tmp_path)


def assert_upgrade_keeps_every_row(data_dir: Path) -> None:
    before = load_snapshot(data_dir)

    report = upgrade_installation(data_dir, jobs=1)

    assert report.failed == 0, report.error
    assert_report(report.to_json(), before)
    assert_accounted(before, load_snapshot(data_dir))
    checks = list(check_installation(data_dir))
    assert [(it.name, it.to_json()) for it in checks if not it.ok] == []
    assert {it.revision for it in checks} == {GLOBAL.head, APP.head}


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("world", [GLOBAL, APP], ids=["global", "app"])
def test_head_of_a_release_is_what_the_history_builds_there(world: World, heads: str) -> None:
    """A revision that was released is never changed afterwards: a new one is added."""
    frozen = (FOLDER / heads / f"{world.name}.sql").read_text(encoding="utf-8")

    assert frozen == dump_at(world, revision_in(frozen))

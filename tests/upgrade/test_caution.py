"""A cautious upgrade: canaries first, and an end where one or too many fail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import UnknownAppError
from streamhub_orm.migrations.worlds import APP
from streamhub_orm.status import read_status
from streamhub_orm.testing.installations import Templates
from streamhub_orm.upgrade import upgrade_installation
from streamhub_orm.upgrade.caution import Caution
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir

APPS = [f"app-{number:02}" for number in range(20)]
BIG, DAMAGED = "app-03", "app-05"


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def place(templates: Templates, tmp_path: Path) -> DataDir:
    """Return an installation of 20 apps that are one revision behind; one of them is big."""
    place = templates.copy(tmp_path / "data", apps=APPS, app_revision="a0009")
    with closing(sqlite3.connect(place.app_db(BIG))) as connection, connection:
        connection.execute("CREATE TABLE mine (text TEXT)")
        connection.execute("INSERT INTO mine VALUES (?)", ("x" * 100_000,))
    return place


def behind(place: DataDir) -> list[str]:
    states = read_status(place.root).apps
    return [name for name, found in states.items() if found.revision != APP.head]


def break_app(place: DataDir, name: str) -> None:
    """Give an app a row that its next revision cannot take along."""
    place.app_db(name).chmod(0o600)
    with closing(sqlite3.connect(place.app_db(name))) as connection, connection:
        connection.execute("DROP TABLE vods")


@pytest.mark.parametrize("jobs", [1, 2])
def test_canaries_come_first_are_inspected_and_the_rest_follows(place: DataDir, jobs: int) -> None:
    """The smallest, and those named; the others still are behind when they are looked at."""
    looked: dict[str, int] = {}

    def inspect(name: str, _path: Path) -> None:
        looked[name] = len(behind(place))

    caution = Caution(2, (BIG,), inspect=inspect)
    report = upgrade_installation(place.root, jobs=jobs, caution=caution)
    assert report.failed == 0
    assert len(looked) == 3
    assert BIG in looked
    assert set(looked.values()) == {len(APPS) - 3}
    assert behind(place) == []


def test_canary_that_is_not_good_afterwards_ends_the_run(place: DataDir) -> None:
    """The others are as they were, and the report says why; a second run does all."""
    caution = Caution(1, inspect=lambda name, _: f"{name} has a crack")
    report = upgrade_installation(place.root, caution=caution)
    errors = {app.app: app.error for app in report.apps}
    (canary,) = (name for name, error in errors.items() if error == f"{name} has a crack")
    others = {error for name, error in errors.items() if name != canary}
    assert others == {f"not attempted, since a canary failed: {canary}"}
    assert len(behind(place)) == len(APPS) - 1
    assert upgrade_installation(place.root).failed == 0
    assert behind(place) == []


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("era", [None, "monolith"])
def test_named_canary_that_cannot_even_be_looked_at_ends_the_run(
    templates: Templates, tmp_path: Path, era: str | None, *, dry_run: bool
) -> None:
    """Nothing is touched."""
    if era is None:
        place = templates.copy(tmp_path / "data", apps=APPS, app_revision="a0009")
    else:
        place = templates.copy(tmp_path / "data", era=era)
    canary = next(iter(read_status(place.root).apps))
    place.app_db(canary).parent.mkdir(exist_ok=True)
    place.app_db(canary).unlink(missing_ok=True)
    place.app_db(canary).write_bytes(b"no database " * 500)
    before = fingerprint_files(place.root)
    caution = Caution(canary_apps=(canary,))
    report = upgrade_installation(place.root, caution=caution, dry_run=dry_run)
    errors = {app.app: str(app.error) for app in report.apps}
    assert "not a database" in errors.pop(canary)
    assert set(errors.values()) == {f"not attempted, since a canary failed: {canary}"}
    assert fingerprint_files(place.root) == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_run_ends_after_so_many_failures(place: DataDir, jobs: int) -> None:
    """What was at hand is done and reported as done; what is not begun is as it was."""
    for name in APPS[:4]:
        break_app(place, name)
    caution = Caution(stop_after_failures=2)
    report = upgrade_installation(place.root, jobs=jobs, caution=caution)
    skipped = [app.app for app in report.apps if "not attempted" in str(app.error)]
    done = [app.app for app in report.apps if app.error is None]
    assert len(skipped) >= len(APPS) - 4 - 2 * jobs
    assert len(report.apps) == len(APPS)
    assert set(behind(place)) == set(APPS) - set(done)
    assert set(skipped) <= set(behind(place))


def test_split_ends_with_its_canaries_where_one_fails(templates: Templates, tmp_path: Path) -> None:
    """The global database is not upgraded then, and its split is not marked as done."""
    place = templates.copy(tmp_path / "old", era="monolith")
    before = read_status(place.root)
    caution = Caution(1, inspect=lambda *_: "cracked")
    report = upgrade_installation(place.root, caution=caution)
    assert report.failed == len(before.apps)
    assert (report.global_.changed, report.global_.error) == (False, None)
    after = read_status(place.root)
    assert (after.split_done, after.global_.state) == (False, before.global_.state)
    assert upgrade_installation(place.root).failed == 0
    assert read_status(place.root).split_done is True


def test_unknown_canary_is_refused_before_anything_is_touched(place: DataDir) -> None:
    before = fingerprint_files(place.root)
    with pytest.raises(UnknownAppError, match="app-3"):
        upgrade_installation(place.root, dry_run=True, caution=Caution(canary_apps=("app-3",)))
    assert fingerprint_files(place.root) == before


def test_command_checks_the_canaries_and_names_apps_alike_once(place: DataDir) -> None:
    """An index that the canary lacks is what `check` finds, and ends the run."""
    with closing(sqlite3.connect(place.app_db(BIG))) as connection, connection:
        connection.execute("DROP INDEX idx_vod_variants_vod")
    words = ("--data-dir", place.root, "upgrade", "--canary-app", BIG)
    outcome = run_in_process(*words)
    assert outcome.status == 1
    first, second = (it for it in outcome.stderr.splitlines() if it.startswith("Error: "))
    assert f"Error: app {BIG}: {place.app_db(BIG)}: it is upgraded, and the check found: " in first
    assert "index idx_vod_variants_vod is missing" in first
    assert "and 14 more: not attempted, since a canary failed: app-03" in second
    assert len(behind(place)) == len(APPS) - 1
    assert run_in_process("--data-dir", place.root, "upgrade", "--canary", "2").status == 0
    assert behind(place) == []

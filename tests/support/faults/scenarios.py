"""What is attacked: a prepared installation, one command, and what must cure it afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.faults import fork_server
from tests.support.faults.state import Contents, Reader, names_of
from tests.support.installations import Options, build_installation
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.facts import APP_MARKERS, SPLIT_DONE, find_global_path
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.faults.fork_server import ForkServer, Job

APPS = 3
ROWS = 16
"""Small, so that every point can be tried; each of the builder's cases still occurs."""


@dataclass(frozen=True)
class Scenario:
    """One command on one kind of installation."""

    name: str
    prepare: Callable[[ForkServer, Path], None]
    """Builds the installation in a folder that does not exist yet."""
    attacked: Callable[[Path], Job]
    cures: tuple[Callable[[Path], Job], ...]
    """What is run afterwards; each must end with status 0."""
    refusal: str | None = None
    """What the first cure may say instead (status 3) where the attacked command had succeeded."""


@dataclass(frozen=True)
class Prepared:
    """A scenario with its installation, and what undisturbed runs make of that."""

    scenario: Scenario
    folder: Path
    before: dict[str, Contents | None]
    after: dict[str, Contents | None]
    """After the command alone."""
    cured: dict[str, Contents | None]
    """After the command and its cures."""
    names: Counter[str]
    place: Path
    """Where each attempt's copy lies."""
    global_name: str
    points: int
    reader: Reader


def prepare(
    server: ForkServer, scenario: Scenario, folder: Path, *, by_python: bool = False
) -> Prepared:
    """Build the installation once and see what undisturbed runs make of it.

    Every attempt works on a copy under the same path, which a database records.
    """
    reader, original, copy = Reader(), folder / "original", folder / "data"
    scenario.prepare(server, copy)
    copy.rename(original)
    shutil.copytree(original, copy, symlinks=True)
    job = scenario.attacked(copy)
    ended = server.run(fork_server.counting(job, by_python=by_python))
    assert ended.status == 0, ended
    after = reader.read_all(copy)
    for position, cure in enumerate(scenario.cures):
        cured = server.run(cure(copy))
        refused = position == 0 and scenario.refusal is not None and cured.status == 3
        assert cured.status == 0 or refused, cured
    prepared = Prepared(
        scenario,
        original,
        reader.read_all(original),
        after,
        reader.read_all(copy),
        names_of(copy),
        copy,
        find_global_path(copy).relative_to(copy).as_posix(),
        ended.points,
        reader,
    )
    if "upgrade" in job.arguments:
        assert_rows_accounted(original, copy)
        assert_report(ended.report, load_snapshot(original))
    shutil.rmtree(copy)
    return prepared


def assert_rows_accounted(original: Path, upgraded: Path) -> None:
    """Ask the independent oracle what became of every row."""
    assert_accounted(load_snapshot(original), load_snapshot(upgraded))


def upgrade_of(era: str, *, apps: int = APPS) -> Scenario:
    """Return the upgrade of an installation of an era."""

    def build(_: ForkServer, folder: Path) -> None:
        build_installation(folder, era=era, apps=apps, rows=ROWS)

    many = "" if apps == APPS else f", {apps} apps"
    return Scenario(f"upgrade {era}{many}", build, fork_server.upgrade, (fork_server.upgrade,))


def upgrade_of_restored_files() -> Scenario:
    """Return the upgrade of an installation restored from an archive: no file is in WAL mode."""

    def build(_: ForkServer, folder: Path) -> None:
        options = Options(killed_writers=False)
        build_installation(
            folder, era="node_split", layout="flat", apps=APPS, rows=ROWS, options=options
        )
        for path in folder.rglob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")

    return Scenario("upgrade restored", build, fork_server.upgrade, (fork_server.upgrade,))


def lazy_open_of_new_app() -> Scenario:
    """Return the first open of an app whose file is not there yet, its rows still elsewhere."""

    def build(_: ForkServer, folder: Path) -> None:
        build_installation(folder, era="monolith", apps=APPS, rows=ROWS)

    return Scenario("open new app", build, _open_first, (_open_first, fork_server.upgrade))


def lazy_open_of_old_app() -> Scenario:
    """Return the first open of an app.db that the Node core made."""

    def build(_: ForkServer, folder: Path) -> None:
        build_installation(folder, era="pre_tenancy", apps=APPS, rows=ROWS)

    return Scenario("open old app", build, _open_first, (_open_first, fork_server.upgrade))


def backup_alone() -> Scenario:
    """Return one backup of a global database with a left-over -wal."""

    def build(_: ForkServer, folder: Path) -> None:
        build_installation(folder, era="monolith", apps=APPS, rows=ROWS)

    def back_up(folder: Path) -> Job:
        return fork_server.back_up(folder, find_global_path(folder))

    return Scenario("backup", build, back_up, (back_up, fork_server.upgrade))


def fresh_installation() -> Scenario:
    """Return `init`; where the killed one got far enough, `upgrade` does the rest."""

    def build(_: ForkServer, folder: Path) -> None:
        folder.mkdir()

    def init(folder: Path) -> Job:
        return fork_server.cli(folder, "init")

    refusal = "found the installation of"
    return Scenario("init", build, init, (init, fork_server.upgrade), refusal)


def rollback() -> Scenario:
    """Return the rollback of an upgraded installation, which a second upgrade undoes."""

    def build(server: ForkServer, folder: Path) -> None:
        build_installation(folder, era="monolith", apps=APPS, rows=ROWS)
        ended = server.run(fork_server.upgrade(folder))
        assert ended.status == 0, ended

    def roll_back(folder: Path) -> Job:
        return fork_server.cli(folder, "rollback")

    refusal = "no recorded pre-split backup"
    return Scenario("rollback", build, roll_back, (roll_back, fork_server.upgrade), refusal)


def split_cleanup() -> Scenario:
    """Return the clean-up of the global copies of moved rows after an upgrade."""

    def build(server: ForkServer, folder: Path) -> None:
        options = Options(orphans=False)
        build_installation(folder, era="monolith", apps=APPS, rows=ROWS, options=options)
        ended = server.run(fork_server.upgrade(folder))
        assert ended.status == 0, ended

    def clean_up(folder: Path) -> Job:
        return fork_server.cli(folder, "split", "cleanup", "--yes")

    return Scenario("split cleanup", build, clean_up, (clean_up, fork_server.upgrade))


def _open_first(folder: Path) -> Job:
    return fork_server.open_app(folder, "live")


def is_split_early(state: dict[str, Contents | None], global_name: str) -> bool:
    """Tell whether the split is marked as done while an app lacks its marker or its file."""
    registry = state[global_name]
    if registry is None or registry.meta.get(SPLIT_DONE) != "1":
        return False
    rows: list[Any] = list(registry.tables["apps"])
    apps = [dict(row)["name"] for row in rows]
    files = [state.get(f"apps/{app}/app.db") for app in apps]
    return any(it is None or any(it.meta.get(key) != "1" for key in APP_MARKERS) for it in files)

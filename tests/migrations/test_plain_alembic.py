"""Plain Alembic: what it is aimed at, what it says, and what it refuses."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.init import make_installation
from streamhub_orm.migrations.downgrading import downgrade_file
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from tests.migrations.built import (
    SECTIONS,
    at_head,
    bytes_of,
    configured,
    executed,
    revision_of,
)
from tests.support.installations.commands import CHECKOUT, run_alembic, run_alembic_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.installations.commands import Outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_installation(tmp_path_factory.mktemp("made") / "installation").root


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    """An installation at head, which DATA_DIR names."""
    root = shutil.copytree(made, tmp_path / "installation")
    monkeypatch.setenv("DATA_DIR", str(root))
    return DataDir.find(root)


def said(outcome: Outcome) -> str:
    """Alembic prints its own refusals on stdout."""
    return outcome.stdout + outcome.stderr


# --- options ----------------------------------------------------------------------------------

APP_ALONE = [
    ("downgrade", "-1"),
    ("upgrade", "head"),
    ("upgrade", "head", "--sql"),
    ("current",),
    ("check",),
    ("stamp", "head"),
    ("revision", "-m", "x"),
]


@pytest.mark.parametrize("arguments", APP_ALONE, ids=" ".join)
def test_option_of_the_app_history_without_it_is_refused_untouched(
    place: DataDir, arguments: tuple[str, ...]
) -> None:
    """`-x app=` without `-n app` does nothing to the global database."""
    before = bytes_of(place.root)
    refused = run_alembic_in_process("-x", "app=live", *arguments)
    assert refused.status != 0
    assert "add -n app" in said(refused)
    assert bytes_of(place.root) == before


@pytest.mark.parametrize(
    "options",
    [("app=live", "path=x.db"), ("data_dir=/srv", "path=x.db"), ("live",), ("drop_rows=yes",)],
    ids=" ".join,
)
def test_options_that_contradict_each_other_or_are_unknown_are_refused(
    place: DataDir, options: tuple[str, ...]
) -> None:
    given = [word for option in options for word in ("-x", option)]
    refused = run_alembic_in_process("-n", "app", *given, "upgrade", "head")
    assert refused.status != 0
    assert "names one file" in said(refused) or "unknown -x" in said(refused)


@pytest.mark.parametrize("arguments", [("upgrade", "head"), ("current",), ("downgrade", "base")])
@pytest.mark.parametrize("adopted", [True, False], ids=["adopted", "unadopted"])
@pytest.mark.parametrize("section", ["app", "alembic"])
def test_file_of_the_other_world_is_called_what_it_is(
    place: DataDir,
    section: str,
    arguments: tuple[str, ...],
    *,
    adopted: bool,
) -> None:
    path = place.global_db if section == "app" else place.app_db("live")
    if not adopted:
        executed(path, "DROP TABLE alembic_version")
    before = bytes_of(place.root)
    refused = run_alembic_in_process("-n", section, "-x", f"path={path}", *arguments)
    assert refused.status != 0
    kind = "the global database" if section == "app" else "the database of an app"
    if adopted or arguments[0] != "downgrade":
        assert f"{path}: found {kind} of StreamHub" in said(refused)
    assert bytes_of(place.root) == before


def test_newer_file_of_the_other_world_is_called_what_it_is(place: DataDir) -> None:
    executed(place.global_db, "UPDATE alembic_version SET version_num = 'g9999'")
    refused = run_alembic_in_process("-n", "app", "-x", f"path={place.global_db}", "current")
    assert "found the global database of StreamHub" in said(refused)


# --- sqlalchemy.url ---------------------------------------------------------------------------


@pytest.mark.parametrize("world", [GLOBAL, APP], ids=lambda world: world.name)
def test_url_names_the_one_file_that_is_changed(
    place: DataDir, tmp_path: Path, world: World
) -> None:
    """Where set_main_option names a file, DATA_DIR does not count."""
    before = bytes_of(place.root)
    path = at_head(tmp_path / "a b%20.db", world)
    url = sa.URL.create("sqlite", database=str(path)).render_as_string()
    command.downgrade(configured(world, url), world.parity)
    assert revision_of(path) == world.parity
    assert len(list_backups(path)) == 1
    command.upgrade(configured(world, url), "head")
    assert revision_of(path) == world.head
    assert bytes_of(place.root) == before


def test_url_in_an_ini_file_names_the_file_by_the_command_too(
    place: DataDir, tmp_path: Path
) -> None:
    path = at_head(tmp_path / "one.db", APP)
    ini = tmp_path / "alembic.ini"
    ini.write_text(
        f"[app]\nscript_location = {APP.folder}\npath_separator = os\n"
        f"sqlalchemy.url = sqlite:///{path}\n"
    )
    done = run_alembic_in_process("-c", ini, "-n", "app", "downgrade", APP.parity)
    assert done.status == 0, done
    assert revision_of(path) == APP.parity
    refused = run_alembic_in_process("-c", ini, "-n", "app", "-x", "app=live", "upgrade", "head")
    assert "sqlalchemy.url names one file" in said(refused)
    assert revision_of(place.app_db("live")) == APP.head


@pytest.mark.parametrize(
    "url",
    [
        "driver://user:sesame@localhost/dbname",
        "mysql://user:sesame@localhost/dbname",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x.db?mode=ro&uri=true&key=sesame",
        "sqlite://sesame/x.db",
        "sesame",
    ],
)
def test_url_that_names_no_file_is_refused_without_showing_it(place: DataDir, url: str) -> None:
    before = bytes_of(place.root)
    with pytest.raises(CommandError, match="expected sqlite:///FILE") as refused:
        command.upgrade(configured(GLOBAL, url), "head")
    assert "sesame" not in str(refused.value)
    assert bytes_of(place.root) == before


# --- what is said -------------------------------------------------------------------------------


def test_upgrade_and_downgrade_say_on_stderr_what_was_done(place: DataDir) -> None:
    """The file, from where, to where, and the backup; nothing of it on stdout."""
    for section, path, world in (
        ("alembic", place.global_db, GLOBAL),
        ("app", place.app_db("live"), APP),
    ):
        chosen = ("-n", section, *(("-x", "app=live") if world is APP else ()))
        down = run_alembic_in_process(*chosen, "downgrade", world.parity)
        (backup,) = list_backups(path)
        said = f"{path}: downgraded from {world.head} to {world.parity}; backup {backup}\n"
        assert (down.status, down.stdout, down.stderr) == (0, "", said)
        up = run_alembic_in_process(*chosen, "upgrade", "head")
        assert up.status == 0
        backup = list_backups(path)[-1]
        assert (
            up.stderr == f"{path}: upgraded from {world.parity} to {world.head}; backup {backup}\n"
        )
        again = run_alembic_in_process(*chosen, "upgrade", "head")
        assert again.stderr == f"{path}: at {world.head}, nothing to do\n"
        assert run_alembic_in_process("-q", *chosen, "upgrade", "head").stderr == ""
        stamped = run_alembic_in_process(*chosen, "stamp", world.parity)
        assert f"{path}: stamped from {world.head} to {world.parity}; backup " in stamped.stderr


# --- check, revision and merge --------------------------------------------------------------------


def test_check_compares_the_revision_of_its_targets_and_does_not_warn(place: DataDir) -> None:
    """As stock Alembic: a database that is behind fails it, before anything is compared."""
    for world, chosen in ((GLOBAL, ()), (APP, ("-n", "app", "-x", "app=all"))):
        path = place.global_db if world is GLOBAL else place.app_db("live")
        good = run_alembic(*chosen, "check", data_dir=place.root)
        assert (good.status, good.stderr) == (0, "")
        assert good.stdout == "No new upgrade operations detected.\n"
        downgrade_file(path, world, world.parity)
        before = bytes_of(place.root)
        behind = run_alembic_in_process(*chosen, "check")
        assert behind.status != 0
        assert f"{path}: Target database is not up to date: at {world.parity}" in said(behind)
        assert bytes_of(place.root) == before


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both histories, which plain Alembic may write into."""
    folder = tmp_path / "checkout"
    for name in ("alembic", "alembic_app"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "alembic.ini", folder)
    monkeypatch.chdir(folder)
    return folder


def run_in_checkout(folder: Path, *arguments: str) -> tuple[int, str]:
    done = run_alembic_in_process("-c", folder / "alembic.ini", *arguments)
    return done.status, done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("--autogenerate",), ("--rev-id", "{next}")], ids=str)
@pytest.mark.parametrize("world", [GLOBAL, APP], ids=lambda world: world.name)
def test_revision_of_plain_alembic_is_numbered(
    checkout: Path, world: World, options: tuple[str, ...]
) -> None:
    """No installation is needed, and no hash is written."""
    following = f"{world.head[0]}{int(world.head[1:]) + 1:04d}"
    given = [option.format(next=following) for option in options]
    status, said = run_in_checkout(
        checkout, "-n", SECTIONS[world], "revision", "-m", "index vods", *given
    )
    assert status == 0, said
    written = checkout / world.checkout_folder / "versions" / f"{following}_index_vods.py"
    text = written.read_text()
    assert f'revision = "{following}"' in text
    assert f'down_revision = "{world.head}"' in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("revision", "-m", "x", "--rev-id", "a0042"),
        ("revision", "-m", "x", "--rev-id", "mine"),
        ("revision", "-m", "x", "--head", "a0008", "--splice"),
        ("revision", "-m", "x", "--head", "a0008"),
        ("revision", "-m", "x", "--branch-label", "mine"),
        ("merge", "-m", "x", "heads"),
        ("merge", "-m", "x", "a0009", "a0010"),
    ],
    ids=" ".join,
)
def test_revision_beside_the_line_is_refused_and_not_written(
    checkout: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(checkout.rglob("*.py"))
    status, said = run_in_checkout(checkout, "-n", "app", *arguments)
    assert status != 0
    assert "linear" in said or "comes next" in said
    assert sorted(checkout.rglob("*.py")) == before


def test_two_revisions_after_the_same_one_are_not_merged(checkout: Path) -> None:
    versions = checkout / "alembic_app" / "versions"
    for number in ("a0011", "a0012"):
        text = next(versions.glob("a0010*")).read_text()
        text = text.replace('"a0010"', f'"{number}"').replace('"a0009"', '"a0010"')
        (versions / f"{number}_x.py").write_text(text)
    status, said = run_in_checkout(checkout, "-n", "app", "merge", "-m", "x", "heads")
    assert status != 0
    assert "give the later revision the next number" in said

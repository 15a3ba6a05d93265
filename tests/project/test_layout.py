"""The shape of the checkout and of the wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import streamhub_orm
from streamhub_orm.init import make_installation
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.status import read_status

ROOT = Path(__file__).parents[2]
HISTORIES = {"alembic": "global", "alembic_app": "app"}


@pytest.mark.parametrize("folder", HISTORIES)
def test_history_folder_is_no_package(folder: str) -> None:
    """An __init__.py there would make `import alembic` find the folder instead of the library."""
    assert (ROOT / folder / "env.py").is_file()
    assert not list((ROOT / folder).rglob("__init__.py"))


def test_version_is_that_of_the_installed_package() -> None:
    assert version("streamhub-orm") == streamhub_orm.__version__


@pytest.mark.slow
def test_wheel_holds_the_package_with_both_histories_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "streamhub_orm",
        f"streamhub_orm-{streamhub_orm.__version__}.dist-info",
    }
    assert "streamhub_orm/py.typed" in names
    for folder, history in HISTORIES.items():
        sources = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".mako"}]
        assert sources
        for path in sources:
            relative = path.relative_to(ROOT / folder).as_posix()
            assert f"streamhub_orm/histories/{history}/{relative}" in names


@pytest.mark.slow
def test_histories_of_the_wheel_serve_a_pipeline_that_has_nothing_else(
    built: Path, tmp_path: Path
) -> None:
    """The ini file of docs/ALEMBIC.md finds them, and they do what those of the checkout do."""
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")  # noqa: S202 - our own
    page = (ROOT / "docs/ALEMBIC.md").read_text(encoding="utf-8")
    (ini,) = re.findall(r"^```ini\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "alembic.ini").write_text(ini, encoding="utf-8")
    place = make_installation(tmp_path / "data")
    environment = {"PYTHONPATH": str(tmp_path / "site"), "DATA_DIR": str(place.root)}
    for world, words in ((GLOBAL, ""), (APP, "-n app -x app=live ")):
        for command, revision in (("downgrade", world.parity), ("upgrade", "head")):
            done = subprocess.run(
                [sys.executable, "-m", "alembic", *words.split(), command, revision],
                cwd=tmp_path,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done
            assert f"{command}d from" in done.stderr
    assert read_status(place.root).global_.state is State.CURRENT


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "streamhub_orm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names


@pytest.mark.slow
def test_sdist_holds_the_checkout_but_no_local_files(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"alembic.ini", "alembic/env.py", "scripts/dev.py", "pyproject.toml"} <= names
    assert not [name for name in names if ".venv" in name or name.startswith("demo-data")]

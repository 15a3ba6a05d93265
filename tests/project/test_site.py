"""The site: everything is in its navigation, nothing is fetched, the drawings are the models'.

None of this needs MkDocs, which `scripts/dev.py docs` runs.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
import yaml

import streamhub_orm

if TYPE_CHECKING:
    from types import ModuleType

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
HOOKS: Final = runpy.run_path(str(DOCS / "mkdocs_hooks.py"))
DRAWING: Final = runpy.run_path(str(DOCS / "draw_entities.py"))
SETTINGS: Final[dict[str, Any]] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
PATHS: Final = list(HOOKS["paths_of"](SETTINGS["nav"]))
MODULES: Final = [module for path in PATHS if (module := HOOKS["module_of"](path))]
INTERNAL: Final = {
    "streamhub_orm.postgresql",
    "streamhub_orm.server_url",
    "streamhub_orm.check",
    "streamhub_orm.cli",
    "streamhub_orm.data_dir",
    "streamhub_orm.demo",
    "streamhub_orm.doctor",
    "streamhub_orm.downgrade",
    "streamhub_orm.durable_files",
    "streamhub_orm.engine",
    "streamhub_orm.init",
    "streamhub_orm.legacy",
    "streamhub_orm.migrations",
    "streamhub_orm.owner",
    "streamhub_orm.promotion",
    "streamhub_orm.readable",
    "streamhub_orm.registry",
    "streamhub_orm.rollback",
    "streamhub_orm.status",
    "streamhub_orm.upgrade",
}
"""What programs have as `streamhub-db`, not as an interface of Python."""


def names_of(module: ModuleType) -> list[str]:
    """Return what a module offers: its `__all__`, or what it defines itself without a _."""
    found = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return [name for name in found if not name.startswith("__")]


def test_navigation_lists_every_document_once() -> None:
    documents = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages = [path for path in PATHS if HOOKS["module_of"](path) is None]
    assert sorted(pages) == sorted(documents | HOOKS["BORROWED"].keys())


def test_reference_has_every_package_that_programs_import() -> None:
    there = {
        f"streamhub_orm.{found.name}" for found in pkgutil.iter_modules(streamhub_orm.__path__)
    }
    shown = {".".join(module.split(".")[:2]) for module in MODULES}
    assert there - shown - {"streamhub_orm.__main__"} == INTERNAL
    assert not shown & INTERNAL


def test_reference_has_every_service_of_the_guide() -> None:
    guide = (DOCS / "SERVICES.md").read_text("utf-8")
    direct = re.findall(r"^from (streamhub_orm\.services\.\w+) import", guide, re.MULTILINE)
    listed = re.findall(r"^from streamhub_orm\.services import (.+)$", guide, re.MULTILINE)
    names = [name.strip() for line in listed for name in line.split(",")]
    used = {*direct, *(f"streamhub_orm.services.{name}" for name in names)}
    assert len(used) > 10
    assert used <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_everything_in_the_reference_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    things = [getattr(module, name) for name in names_of(module)]
    without = [each for each in things if callable(each) and not getattr(each, "__doc__", None)]
    assert not without


def test_page_of_the_reference_asks_for_its_module() -> None:
    assert "\n::: streamhub_orm\n" in HOOKS["reference_page"](
        HOOKS["module_of"]("reference/streamhub_orm.md")
    )
    assert HOOKS["module_of"]("reference/services/tokens.md") == "streamhub_orm.services.tokens"
    assert HOOKS["module_of"]("OPERATIONS.md") is None


def test_links_of_the_borrowed_documents_lead_to_pages_of_the_site() -> None:
    for source in HOOKS["BORROWED"].values():
        targets = re.findall(r"\]\(([^)#]+)\)", HOOKS["borrowed"](source))
        assert all((DOCS / target).is_file() for target in targets)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<img alt="" src=" http://img.example/x.png">',
        '<iframe src="HTTPS://video.example/"></iframe>',
    ],
)
def test_page_that_fetches_from_elsewhere_is_refused(html: str) -> None:
    assert HOOKS["external_loads"](html)


def test_page_that_only_links_elsewhere_is_let_through() -> None:
    html = '<a href="https://sqlite.org/">SQLite</a><img src="a.svg"><link rel="icon" href="i.png">'
    assert not HOOKS["external_loads"](html)


@pytest.mark.parametrize("schema", DRAWING["SCHEMAS"])
def test_drawing_is_what_the_models_give(schema: str) -> None:
    """If not: run `python3 scripts/dev.py docs` and commit what it drew."""
    drawn: str = DRAWING["draw"](schema)
    assert (DOCS / f"entities/{schema}.svg").read_text("utf-8") == drawn
    texts = ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - our own
    words = {element.text for element in texts}
    for table in DRAWING["SCHEMAS"][schema].tables.values():
        assert {table.name, *table.columns.keys()} <= words

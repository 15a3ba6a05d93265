"""What MkDocs calls when it builds the site: pages that no file in docs/ holds, and one check.

The start page is the README and the changelog is the top-level one, with their links turned to the
site. Pages below reference/ ask for the docstrings of the module that their path names.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
BORROWED: Final = {"index.md": "README.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Pages of the site, and the top-level documents that they are."""
PACKAGE: Final = "streamhub_orm"
REFERENCE: Final = re.compile(r"reference/(.+)\.md")
MODELS: Final = {"app_db", "global_db"}
"""Their columns speak for themselves, so they are shown without a docstring."""
LOADED: Final = {
    "audio": "src", "embed": "src", "iframe": "src", "img": "src", "link": "href",
    "object": "data", "script": "src", "source": "src", "video": "src",
}  # fmt: skip
"""Elements that make a browser fetch something, and the attribute that names it."""


class ExternalLoadError(Exception):
    """A page would fetch something from elsewhere when it is read."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are borrowed, and those of the reference that the navigation names."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - only there when the site is built

    for path, source in BORROWED.items():
        files.append(File.generated(config, path, content=borrowed(source)))
    for path in paths_of(config.nav):
        if module := module_of(path):
            files.append(File.generated(config, path, content=reference_page(module)))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - its names
    """Refuse a page that would fetch something from elsewhere."""
    found = sorted(external_loads(output))
    if found:
        message = f"{page.file.src_uri} loads {', '.join(found)}; the site is to need no network"
        raise ExternalLoadError(message)
    return output


def paths_of(nav: Any) -> Iterator[str]:  # noqa: ANN401 - lists in mappings in lists
    """Yield the paths of a navigation, however deep."""
    if isinstance(nav, str):
        yield nav
    elif nav:
        for below in nav.values() if isinstance(nav, dict) else nav:
            yield from paths_of(below)


def module_of(path: str) -> str | None:
    """Return the module that a page of the reference describes; None for any other page."""
    match = REFERENCE.fullmatch(path)
    if match is None:
        return None
    return match[1] if match[1] == PACKAGE else f"{PACKAGE}.{match[1].replace('/', '.')}"


def reference_page(module: str) -> str:
    """Return the page that asks for a module's docstrings."""
    name = module.rpartition(".")[2]
    show_all = str(name in MODELS).lower()
    return (
        f"---\ntitle: {name}\n---\n\n"
        f"::: {module}\n    options:\n      show_if_no_docstring: {show_all}\n"
    )


def borrowed(document: str) -> str:
    """Return a top-level document with its links into docs/ as the site has them."""
    return re.sub(r"\]\(docs/", "](", (ROOT / document).read_text(encoding="utf-8"))


def external_loads(html: str) -> set[str]:
    """Return the addresses on other hosts that a browser would fetch to show a page."""
    parser = _Loads()
    parser.feed(html)
    parser.close()
    return parser.found


class _Loads(HTMLParser):
    """Collects what elements fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(LOADED.get(tag, "")) or ""
        is_for_search_engines = tag == "link" and values.get("rel") == "canonical"
        if re.match(r"(?i)(https?:)?//", address.strip()) and not is_for_search_engines:
            self.found.add(address)

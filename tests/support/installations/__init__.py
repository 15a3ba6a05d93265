"""Installations as the Node core left them, and what must be true of them after an upgrade.

The builder knows sqlite3 and the schema reference, and nothing of the package under test.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .eras import BUILDERS
from .facts import app_db_path, find_global_path, vods_db_path
from .site import Options, Site

if TYPE_CHECKING:
    from pathlib import Path

    from .facts import Row
    from .site import Written

__all__ = ["Installation", "Options", "build_installation"]


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation on disk, the ids of its apps, and every row that was written into it."""

    data_dir: Path
    apps: dict[str, int]
    written: tuple[Written, ...]

    @property
    def global_path(self) -> Path:
        return find_global_path(self.data_dir)

    def app_db(self, app: str) -> Path:
        return app_db_path(self.data_dir, app)

    def vods_db(self, app: str) -> Path:
        return vods_db_path(self.data_dir, app)

    def rows_in(self, path: Path, table: str) -> list[Row]:
        """List the rows that were written into a table of a file."""
        name = path.relative_to(self.data_dir).as_posix()
        return [it.row for it in self.written if (it.file, it.table) == (name, table)]

    def copy_to(self, data_dir: Path) -> Installation:
        """Copy the installation, left-over -wal files included."""
        shutil.copytree(self.data_dir, data_dir, symlinks=True)
        return replace(self, data_dir=data_dir)


def build_installation(  # noqa: PLR0913
    path: Path,
    *,
    era: str,
    layout: str = "nested",
    apps: int = 6,
    rows: int = 300,
    seed: int = 1,
    options: Options | None = None,
) -> Installation:
    """Write an installation of an era into a new folder; `rows` is per app and source."""
    path.mkdir(parents=True)
    site = Site(path, layout=layout, apps=apps, rows=rows, seed=seed, options=options or Options())
    BUILDERS[era](site)
    site.finish()
    return Installation(path, site.apps, tuple(site.written))

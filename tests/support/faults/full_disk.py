"""A file system with as much room as a test says."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def leave_room(disk: Path, *, pages: int) -> None:
    """Fill a small disk up to so many pages of 4 KiB, by a file `filler`."""
    with (disk / "filler").open("wb") as file:
        file.write(b"\0" * (shutil.disk_usage(disk).free - pages * 4096))

"""Drill: an archive is restored into a scratch folder and looked at, as on the day it is needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamhub_orm.archives.places import LOCAL
from streamhub_orm.archives.restore import restore_archive
from streamhub_orm.archives.stored import LATEST
from streamhub_orm.archives.verification import record_verified
from streamhub_orm.check import check_installation
from streamhub_orm.data_dir import GLOBAL_DB_NAME, DataDir
from streamhub_orm.migrations.states import State
from streamhub_orm.owner import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.archives.places import Places

    Progress = Callable[[str, int, int], None]


@dataclass
class Drilled:
    """The outcome of a drill."""

    archive: str
    """Path or URL."""
    files: int = 0
    databases: int = 0
    faults: list[str] = field(default_factory=list)
    """Findings in the restored databases, each with its name."""
    seconds: float = 0.0
    """From the fetch to the last check: what a restore would take at least."""

    @property
    def ok(self) -> bool:
        """True where every restored database is usable and nothing is wrong in it."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup drill --json` prints."""
        return {
            "ok": self.ok,
            "archive": self.archive,
            "files": self.files,
            "databases": self.databases,
            "faults": self.faults,
            "seconds": round(self.seconds, 3),
        }


def drill(
    places: Places,
    name: str = LATEST,
    *,
    source: str = LOCAL,
    progress: Progress = lambda *_: None,
) -> Drilled:
    """Restore an archive into a new private folder, check every database there, and remove it.

    The installation is not touched. Needs room for all that the archive holds in the folder for
    temporary files (TMPDIR). Raises what `restore_archive` and `Places.archive` raise.
    """
    started = time.monotonic()
    with places.archive(source, name) as archive, scratch_folder("drill") as folder:
        drilled = Drilled(archive.address)
        root = folder / "installation"
        # Never the control plane, whatever STREAMHUB_GLOBAL_URL says.
        target = DataDir(root, root / "data" / GLOBAL_DB_NAME)
        restored = restore_archive(archive.path, target, progress=progress)
        drilled.files = len(restored.files)
        for found in check_installation(target):
            if found.state is State.MISSING:  # of an app that nobody has opened yet
                continue
            drilled.databases += 1
            lines = [*found.drift, *found.integrity, *found.foreign_keys]
            lines += [found.error.replace(f"{folder}/", "")] if found.error is not None else []
            drilled.faults += [f"{found.name}: {line}" for line in lines]
            progress("checking", drilled.databases, drilled.databases)
    if source == LOCAL and drilled.ok:
        record_verified(Path(archive.address))
    drilled.seconds = time.monotonic() - started
    return drilled

"""The backup that comes before each of these operations, and goes again where nothing needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import remove_leftovers
from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.engine.connections import translated

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class FirstBackup:
    """A verified backup of one file."""

    path: Path
    is_new: bool
    """Whether this run made it; an equal one of an earlier run serves as well."""

    def drop(self) -> None:
        """Remove it, if this run made it: what it holds is in the file itself."""
        if self.is_new:
            self.path.unlink()


def back_up_first(path: Path) -> FirstBackup:
    """Clear away what killed runs left beside a database, and back it up.

    Until then the backup of a run that was killed just after it was made has a second name, and
    would not be taken for one. Raises what `back_up` raises.
    """
    with translated(path, "clearing what killed runs left beside it"):
        remove_leftovers(path.parent)
        known = list_backups(path)
    backup = back_up(path)
    return FirstBackup(backup, backup not in known)

"""The account of work that changes several things: before the first change a refusal, then half.

A fault is told in one place. Before anything was changed it is raised as it is, and says that the
work was refused; from then on it is wrapped into an error that names what is new and what is old.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import HalfDoneError, StreamHubError, UnfinishedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Changes:
    """Account of the work: its subject, how far it came, the commands that lead on and back."""

    names: list[str]
    """All that is to be changed, as the operator knows it."""
    finish: str
    undo: str | None = None
    set_aside: Path | None = None
    begun: bool = False
    """True where anything was changed, and be it that the rows of a -wal went into their file."""
    new: list[str] = field(default_factory=list)
    look: Callable[[], None] = lambda: None
    """Looks at what a fault left: whether the work had begun, and what is new."""

    def begin(self) -> None:
        """Say that something is about to be changed."""
        self.begun = True

    @contextmanager
    def told(self, path: Path, doing: str) -> Iterator[None]:
        """Translate a fault as `translated` does; once the work had begun, tell how far it came."""
        try:
            with translated(path, doing):
                yield
        except (HalfDoneError, UnfinishedError):
            raise
        except StreamHubError as error:
            self.look()
            if not self.begun:
                raise
            new = [name for name in self.names if name in self.new]
            old = [name for name in self.names if name not in self.new]
            undo = self.undo if new else None
            raise HalfDoneError(error, new, old, self.set_aside, self.finish, undo) from error


def command(data_dir: Path, *arguments: object) -> str:
    """Return a command of this program as an operator types it."""
    return shlex.join(["streamhub-db", "--data-dir", str(data_dir), *map(str, arguments)])

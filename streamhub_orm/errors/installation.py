"""Errors about where an installation lies and what is registered in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DataDirError(StreamHubError):
    """The folder given as DATA_DIR is not one usable StreamHub installation."""

    def __init__(self, path: Path, found: str, expected: str, todo: str) -> None:
        """Keep the folder, what was `found` there, what was `expected` and what `todo`."""
        super().__init__(f"{path}: found {found}; expected {expected}. {todo}")
        self.path = path
        self.found = found
        self.expected = expected
        self.todo = todo


class DemoTargetError(StreamHubError):
    """The demo installation is asked for in a folder that already holds something."""

    def __init__(self, path: Path) -> None:
        """Keep the folder."""
        super().__init__(
            f"{path}: found a folder that is not empty; expected a new or empty one for the demo "
            "installation. Name another folder.",
        )
        self.path = path


class AppNameError(StreamHubError):
    """A name that no app can have; names are an allow-list, so nothing else reaches a path."""

    def __init__(self, name: object, where: str) -> None:
        """Keep the name and `where` it was read."""
        super().__init__(
            f"{where}: found the app name {name!r}; expected 3 to 32 characters a-z, 0-9 and -, "
            "beginning and ending with a letter or digit. Rename the app or correct the name.",
        )
        self.name = name


class UnknownAppError(StreamHubError):
    """The app is not in the registry, the global table `apps`."""

    def __init__(self, name: str, registry: Path, known: Sequence[str]) -> None:
        """Keep the name, the global database and the names that are registered there."""
        shown = first_of(known, ", ", 20)
        super().__init__(
            f"{registry}: no app {name!r} in its table apps, found {shown or 'no apps at all'}. "
            "Name a registered app, or create it first.",
        )
        self.name = name
        self.registry = registry
        self.known = tuple(known)


class UnknownRevisionError(StreamHubError):
    """The revision is in neither history, or not on the way that was asked for."""

    def __init__(
        self,
        revision: str,
        world: str,
        reason: str,
        todo: str = "`streamhub-db history` lists them.",
    ) -> None:
        """Keep the revision and the history's name; say the reason and what to do."""
        super().__init__(
            f"{revision!r} is no revision of the {world} history that can be reached: {reason}. "
            f"{todo}",
        )
        self.revision = revision
        self.world = world

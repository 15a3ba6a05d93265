"""Errors about archives of a whole installation, and about putting one back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ArchiveError(StreamHubError):
    """An archive cannot be read, or does not hold what it must."""

    def __init__(self, archive: Path | str, found: str, expected: str, todo: str) -> None:
        """Keep the archive, what was `found`, what was `expected` and what `todo`."""
        super().__init__(f"{archive}: found {found}; expected {expected}. {todo}")
        self.archive = archive
        self.found = found
        self.expected = expected
        self.todo = todo


class HostileArchiveError(ArchiveError):
    """An archive holds what no backup does: a path that leads out, a link, a device, a bomb."""

    def __init__(self, archive: Path | str, found: str) -> None:
        """Keep the archive and what was found in it."""
        super().__init__(
            archive,
            found,
            "only the regular files of an installation, below data/",
            "It was made or changed by something else: do not use it. Nothing was touched.",
        )


class DamagedArchiveError(ArchiveError):
    """An archive is truncated, or a file in it differs from what its manifest says."""

    def __init__(self, archive: Path | str, faults: Sequence[str]) -> None:
        """Keep the archive and its faults, one line each."""
        super().__init__(
            archive,
            first_of(faults, "; ", 12),
            "every file as it was written and every database intact",
            "Use another backup: `streamhub-db backup list`. Nothing was touched.",
        )
        self.faults = tuple(faults)


class NoSuchBackupError(StreamHubError):
    """No backup of that name, or none that is complete, is in the place."""

    def __init__(self, wanted: str, place: str, known: Sequence[str]) -> None:
        """Keep what was `wanted`, the place and the names that are there."""
        shown = first_of(known, ", ", 5) or "none"
        super().__init__(
            f"{place}: no {wanted}; found {shown}. `streamhub-db backup list` shows all."
        )
        self.wanted = wanted
        self.place = place


class DatabaseInUseError(StreamHubError):
    """A file that is to be replaced is open in another process."""

    def __init__(self, users: Sequence[str]) -> None:
        """Keep who has what open, one line each."""
        super().__init__(
            f"found databases in use ({first_of(users, '; ', 8)}); expected to have them alone "
            "while they are replaced. Stop the server and whatever else uses them, then run again; "
            "nothing was touched."
        )
        self.users = tuple(users)

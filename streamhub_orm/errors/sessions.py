"""Errors about what is done inside a session, and about parts that are installed on demand."""

from __future__ import annotations

from typing import ClassVar

from streamhub_orm.errors.base import StreamHubError


class StrayRowError(StreamHubError):
    """A row of one app's database was about to be written into another's."""

    exit_code: ClassVar[int] = 1

    def __init__(self, row: str, owner: str, home: str) -> None:
        """Keep what `row` is, whose it is (`owner`), and whose session refused it (`home`)."""
        super().__init__(
            f"{row} cannot be written in this session: found a row of {owner}, expected one of "
            f"{home}. Write it in a session of {owner}; to copy it, make a new object."
        )
        self.row = row
        self.owner = owner
        self.home = home


class MissingExtraError(StreamHubError, ImportError):
    """A part of this package was used whose dependencies are not installed."""

    def __init__(self, module: str, packages: str, extra: str) -> None:
        """Keep the `module`, the `packages` that it needs, and the `extra` that brings them."""
        super().__init__(
            f"{module} cannot be used: found no {packages}, expected it to be installed. "
            f"Install this package with its extra: streamhub-orm[{extra}]."
        )
        self.module = module
        self.packages = packages
        self.extra = extra

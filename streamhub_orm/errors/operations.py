"""Errors about what a running server reports: its nodes and its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnknownNodeError(StreamHubError):
    """No node of the cluster has this id."""

    def __init__(self, node_id: str, known: Sequence[str]) -> None:
        """Keep the id and those that are there."""
        super().__init__(
            f"no node {node_id!r} in table nodes, found {first_of(known, ', ', 20) or 'none'}. "
            "Join it first, by its name."
        )
        self.node_id = node_id
        self.known = tuple(known)


class NodeNameError(StreamHubError, ValueError):
    """A node joins by its name, so it must have one."""

    def __init__(self, name: object) -> None:
        """Keep what was given for a name."""
        super().__init__(f"found the node name {name!r}; expected text that is not blank.")
        self.name = name


class NodeStatsError(StreamHubError, ValueError):
    """A node's statistics are larger than a heartbeat may store; nothing was written."""

    def __init__(self, node_id: str, size_bytes: int, limit_bytes: int) -> None:
        """Keep the node and both sizes."""
        super().__init__(
            f"node {node_id!r}: found statistics of {size_bytes} bytes as JSON; expected at most "
            f"{limit_bytes}. Send fewer or shorter values."
        )
        self.node_id = node_id
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class LogSettingError(StreamHubError, ValueError):
    """A limit, a file name or a retention of the log is none that there can be."""

    def __init__(self, setting: str, found: object, expected: str) -> None:
        """Keep the setting, what was found and what was expected."""
        super().__init__(f"{setting}: found {found!r}; expected {expected}. Correct it.")
        self.setting = setting
        self.found = found
        self.expected = expected

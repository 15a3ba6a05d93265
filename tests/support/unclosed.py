"""Connections that nobody closed, told on every Python as Python 3.13 tells of them."""

from __future__ import annotations

import warnings
from typing import Any

from streamhub_orm.engine.forks import TrackedConnection


def tell_of_unclosed_connections() -> None:
    """Make the collector warn of each connection of ours that is open when it comes to it."""
    kind: Any = TrackedConnection
    open_, close = kind.__init__, kind.close

    def opened(connection: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
        open_(connection, *args, **options)
        connection.is_left_open = True

    def closed(connection: Any) -> None:  # noqa: ANN401
        close(connection)
        connection.is_left_open = False

    def collected(connection: Any) -> None:  # noqa: ANN401
        if getattr(connection, "is_left_open", False):
            close(connection)
            text = f"nobody closed {connection.path}"
            warnings.warn(text, ResourceWarning, source=connection, stacklevel=1)

    kind.__init__, kind.close, kind.__del__ = opened, closed, collected

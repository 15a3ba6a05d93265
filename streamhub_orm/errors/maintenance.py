"""Errors of the operator's tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SplitCleanupError(StreamHubError):
    """The global copies of moved rows must stay: not all of them are where they belong."""

    def __init__(self, global_db: Path, findings: Sequence[str], more: int = 0) -> None:
        """Keep the global database, what speaks against it, and how much `more` is not listed."""
        shown = first_of(findings, "; ", 3)
        beyond = f"; {more} more rows are not listed" if more else ""
        super().__init__(
            f"{global_db}: found {shown}{beyond}; expected a finished split, and every row of the "
            "global streams, vods and ingress_auth in the app.db of its app. Nothing was touched. "
            "Upgrade first what is not upgraded. A row that is still wanted belongs into its "
            "app.db; one that was deleted there on purpose, or whose app is gone, can be deleted "
            "by hand from the global table. Then run again."
        )
        self.global_db = global_db
        self.findings = tuple(findings)
        self.more = more


class ReportTargetError(StreamHubError):
    """The report is asked for under a name that something else has."""

    def __init__(self, path: Path, found: str) -> None:
        """Keep the path and what was `found` there."""
        super().__init__(
            f"{path}: found {found}; expected a new name in a folder that exists, or an older "
            "report. Name another file."
        )
        self.path = path
        self.found = found

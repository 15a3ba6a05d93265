"""An installation to be written, as plain values: what Hypothesis draws, shrinks and prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.installations.facts import Row


@dataclass(frozen=True)
class Rows:
    """Rows for the tables that the split moves, as far as the file has them."""

    streams: tuple[Row, ...] = ()
    vods: tuple[Row, ...] = ()
    ingress_auth: tuple[Row, ...] = ()


@dataclass(frozen=True)
class OwnFile:
    """An app.db as the Node core made it; `step` 0 is a zero-byte file."""

    step: int
    user_version: int | None = None
    """What the file says, where that is not its step."""
    rows: Rows = field(default_factory=Rows)
    markers: tuple[str, ...] = ()
    """Markers of imports that are set, whether or not the rows are there."""
    burnt_id: int | None = None
    """An id that was given out and whose row was deleted."""
    late: bool = False
    """Whether its rows lie only in a -wal."""


@dataclass(frozen=True)
class LegacyFile:
    """A vods.db; `lacking` names the columns that its age does not know."""

    rows: Rows = field(default_factory=Rows)
    lacking: tuple[str, ...] = ()
    empty: bool = False
    late: bool = False


@dataclass(frozen=True)
class AppPlan:
    """One registered app, and how far the Node core came with it."""

    own: OwnFile | None = None
    legacy: LegacyFile | None = None
    core_import: str = "none"
    """What the core imported of the vods.db: `none`, `streams` (killed between its two INSERTs,
    no marker) or `all` (marked as done; rows whose id was taken are skipped)."""
    core_copy: str = "none"
    """What came over from the global tables: `none`, `streams`, `vods`, or `all`."""
    updated: bool = False
    """Whether rows were updated since they came over."""


@dataclass(frozen=True)
class GlobalPlan:
    """The global database: its step, its run-time additions, and its legacy tables."""

    step: int
    user_version: int | None = None
    additions: tuple[str, ...] = ()
    legacy_tables: tuple[str, ...] = ()
    rows: Rows = field(default_factory=Rows)
    split_done: bool = False
    late: bool = False


@dataclass(frozen=True)
class SitePlan:
    """A whole installation."""

    layout: str
    global_file: GlobalPlan
    apps: tuple[AppPlan, ...]
    unregistered: bool = False

"""Report of an upgrade, in the shape of the contract's JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.legacy.accounts import Account, RowCounts

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class GlobalReport:
    """Outcome for the global database."""

    from_revision: str | None = None
    to_revision: str | None = None
    changed: bool = False
    error: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the object under `global`."""
        return {
            "from": self.from_revision,
            "to": self.to_revision,
            "changed": self.changed,
            "error": self.error,
        }


NOTHING: Final = Account()
"""The account of nearly every app, once for all; nothing is ever added to it."""


@dataclass(slots=True)
class AppReport:
    """Outcome for one app.db."""

    app: str
    from_revision: str | None = None
    to_revision: str | None = None
    backup: str | None = None
    account: Account = field(default_factory=lambda: NOTHING)
    error: str | None = None
    changed: bool = False

    def to_json(self) -> dict[str, object]:
        """Return one entry of `apps`."""
        return {
            "app": self.app,
            "from": self.from_revision,
            "to": self.to_revision,
            "backup": self.backup,
            **asdict(self.account),
            "error": self.error,
        }


@dataclass
class UpgradeReport:
    """Outcome for the whole installation."""

    data_dir: Path
    dry_run: bool = False
    backup: Path | None = None
    global_: GlobalReport = field(default_factory=GlobalReport)
    apps: list[AppReport] = field(default_factory=list)
    orphans: RowCounts = field(default_factory=RowCounts)
    unregistered: list[str] = field(default_factory=list)
    made_anew: list[str] = field(default_factory=list)
    """Apps that were registered before this run, the split long done, with no database and no rows
    anywhere: an empty one was made. Nothing told that there had been one."""
    seconds: float = 0.0

    def add(self, app: AppReport) -> None:
        """Add what became of one app; what apps have in common is held in memory once."""
        if app.account == NOTHING:
            app.account = NOTHING
        app.from_revision = app.from_revision and intern(app.from_revision)
        app.to_revision = app.to_revision and intern(app.to_revision)
        self.apps.append(app)

    @property
    def failed(self) -> int:
        """The number of databases that failed."""
        return sum(app.error is not None for app in self.apps) + (self.global_.error is not None)

    @property
    def changed(self) -> bool:
        """True where any database was, or in a dry run would be, changed."""
        return self.global_.changed or any(app.changed for app in self.apps)

    @property
    def error(self) -> str | None:
        """The first failure in words, for whoever reads one line only."""
        errors = [self.global_.error, *(app.error for app in self.apps)]
        return next((error for error in errors if error is not None), None)

    def total(self, kind: str) -> RowCounts:
        """Add up one kind of count (`imported`, `superseded` or `unmatched`) over all apps."""
        return sum((getattr(app.account, kind) for app in self.apps), RowCounts())

    def to_json(self) -> dict[str, Any]:
        """Return the document that `upgrade --json` prints."""
        return {
            "ok": self.failed == 0,
            "error": self.error,
            "data_dir": str(self.data_dir),
            "dry_run": self.dry_run,
            "backup": None if self.backup is None else str(self.backup),
            "global": self.global_.to_json(),
            "apps": [app.to_json() for app in self.apps],
            "orphans": asdict(self.orphans),
            "unregistered": self.unregistered,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def refused_json(data_dir: Path, error: str, *, dry_run: bool) -> dict[str, Any]:
    """Return the same document for a run that was refused before anything was touched."""
    report = UpgradeReport(data_dir, dry_run=dry_run)
    return {**report.to_json(), "ok": False, "error": error}

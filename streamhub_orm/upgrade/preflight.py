"""Preflight of an upgrade: the look at every file, read-only, before anything is touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.engine.backups import size_bytes
from streamhub_orm.engine.integrity import require_intact
from streamhub_orm.engine.waits import estimated_seconds, only_long
from streamhub_orm.errors import ReadOnlyDatabaseError, SpaceError
from streamhub_orm.fleet import walk
from streamhub_orm.legacy.importing import recorded_account
from streamhub_orm.legacy.sources import LegacyFiles
from streamhub_orm.migrations.global_database import look_for_global_upgrade
from streamhub_orm.migrations.states import (
    State,
    imports_pending,
    is_done,
    look_for_app_upgrade,
    look_for_upgrade,
)
from streamhub_orm.migrations.worlds import APP
from streamhub_orm.owner import give_back

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.errors import StreamHubError
    from streamhub_orm.legacy.accounts import Account
    from streamhub_orm.legacy.sources import GlobalState
    from streamhub_orm.migrations.states import FileState
    from streamhub_orm.registry import Registry


@dataclass
class Plan:
    """Work that there is to do, app by app."""

    place: DataDir
    registry: Registry
    legacy: GlobalState
    global_state: FileState
    selected: list[str] = field(default_factory=list)
    create_missing: frozenset[str] = frozenset()
    """Apps that are started anew on purpose, though they had a database."""
    states: dict[str, FileState] = field(default_factory=dict)
    errors: dict[str, StreamHubError] = field(default_factory=dict)
    """Apps that cannot be upgraded, with the reason."""

    accounts: dict[str, Account] = field(default_factory=dict)
    """Recorded accounts of the legacy rows of apps that are done, where any is unmatched."""
    uncounted: set[str] = field(default_factory=set)
    """Apps that are done, with legacy rows of which nothing valid is recorded."""
    row_index: Path | None = None
    """File that says whose the global rows are, once that is looked up for the whole run."""

    @property
    def needs_row_index(self) -> bool:
        """True where several apps are to be imported or counted from global streams and vods."""
        counts = self.legacy.rows.counts
        owners = counts["streams"].keys() | counts["vods"].keys()
        readers = (*self.to_split, *self.to_upgrade, *self.to_count)
        return sum(self.registry.ids[name] in owners for name in readers) > 1

    def legacy_files(self, name: str) -> LegacyFiles:
        """Return where the legacy rows of one app may lie."""
        return LegacyFiles(
            name,
            self.registry.ids[name],
            self.place.global_db if self.place.global_url is None else None,
            self.place.legacy_db(name),
            lambda: self.legacy,
            self.registry.is_recorded(name),
            name in self.create_missing,
            self.row_index,
        )

    @property
    def to_split(self) -> list[str]:
        """The selected apps whose legacy rows are not imported yet; missing files among them."""
        return [name for name in self._workable() if imports_pending(self.states[name])]

    @property
    def to_upgrade(self) -> list[str]:
        """The selected apps that have their rows and only stand behind."""
        return [
            name
            for name in self._workable()
            if not imports_pending(self.states[name]) and not is_done(self.states[name], APP)
        ]

    @property
    def done(self) -> list[str]:
        """The selected apps with nothing left to do."""
        return [name for name in self._workable() if is_done(self.states[name], APP)]

    @property
    def to_count(self) -> list[str]:
        """Those of them whose legacy rows are counted, since nothing valid is recorded of them."""
        return [name for name in self._workable() if name in self.uncounted]

    @property
    def unselected_pending(self) -> bool:
        """True where an app that was not selected still lacks its import."""
        return any(
            name in self.errors or imports_pending(self.states[name])
            for name in self.registry.ids.keys() - self.selected
        )

    @property
    def split_can_end(self) -> bool:
        """True where `per_app_split_done` may be set at the end, if all goes well."""
        return not (self.legacy.split_done or self.errors or self.unselected_pending)

    @property
    def changes_global(self) -> bool:
        """True where the run will change the global database, so that it is backed up first.

        A record of an app alone is no such change: sessions, too, write there without a backup. On
        a server one transaction changes the schema, and its own means back it up.
        """
        if self.place.global_url is not None:
            return False
        behind = self.global_state.state is not State.CURRENT
        splits = not self.legacy.split_done and bool(self.to_split)
        return behind or splits or self.split_can_end

    @property
    def to_record(self) -> dict[int, str]:
        """The selected apps that have, or will have, an app.db and are not known to have one."""
        ids = self.registry.ids
        return {ids[name]: name for name in self._workable() if not self.registry.is_recorded(name)}

    def _workable(self) -> Iterable[str]:
        return (name for name in self.selected if name not in self.errors)


def look_at_everything(
    place: DataDir, apps: Iterable[str], *, recover: bool, create_missing: Collection[str] = ()
) -> Plan:
    """Look at the global database and at every registered app.

    With `recover`, a journal that a killed writer left is rolled back; nothing else is written.
    Raises what makes the whole run impossible; what concerns one app goes into `Plan.errors`.
    """
    global_state, registry, legacy = look_for_global_upgrade(place, recover=recover)
    registry.require((*apps, *create_missing))
    selected = list(apps) or list(registry.ids)
    plan = Plan(place, registry, legacy, global_state, selected, frozenset(create_missing))
    for outcome in walk(registry.ids, partial(_look_at_app, plan, recover=recover)):
        if outcome.error is not None:
            plan.errors[outcome.app] = outcome.error
    return plan


def _look_at_app(plan: Plan, name: str, *, recover: bool) -> None:
    require_app_name(name, f"a row of table apps in {plan.registry.source}")
    files = plan.legacy_files(name)  # refuses a link and a folder
    path = plan.place.app_db(name)
    if name in plan.create_missing:
        found = look_for_upgrade(path, APP, recover=recover)
    else:
        found = look_for_app_upgrade(path, name, recorded=files.is_recorded, recover=recover)
    if is_done(found, APP):
        account = recorded_account(found.account, files)
        if account is None and files.hold_rows():
            plan.uncounted.add(name)
        elif account is not None and account.unmatched.total:
            plan.accounts[name] = account
    plan.states[name] = found.without_account()


def long_waits(plan: Plan) -> dict[str, float]:
    """Estimate how many seconds the writers of each file wait, by its name; the long waits only.

    A file that is still missing has no writers.
    """
    place, waits = plan.place, {}
    if plan.changes_global:
        waits["global"] = estimated_seconds(migrated_bytes=size_bytes(place.global_db))
    for name in (*plan.to_split, *plan.to_upgrade):
        if plan.states[name].state is not State.MISSING:
            rows = plan.legacy_files(name).rows_about() if name in plan.to_split else 0
            migrated = size_bytes(place.app_db(name))
            waits[name] = estimated_seconds(migrated_bytes=migrated, imported_rows=rows)
    return only_long(waits)


def require_workable(plan: Plan) -> None:
    """Raise where the global database is damaged or read-only, or where space will not suffice."""
    if plan.changes_global:
        require_writable(plan.place.global_db)
        require_intact(plan.place.global_db)
    _require_space(plan)


def require_writable(path: Path) -> None:
    """Raise `ReadOnlyDatabaseError` where this user cannot write the file or its folder."""
    for target, kind in ((path.parent, "folder"), (path, "file")):
        if target.exists() and not os.access(target, os.W_OK):
            raise ReadOnlyDatabaseError(
                path,
                f"a {kind} that this user cannot write ({target})",
                "a file and folder that this user can write",
                give_back(path)
                or "Run as the owner of the installation (or with sudo), then run again.",
            )


def _require_space(plan: Plan) -> None:
    """Backups take as much as their files, and a new app.db as much as its share of the rows."""
    needed: dict[int, int] = {}
    for path in _files_to_copy(plan):
        device = path.stat().st_dev
        needed[device] = needed.get(device, 0) + size_bytes(path)
    for path in _files_to_copy(plan):
        free, wanted = shutil.disk_usage(path.parent).free, needed[path.stat().st_dev]
        if free < wanted:
            raise SpaceError(
                path,
                f"{free} bytes free on its file system",
                f"{wanted} bytes for the backups of this run",
                "Free space there, then run again; nothing was touched.",
            )


def require_rehearsable(plan: Plan, jobs: int) -> None:
    """Raise `SpaceError` where TMPDIR has no room for the scratch copies of a dry run.

    As many apps as there are `jobs` are rehearsed at once, each with the rows that it imports.
    """
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        found = f"no folder for temporary files that can be written ({error.strerror})"
        raise SpaceError(Path("TMPDIR"), found, "room for the rehearsal", _SET_TMPDIR) from error
    sizes: list[int] = []
    for name in (*plan.to_split, *plan.to_upgrade):
        paths = (plan.place.app_db(name), plan.place.legacy_db(name))
        sizes.append(sum(size_bytes(path) for path in paths if path.exists()))
    needed = sum(sorted(sizes)[-jobs:])
    if plan.changes_global:
        needed = max(needed, size_bytes(plan.place.global_db))
    free = shutil.disk_usage(folder).free
    if free < needed:
        found = f"{free} bytes free in the folder for temporary files (TMPDIR)"
        expected = f"{needed} bytes for the scratch copies of the rehearsal"
        raise SpaceError(folder, found, expected, _SET_TMPDIR)


_SET_TMPDIR: Final = "Set TMPDIR to a folder with room, then run again; nothing was touched."


def _files_to_copy(plan: Plan) -> list[Path]:
    place = plan.place
    names = plan.to_split + plan.to_upgrade
    apps = [place.app_db(name) for name in names if plan.states[name].state is not State.MISSING]
    legacy = [place.legacy_db(name) for name in plan.to_split]
    paths = [*apps, *(path for path in legacy if path.exists())]
    return [place.global_db, *paths] if plan.changes_global else paths

"""`streamhub-db doctor`: what may go wrong in an upgrade or a backup, looked at beforehand.

Nothing is written. Each look names what it found and, unless that is good, what to do.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.archives.freshness import check_freshness
from streamhub_orm.archives.in_use import open_files
from streamhub_orm.check import settings_faults
from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases.open_database import affordable_apps
from streamhub_orm.doctor.control_plane import look_at_control_plane
from streamhub_orm.doctor.findings import Finding, Verdict, failure, few
from streamhub_orm.errors import StorageError, StreamHubError
from streamhub_orm.fleet import walk
from streamhub_orm.maintenance.health import DBSTAT_OPTION
from streamhub_orm.owner import User, scratch_folder
from streamhub_orm.readable import in_bytes
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import open_s3_store
from streamhub_orm.upgrade.preflight import (
    look_at_everything,
    require_rehearsable,
    require_workable,
    require_writable,
)

__all__ = ["Finding", "Verdict", "examine"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from streamhub_orm.archives import Places
    from streamhub_orm.upgrade.preflight import Plan

_OLDEST_SQLITE: Final = (3, 35, 0)
"""The first with RETURNING and DROP COLUMN."""
_FEW_APPS: Final = 100
"""What `Databases` keeps open where the limit on open files allows it."""
_CLOCK_WARNING: Final = timedelta(minutes=1)
_CLOCK_REFUSED: Final = timedelta(minutes=15)
"""From this difference on, S3 refuses a signature."""


def examine(
    data_dir: Path,
    places: Places,
    *,
    max_age: timedelta | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Finding]:
    """Yield the findings about an installation, the machine and the places of its archives.

    A newest archive that is older than `max_age` is a failure; without it, none is too old.
    `progress` is told how many looks are done, and of how many. Raises `DataDirError` where there
    is no installation.
    """
    place = DataDir.find(data_dir)
    looks: list[Callable[[], Iterable[Finding]]] = [
        _look_at_sqlite,
        _look_at_limits,
        *([partial(look_at_control_plane, place)] if place.global_url is not None else []),
        partial(_look_at_databases, place),
        partial(_look_at_settings, place),
        partial(_look_at_users, place),
        partial(_look_at_archives, places, max_age),
        partial(_look_at_clock, places),
    ]
    for done, look in enumerate(looks, start=1):
        yield from look()
        progress(done, len(looks))


def _look_at_sqlite() -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    connection = sqlite3.connect(":memory:")
    try:
        options = {option for (option,) in connection.execute("PRAGMA compile_options")}
    finally:
        connection.close()
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        todo = f"Use a Python whose SQLite is {oldest} or newer."
        yield Finding("SQLite", Verdict.FAILURE, f"version {version}", todo)
    elif sqlite3.threadsafety == 0 or "OMIT_JSON" in options:
        todo = "Use a Python whose SQLite has threads and JSON."
        yield Finding("SQLite", Verdict.FAILURE, f"{version} without threads or JSON", todo)
    elif DBSTAT_OPTION not in options:
        todo = "Without it `health` knows no bytes of single tables; all else works."
        yield Finding("SQLite", Verdict.WARNING, f"{version} without dbstat", todo)
    else:
        yield Finding("SQLite", Verdict.OK, f"version {version}, with threads, JSON and dbstat")


def _look_at_limits() -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    apps = affordable_apps()
    found = f"a limit of {soft:,}, enough to keep {apps} apps open"
    if apps < _FEW_APPS:
        todo = f"Raise it for the server (`ulimit -n`, LimitNOFILE=), for {_FEW_APPS} apps."
        yield Finding("open files", Verdict.WARNING, found, todo)
    else:
        yield Finding("open files", Verdict.OK, found)


def _look_at_databases(place: DataDir) -> Iterator[Finding]:
    """Look as an upgrade does before it begins: states, damage, links, modes, owners, space."""
    try:
        plan = look_at_everything(place, [], recover=False)
        yield from few([failure("databases", error) for error in plan.errors.values()])
        yield from _look_at_modes(plan)
        require_workable(plan)
        yield from _look_at_space(plan)
    except StreamHubError as error:
        yield failure("upgrade", error)


def _look_at_modes(plan: Plan) -> Iterator[Finding]:
    place = plan.place
    files = len(plan.states)
    if place.global_url is None:
        require_writable(place.global_db)
        files += 1
    subject, failures = "modes and owners", []
    user = User.present()
    for outcome in walk(plan.states, lambda name: require_writable(place.app_db(name))):
        if outcome.error is not None:
            failures.append(failure(subject, outcome.error))
        elif (path := place.app_db(outcome.app)).exists() and path.stat().st_uid != user.uid:
            found = f"{path}: it belongs to another user than this one"
            todo = f"Run `sudo chown {user} {path}`, or run this as its owner."
            failures.append(Finding(subject, Verdict.FAILURE, found, todo))
    yield from few(failures)
    if not failures:
        found = f"{files:,} databases that {user} can write, and no link"
        yield Finding(subject, Verdict.OK, found)


def _look_at_space(plan: Plan) -> Iterator[Finding]:
    work = len(plan.to_split) + len(plan.to_upgrade)
    free = in_bytes(shutil.disk_usage(plan.place.root).free)
    found = f"{free} free, enough for an upgrade; apps that it will change: {work:,}"
    yield Finding("space", Verdict.OK, found)
    try:
        require_rehearsable(plan, os.cpu_count() or 1)
        with scratch_folder("doctor"):
            pass
    except StreamHubError as error:
        yield failure("space in TMPDIR", error)
    except OSError as error:
        found = f"{tempfile.gettempdir()}: {error.strerror}"
        todo = "Set TMPDIR to a folder that this user can write."
        yield Finding("space in TMPDIR", Verdict.FAILURE, found, todo)
    else:
        folder = Path(tempfile.gettempdir())
        found = (
            f"{in_bytes(shutil.disk_usage(folder).free)} free in {folder}, enough for a rehearsal"
        )
        yield Finding("space in TMPDIR", Verdict.OK, found)


def _look_at_settings(place: DataDir) -> Iterator[Finding]:
    faults = [failure("settings", fault) for fault in settings_faults(place)]
    yield from few(faults)
    if not faults:
        found = "secrets.json and every config.yaml can be read, by nobody else where secret"
        yield Finding("settings", Verdict.OK, found)


def _look_at_users(place: DataDir) -> Iterator[Finding]:
    try:
        paths = [place.global_db, *sorted(place.apps.glob("*/app.db"))]
        holders: dict[str, int] = {}
        for _, holder in open_files(path for path in paths if path.is_file()):
            holders[holder] = holders.get(holder, 0) + 1
    except OSError as error:
        yield Finding("processes", Verdict.WARNING, str(error), "Look with `fuser` or `lsof`.")
        return
    for holder, count in holders.items():
        found = f"{holder} has {count:,} of the databases open"
        todo = "An upgrade may go on beside it; stop it before a rollback or a purge."
        yield Finding("processes", Verdict.WARNING, found, todo)
    if not holders:
        yield Finding("processes", Verdict.OK, "none that this user can see has a database open")


def _look_at_archives(places: Places, max_age: timedelta | None) -> Iterator[Finding]:
    for each in check_freshness(places, max_age=max_age):
        subject = f"backups, {each.place}"
        if each.error is None:
            yield Finding(subject, Verdict.OK, each.in_words())
        else:
            bad = max_age is not None or not each.is_reached
            todo = "Run `streamhub-db backup create`." if each.is_reached else None
            verdict = Verdict.FAILURE if bad else Verdict.WARNING
            yield Finding(subject, verdict, str(each.error), todo)


def _look_at_clock(places: Places) -> Iterator[Finding]:
    if places.bucket is None:
        yield Finding("clock", Verdict.OK, "no bucket to compare it with")
        return
    try:
        with open_s3_store(places.bucket) as store:
            theirs = store.server_time()
    except StorageError:
        return  # the look at the archives there has said so
    difference = abs(utc_now() - theirs)
    seconds = f"{difference.total_seconds():.0f} s from the clock of the bucket"
    todo = "Set it by NTP: S3 refuses requests from 15 min on, and names of archives hold the time."
    if difference < _CLOCK_WARNING:
        yield Finding("clock", Verdict.OK, seconds)
    else:
        refused = difference >= _CLOCK_REFUSED
        yield Finding("clock", Verdict.FAILURE if refused else Verdict.WARNING, seconds, todo)

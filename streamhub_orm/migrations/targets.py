"""Targets of a plain Alembic command: the files that its options mean, all of one world."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic import context, util

from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import NotADatabaseError
from streamhub_orm.migrations.states import missing
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.owner import become_owner
from streamhub_orm.registry import find_legacy_files, read_registry
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.legacy.sources import LegacyFiles
    from streamhub_orm.migrations.worlds import World

_KNOWN: Final = ("app", "path", "data_dir", "global_url", "drop-rows")
_URL: Final = "sqlalchemy.url"


@dataclass(frozen=True)
class Target:
    """One database file that the command means."""

    path: Path
    files: LegacyFiles | None = None
    """Places of the app's legacy rows; None for the global database and for a file named itself."""


def read_options(world: World) -> dict[str, list[str]]:
    """Return the values of each `-x NAME=VALUE`; raises `CommandError` for what cannot be meant."""
    found: dict[str, list[str]] = {}
    for argument in getattr(context.config.cmd_opts, "x", None) or ():
        name, _, value = argument.partition("=")
        found.setdefault(name, []).append(value)
    unknown = found.keys() - set(_KNOWN)
    if unknown:
        message = f"unknown -x {', '.join(sorted(unknown))}; known: {', '.join(_KNOWN)}"
        raise util.CommandError(message)
    if world is GLOBAL and "app" in found:
        message = (
            "-x app= names an app, and this is the history of the global database: "
            "add -n app (alembic -n app -x app=NAME …), or leave -x app= out"
        )
        raise util.CommandError(message)
    if world is not GLOBAL and "global_url" in found:
        message = "-x global_url= names the global database, and this is the history of the apps"
        raise util.CommandError(message)
    naming = [f"-x {name}=" for name in ("path", "app", "data_dir", "global_url") if name in found]
    if context.config.get_main_option(_URL):
        naming.insert(0, _URL)
    if len(naming) > 1 and naming[0] in {_URL, "-x path="}:
        message = f"{naming[0]} names one file; leave it out, or {' and '.join(naming[1:])}"
        raise util.CommandError(message)
    return found


def find_server(world: World) -> ServerUrl | None:
    """Return the server that the command means; None where it means files.

    `-x global_url=`, `sqlalchemy.url` or STREAMHUB_GLOBAL_URL names it, in this order; `-x path=`
    means a file in any case.
    """
    options = read_options(world)
    if world is not GLOBAL or "path" in options:
        return None
    if "global_url" in options:
        return ServerUrl.parse(options["global_url"][-1], "-x global_url=", is_argument=True)
    text = context.config.get_main_option(_URL) or ""
    if text.startswith("postgres"):
        return ServerUrl.parse(text, _URL)
    return None if text else ServerUrl.load()


def find_targets(world: World) -> dict[str, Callable[[], Target]]:
    """Return what finds each target, by name; finding one can fail, and does not stop the rest."""
    options = read_options(world)
    url = _file_of_url()
    paths = options.get("path", []) if url is None else [str(url)]
    if paths:
        _become(Path(paths[0]).parent)
        return {path: partial(_named_target, Path(path).absolute()) for path in paths}
    root = Path(options.get("data_dir", [os.environ.get("DATA_DIR", ".")])[-1])
    _become(root)
    place = DataDir.find(root)
    if world is GLOBAL:
        return {world.name: partial(Target, place.global_db)}
    registry = read_registry(place)
    names = options.get("app", [])
    if not names:
        known = ", ".join(registry.ids) or "none"
        message = f"name an app by -x app=NAME, or all by -x app=all; apps of {place.root}: {known}"
        raise util.CommandError(message)
    chosen = list(registry.ids) if "all" in names else names
    return {name: partial(_app_target, place, name) for name in chosen}


def _file_of_url() -> Path | None:
    """Return the file that `sqlalchemy.url` names, set in an ini file or by set_main_option.

    The URL is not shown: it may hold a password.
    """
    text = context.config.get_main_option(_URL)
    if not text:
        return None
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        found = "a text that is no URL"
    else:
        name = url.database or ""
        if (
            url.get_backend_name() == "sqlite"
            and not (url.host or url.query)
            and name not in {"", ":memory:"}
            and not name.startswith("file:")
        ):
            return Path(name)
        found = f"a URL of {url.drivername} that names no plain file"
    message = (
        f"{_URL}: found {found}; expected sqlite:///FILE, one database file. Write the path so, "
        "leave the option out and name the installation by DATA_DIR, or hand a connection over in "
        'Config.attributes["connection"].'
    )
    raise util.CommandError(message)


def _become(folder: Path) -> None:
    """Become the folder's owner in a process of Alembic's own command, never in a program's."""
    if context.config.cmd_opts is not None:
        become_owner(folder)


def _named_target(path: Path) -> Target:
    """Refuse what SQLite would open all the same: backup and -wal would lie beside the link."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise NotADatabaseError(
            path,
            f"a link to {path.resolve()}" if path.is_symlink() else "a folder or a special file",
            "a SQLite database in a regular file",
            "Name the file itself.",
        )
    if not path.exists():
        raise missing(path)
    return Target(path)


def _app_target(place: DataDir, name: str) -> Target:
    return Target(place.app_db(name), find_legacy_files(place, name))

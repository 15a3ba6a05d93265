"""Alembic environment, which both env.py delegate to: the files a command means, each run apart.

Only `upgrade` adopts and imports; the commands that only read open their files read-only, so they
cannot write an unadopted one.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import context, util

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.engine.engines import READ_ONLY
from streamhub_orm.errors import NotADatabaseError, StreamHubError, UnforeseenError
from streamhub_orm.fleet import walk
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.authoring import comparison_options
from streamhub_orm.migrations.downgrading import change_adopted
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.revisions import (
    Route,
    connect_over,
    database_in_memory,
    keep_user_version,
    last_of,
)
from streamhub_orm.migrations.states import missing
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from streamhub_orm.owner import become_owner
from streamhub_orm.registry import find_legacy_files, read_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from streamhub_orm.legacy.sources import LegacyFiles

_log: Final = logging.getLogger(__name__)
_WRITING: Final = {"upgrade", "downgrade", "do_stamp"}
_COMPARING: Final = {"retrieve_migrations"}
_OFFLINE_HEADER: Final = """\
-- The plain history. Adoption of files that the Node core made, the import of legacy rows and
-- backups do not happen here: they are part of `alembic upgrade` without --sql."""


@dataclass(frozen=True)
class Target:
    """One database file that the command means."""

    path: Path
    files: LegacyFiles | None = None
    """Places of the app's legacy rows; None for the global database and for `-x path=`."""


def run_environment(name: str) -> None:
    """Run the Alembic command that is under way on the files it means; for env.py alone."""
    world = {"global": GLOBAL, "app": APP}[name]
    handed = context.config.attributes.get("connection")
    if context.is_offline_mode():
        _print_sql(world)
    elif handed is not None:
        with handed.connect() as connection:
            _compare(connection, world)
    elif _command() in _COMPARING:
        with database_in_memory(world) as connection:
            _compare(connection, world)
    else:
        try:
            _run_on_files(world)
        except StreamHubError as error:
            raise util.CommandError(str(error)) from error


def _command() -> str:
    """Return the name of the function that Alembic's command handed over for its steps."""
    context.configure(dialect_name="sqlite")
    return str(context.get_context().opts["fn"].__name__)


def _print_sql(world: World) -> None:
    context.configure(
        dialect_name="sqlite",
        literal_binds=True,
        transactional_ddl=True,
        on_version_apply=keep_user_version(world),
    )
    context.get_context().impl.static_output(_OFFLINE_HEADER)
    with context.begin_transaction():
        context.run_migrations()


def _compare(connection: sa.Connection, world: World) -> None:
    with connection.begin():
        _run_steps(connection, world, **comparison_options(world))


def _run_steps(connection: sa.Connection, world: World, **options: Any) -> None:  # noqa: ANN401 - those of configure()
    context.configure(
        connection=connection,
        transactional_ddl=True,
        on_version_apply=keep_user_version(world),
        **options,
    )
    context.run_migrations()


def _run_on_files(world: World) -> None:
    """Run the command on each file; one that fails does not stop the rest.

    A fault in a revision's own code is raised as it is, so that its author sees where it came from.
    """
    command = _command()
    route = Route(_destination, lambda connection: _run_steps(connection, world))
    targets = _targets(world)
    outcomes = walk(targets, lambda name: _run_on_file(command, targets[name](), world, route))
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    failures = [str(_unwrapped(error)) for error in errors]
    for error in map(_unwrapped, errors):
        if not isinstance(error, StreamHubError | util.CommandError):
            _log.error("%s", "\n".join(failures))
            raise error
    if failures:
        raise util.CommandError("\n".join(failures))


def _unwrapped(error: StreamHubError) -> BaseException:
    return error.__cause__ or error if isinstance(error, UnforeseenError) else error


def _run_on_file(command: str, target: Target, world: World, route: Route) -> None:
    if command not in _WRITING:
        _read(target, world)
    elif command != "upgrade":
        name, drop_rows = command.removeprefix("do_"), command != "downgrade" or _drops_rows()
        change_adopted(target.path, world, route, name, drop_rows=drop_rows)
    elif world is APP:
        upgrade_app_file(target.path, target.files, route=route)
    else:
        upgrade_global_file(target.path, route=route)


def _drops_rows() -> bool:
    return _arguments().get("drop-rows") == ["yes"]


def _destination(revision: str | None) -> str | None:
    """Return where the command's steps lead a file that stands at `revision`."""
    opened = context.get_context()
    return last_of(opened.opts["fn"]((revision,) if revision else (), opened), revision)


def _read(target: Target, world: World) -> None:
    if not target.path.exists():
        raise missing(target.path)
    if target.files is not None:
        context.config.print_stdout("%s:", target.files.app)
    with (
        translated(target.path, "reading"),
        connect_over(open_read_only(target.path)) as connection,
    ):
        connection.info[READ_ONLY] = True
        with connection.begin():
            _run_steps(connection, world, dont_mutate=True)


def _targets(world: World) -> dict[str, Callable[[], Target]]:
    """Return what finds each target, by name; finding one can fail, and does not stop the rest."""
    arguments = _arguments()
    if "path" in arguments:
        _become(Path(arguments["path"][0]).parent)
        return {path: partial(_named_target, Path(path).absolute()) for path in arguments["path"]}
    root = Path(arguments.get("data_dir", [os.environ.get("DATA_DIR", ".")])[-1])
    _become(root)
    place = DataDir.find(root)
    if world is GLOBAL:
        return {world.name: partial(Target, place.global_db)}
    registry = read_registry(place.global_db)
    names = arguments.get("app", [])
    if not names:
        known = ", ".join(registry.ids) or "none"
        message = f"name an app by -x app=NAME, or all by -x app=all; apps of {place.root}: {known}"
        raise util.CommandError(message)
    chosen = list(registry.ids) if "all" in names else names
    return {name: partial(_app_target, place, name) for name in chosen}


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


def _arguments() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for argument in context.get_x_argument():
        name, _, value = argument.partition("=")
        found.setdefault(name, []).append(value)
    unknown = found.keys() - {"app", "path", "data_dir", "drop-rows"}
    if unknown:
        message = f"unknown -x {', '.join(sorted(unknown))}; known: app, path, data_dir, drop-rows"
        raise util.CommandError(message)
    return found

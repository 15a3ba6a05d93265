"""What both env.py files delegate to: which files an Alembic command means, and how each is run.

Only `upgrade` adopts and imports; the commands that only read open their files read-only, so they
cannot write an unadopted one.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import context, util

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import back_up
from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.engine.database_files import create_empty, require_no_stray_wal
from streamhub_orm.engine.engines import READ_ONLY
from streamhub_orm.errors import NotADatabaseError, StreamHubError
from streamhub_orm.legacy.importing import import_legacy
from streamhub_orm.legacy.sources import VODS_MARKER, Account
from streamhub_orm.migrations.autogenerate import comparison_options, database_at_head
from streamhub_orm.migrations.downgrading import Change, change_adopted
from streamhub_orm.migrations.legacy_files import require_importable
from streamhub_orm.migrations.states import State, missing, read_state
from streamhub_orm.migrations.transaction import engine_on, keep_user_version
from streamhub_orm.migrations.upgrading import imports_pending, look_for_upgrade, transform
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from streamhub_orm.registry import Registry, read_registry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import sqlalchemy as sa

    from streamhub_orm.legacy.sources import LegacyFiles

_WRITING: Final = {"upgrade", "downgrade", "do_stamp"}
_COMPARING: Final = {"retrieve_migrations"}
_OFFLINE_HEADER: Final = """\
-- The plain history. Adoption of files that the Node core made, the import of legacy rows and
-- backups do not happen here: they are part of `alembic upgrade` without --sql."""


@dataclass(frozen=True)
class Target:
    """One database file that the command means."""

    path: Path
    owner: Path
    """The file whose owner and mode new files take."""
    files: LegacyFiles | None = None
    """Where the app's legacy rows lie; None for the global database and for `-x path=`."""


def run_environment(name: str) -> None:
    """Run the Alembic command that is under way on the files it means; for env.py alone."""
    world = {"global": GLOBAL, "app": APP}[name]
    handed = context.config.attributes.get("connection")
    if context.is_offline_mode():
        _print_sql(world)
    elif handed is not None:
        _run_on_engine(handed, world)
    elif _command() in _COMPARING:
        with database_at_head(world) as engine:
            _run_on_engine(engine, world)
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


def _run_on_engine(engine: sa.Engine, world: World) -> None:
    with engine.connect() as connection, connection.begin():
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
    """Run the command on each file; one that fails does not stop the rest."""
    command = _command()
    failures = []
    for find_target in _targets(world):
        try:
            _run_on_file(command, find_target(), world)
        except (StreamHubError, util.CommandError) as error:
            failures.append(str(error))
    if failures:
        raise util.CommandError("\n".join(failures))


def _run_on_file(command: str, target: Target, world: World) -> None:
    if command == "upgrade":
        _upgrade(target, world)
    elif command in _WRITING:
        _change_adopted(command, target, world)
    else:
        _read(target, world)


def _upgrade(target: Target, world: World) -> None:
    if target.files is not None:
        require_no_stray_wal(target.path)
        create_empty(target.path, like=target.owner)
    found = look_for_upgrade(target.path, world)
    if found.revision is not None:
        reached = _destination(found.revision)
        importing = target.files is not None and reached == world.head and imports_pending(found)
        if reached == found.revision and not importing:
            return
    if target.files is not None and VODS_MARKER not in found.markers:
        require_importable(target.files.vods_db)
    if found.state is not State.MISSING:
        back_up(target.path, like=target.owner)

    def finish(raw: sqlite3.Connection) -> Account:
        at_head = read_state(raw, world, target.path).state is State.CURRENT
        return import_legacy(raw, target.files) if target.files and at_head else Account()

    transform(target.path, world, run=lambda c: _run_steps(c, world), finish=finish)


def _change_adopted(command: str, target: Target, world: World) -> None:
    change_adopted(
        Change(command.removeprefix("do_"), target.path, world, target.owner),
        destination=_destination,
        run=lambda connection: _run_steps(connection, world),
        guarded=command == "downgrade" and _arguments().get("drop-rows") != ["yes"],
    )


def _destination(revision: str) -> str | None:
    """Return where the command's steps lead a file that stands at `revision`."""
    opened = context.get_context()
    steps = list(opened.opts["fn"]((revision,), opened))
    if not steps:
        return revision
    after = steps[-1].to_revisions
    return str(after[0]) if after else None


def _read(target: Target, world: World) -> None:
    if not target.path.exists():
        raise missing(target.path)
    with translated(target.path, "reading"), closing(open_read_only(target.path)) as raw:
        engine = engine_on(raw)
        if target.files is not None:
            context.config.print_stdout("%s:", target.files.app)
        with engine.connect() as connection:
            connection.info[READ_ONLY] = True
            with connection.begin():
                _run_steps(connection, world, dont_mutate=True)


def _targets(world: World) -> list[Callable[[], Target]]:
    """Return what finds each target; finding one can fail, and does not stop the rest."""
    arguments = _arguments()
    if "path" in arguments:
        return [partial(_named_target, Path(path).absolute()) for path in arguments["path"]]
    root = arguments.get("data_dir", [os.environ.get("DATA_DIR", ".")])[-1]
    place = DataDir.find(Path(root))
    if world is GLOBAL:
        return [partial(Target, place.global_db, place.global_db)]
    registry = read_registry(place.global_db)
    names = arguments.get("app", [])
    if not names:
        known = ", ".join(registry.ids) or "none"
        message = f"name an app by -x app=NAME, or all by -x app=all; apps of {place.root}: {known}"
        raise util.CommandError(message)
    chosen = list(registry.ids) if "all" in names else names
    return [partial(_app_target, place, registry, name) for name in chosen]


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
    return Target(path, path)


def _app_target(place: DataDir, registry: Registry, name: str) -> Target:
    registry.require([name])
    path = place.app_db(name)
    return Target(path, place.global_db, registry.legacy_files(name, place.legacy_db(name)))


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

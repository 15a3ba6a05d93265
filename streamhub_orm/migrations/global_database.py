"""The global database, in a file or on a server: its state and its way to head, by one name each.

psycopg is imported only where there is a server.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import reading, translated
from streamhub_orm.engine.fence import find_fence, refuse_fence
from streamhub_orm.errors import (
    ControlPlaneMissingError,
    CorruptDatabaseError,
    InterruptedWriteError,
    NotADatabaseError,
    PromotedDatabaseError,
)
from streamhub_orm.legacy.sources import NO_ROWS, GlobalState, read_global_state
from streamhub_orm.migrations.global_file import (
    refuse_empty_global,
    rehearse_global_file,
    upgrade_global_file,
)
from streamhub_orm.migrations.legacy_files import require_legacy_tables
from streamhub_orm.migrations.revisions import route_down
from streamhub_orm.migrations.states import FileState, State, look_at, look_for_upgrade
from streamhub_orm.migrations.upgrading import Upgraded
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.registry import Registry, read_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.postgresql.engine import ServerEngine


def look_at_global(place: DataDir) -> FileState:
    """Find its state; one that cannot be used has the error that says why."""
    if place.global_url is None:
        return look_at(place.global_db, GLOBAL)
    from streamhub_orm.migrations.server import look_at_server  # noqa: PLC0415 - an extra

    with closing(engine_of(place)) as engine:
        return look_at_server(engine)


def look_for_global_upgrade(
    place: DataDir, *, recover: bool
) -> tuple[FileState, Registry, GlobalState]:
    """Find state, apps and legacy rows; raise where an upgrade must not touch it.

    With `recover`, a journal that a killed writer left in the file is rolled back first.
    """
    if place.global_url is not None:
        found = look_at_global(place)
        if found.state is State.MISSING:
            require_no_file_in_use(place)
            return found, Registry(str(place.global_url), {}, split_done=True), NO_ROWS
        if found.error is not None:
            raise found.error
        return found, read_registry(place), NO_ROWS
    found = look_for_upgrade(place.global_db, GLOBAL, recover=recover)
    refuse_empty_global(place)
    registry = read_registry(place)
    with reading(place.global_db) as connection:
        refuse_fence(connection, place.global_db)
        legacy = read_global_state(connection)
        if legacy.rows.counts["streams"] or legacy.rows.counts["vods"]:
            require_legacy_tables(connection, place.global_db)
    return found, registry, legacy


def upgrade_global(place: DataDir, *, backup: Path | None = None) -> Upgraded:
    """Bring it to head; idempotent. A file that holds data is backed up first; see `backup`."""
    if place.global_url is None:
        return upgrade_global_file(place.global_db, backup=backup)
    from streamhub_orm.migrations.server import upgrade_server  # noqa: PLC0415 - an extra

    require_no_file_in_use(place)
    with closing(engine_of(place)) as engine:
        return upgrade_server(engine)


def rehearse_global(place: DataDir) -> Upgraded:
    """Tell what an upgrade would do; nothing of the installation is touched."""
    if place.global_url is None:
        return rehearse_global_file(place.global_db)
    found = look_at_global(place)
    if found.state is State.CURRENT:
        return Upgraded.unchanged(found)
    return Upgraded(found.revision, GLOBAL.head)


def downgrade_global_on_server(
    place: DataDir, target: str, *, drop_rows: bool, dry_run: bool
) -> Upgraded:
    """Take a control plane down to `target` in one transaction; a dry run rolls it back.

    Raises what `change_server` raises.
    """
    from streamhub_orm.migrations.server import change_server  # noqa: PLC0415 - an extra

    route = route_down(GLOBAL, target)
    with global_faults(place, "taking it down"), closing(engine_of(place)) as engine:
        return change_server(engine, route, "downgrade", drop_rows=drop_rows, dry_run=dry_run)


def require_no_file_in_use(place: DataDir) -> None:
    """Raise where an empty server would take the place of a global database in a file.

    Its apps would be unregistered at once: it is to be promoted.
    """
    found = look_at_global(place)
    if found.state is not State.MISSING or not place.global_db.exists():
        return
    if look_at(place.global_db, GLOBAL).state is State.MISSING:
        return
    raise ControlPlaneMissingError(
        str(place.global_url),
        f"an empty database, and the installation's global database in {place.global_db}",
        "one that this file was promoted to",
        "Move it there with `streamhub-db global promote`, or leave the URL out.",
    )


def refuse_promoted(place: DataDir) -> None:
    """Raise `PromotedDatabaseError` where the file is to be used, and a server has its rows."""
    words = find_promotion(place)
    if words is not None:
        raise PromotedDatabaseError(place.global_db, words)


def find_promotion(place: DataDir) -> str | None:
    """Return in words where the rows of the file are by now; None where they are in it.

    What a damaged file holds nobody can say, and of one that is not used nobody asks: None.
    """
    if place.global_url is not None or not place.global_db.exists():
        return None
    damaged = (CorruptDatabaseError, NotADatabaseError, InterruptedWriteError)
    with suppress(*damaged), reading(place.global_db) as connection:
        return find_fence(connection)
    return None


@contextmanager
def global_faults(place: DataDir, doing: str) -> Iterator[None]:
    """Turn errors of a driver, SQLAlchemy and the operating system into ours, with its name."""
    if place.global_url is None:
        with translated(place.global_db, doing):
            yield
        return
    from streamhub_orm.postgresql.faults import told  # noqa: PLC0415 - an extra

    with told(str(place.global_url), doing):
        yield


@contextmanager
def reading_server(place: DataDir, doing: str) -> Iterator[sa.Connection]:
    """Yield a connection to the control plane in one transaction that only reads: one snapshot.

    Raises a `ControlPlaneError`, which says that it came while `doing` something.
    """
    with (
        global_faults(place, doing),
        closing(engine_of(place)) as engine,
        engine.connect(read_only=True) as connection,
        connection.begin(),
    ):
        yield connection


def engine_of(place: DataDir) -> ServerEngine:
    """Return an engine on the control plane; the caller closes it."""
    from streamhub_orm.postgresql.engine import ServerEngine  # noqa: PLC0415 - an extra

    assert place.global_url is not None  # noqa: S101 - the caller looked
    return ServerEngine(place.global_url)

"""Control plane in an archive: its rows as a SQLite file of one moment, and back from there.

The file is at head, so the archive is restored with or without a server, and verified, compared and
rehearsed by the same means as any other.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.connections import open_read_only, open_scratch, reading
from streamhub_orm.engine.integrity import refuse_damage
from streamhub_orm.errors import (
    ControlPlaneOutdatedError,
    ControlPlaneRowsError,
    DatabaseInUseError,
    PromotionError,
    UnheldRowsError,
    UnusableArchiveError,
)
from streamhub_orm.migrations.global_database import engine_of
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.postgresql.engine import ServerEngine
    from streamhub_orm.promotion.copying import Server

    Progress = Callable[[str, int, int], None]

_ELSEWHERE: Final = (
    "Nothing was touched. Restore it without STREAMHUB_GLOBAL_URL into a folder of its own, bring "
    "that to head with `streamhub-db upgrade`, then move it with `streamhub-db global promote`."
)


@contextmanager
def copied_control_plane(
    place: DataDir, target: Path, progress: Progress = lambda *_: None
) -> Iterator[Server]:
    """Copy the control plane into a new SQLite file at head; yield the connection that read it.

    Its transaction is one snapshot, and still open. Every table is compared by the number and hash
    of its rows. Raises a `ControlPlaneError`, or a `DatabaseFileError` of the new file.
    """
    from streamhub_orm.promotion.copying import fill_file  # noqa: PLC0415 - an extra
    from streamhub_orm.promotion.sides import READING, server_transaction  # noqa: PLC0415

    with closing(engine_of(place)) as engine:
        _require_head(engine)
        with server_transaction(engine, READING) as server:
            _fill_new(target, server, engine.server, progress, fill_file)
            yield server


def _fill_new(
    target: Path,
    server: Server,
    name: str,
    progress: Progress,
    fill: Callable[[Server, sqlite3.Connection, str, Progress], object],
) -> None:
    target.write_bytes(template(GLOBAL))
    with closing(open_scratch(target)) as file:
        file.execute("BEGIN")
        fill(server, file, name, progress)
        file.execute("COMMIT")
        refuse_damage(target, file)


def _require_head(engine: ServerEngine) -> None:
    """Raise where a copy by the models of this release would not be the whole."""
    from streamhub_orm.migrations.server import require_server  # noqa: PLC0415 - an extra

    found = require_server(engine)
    if found.state is not State.CURRENT:
        todo = "Use the release that wrote it, or run `streamhub-db upgrade`; then run again."
        raise ControlPlaneOutdatedError(
            engine.server, f"revision {found.revision}", f"revision {GLOBAL.head}", todo
        )


def require_rows_for_server(archive: Path, name: str, staged: Path) -> None:
    """Bring the unpacked global database to head; raise where no server could hold its rows.

    Its apps are looked for beside it. Raises `UnusableArchiveError`, which names rows by their key.
    """
    from streamhub_orm.promotion.survey import (  # noqa: PLC0415 - an extra
        refuse_unheld,
        refuse_unready,
    )

    upgrade_global_file(staged, scratch=True)
    place = DataDir(staged.parent, staged)
    try:
        with reading(staged) as file:
            refuse_unready(place, file)
            refuse_unheld(place, file, lambda *_: None)
    except PromotionError as error:
        found = f"{name} with {error.found}"
        raise UnusableArchiveError(archive, found, error.expected, _ELSEWHERE) from error
    except UnheldRowsError as error:
        found = f"{name} with {error.found}"
        raise UnusableArchiveError(archive, found, "rows that both hold", _ELSEWHERE) from error


@dataclass
class ServerRows:
    """Rows of a control plane, held against those of a file that are to take their place."""

    server: str
    database: str = ""
    """Its name, by which the operator permits that rows are replaced."""
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Numbers of rows, on the server and in the file, of each table that differs."""
    is_fresh: bool = True
    """True where it holds no row but those of its start."""

    @property
    def must_be_named(self) -> bool:
        """True where rows would be lost."""
        return bool(self.rows) and not self.is_fresh

    def require_named(self, name: str | None) -> None:
        """Raise `ControlPlaneRowsError` where rows would be lost that nobody gave up by name."""
        if self.must_be_named and name != self.database:
            tables = [
                f"{table} ({now} now, {then} then)" for table, (now, then) in self.rows.items()
            ]
            raise ControlPlaneRowsError(self.server, tables, self.database)


def compare_with_server(place: DataDir, staged: Path) -> ServerRows:
    """Compare the rows of a file at head with those of the control plane; nothing is written.

    Raises a `ControlPlaneError` where it cannot take them.
    """
    from streamhub_orm.promotion.sides import (  # noqa: PLC0415 - an extra
        READING,
        look_at_server_side,
        server_transaction,
    )

    with closing(engine_of(place)) as engine, closing(open_read_only(staged)) as file:
        side = look_at_server_side(engine)
        side.refuse_unless_fit(engine.server)
        if side.state is State.MISSING:
            return ServerRows(engine.server)
        _require_head(engine)
        with server_transaction(engine, READING) as server:
            return _compare(server, file, engine.server)


def _compare(server: Server, file: sqlite3.Connection, name: str) -> ServerRows:
    from streamhub_orm.promotion.copying import (  # noqa: PLC0415 - an extra
        count_of_server,
        hash_of_file,
        hash_of_server,
    )
    from streamhub_orm.promotion.rows import rows_of_tables  # noqa: PLC0415
    from streamhub_orm.promotion.sides import read_server_side  # noqa: PLC0415

    def unheard(*_: object) -> None:
        pass

    row = server.execute("SELECT current_database()").fetchone()
    assert row is not None  # noqa: S101 - one row in any case
    is_fresh = not read_server_side(server, State.CURRENT, GLOBAL.head).filled
    found = ServerRows(name, str(row[0]), is_fresh=is_fresh)
    for rows in rows_of_tables():
        there = hash_of_server(server, rows, count_of_server(server, rows), unheard)
        then = hash_of_file(file, rows, unheard)
        if there != then:
            found.rows[rows.name] = (there.rows, then.rows)
    return found


@contextmanager
def rows_put_on_server(
    place: DataDir, staged: Path, kept: Path, named: str | None, progress: Progress
) -> Iterator[ServerRows]:
    """Put the rows of a file at head in place of those of the control plane, all or nothing.

    In one transaction, which is committed once the block has ended well; by then all is compared.
    What the server held is in the new SQLite file `kept` before; an empty database gets its tables
    first. Raises `ControlPlaneRowsError` where rows would be lost that `named`, the name of the
    database, does not give up, `DatabaseInUseError` where a node is connected, or another
    `ControlPlaneError`; then nothing was changed, unless it is a `CommitInDoubtError`.
    """
    from streamhub_orm.migrations.server import upgrade_server  # noqa: PLC0415 - an extra
    from streamhub_orm.postgresql.measures import nodes_at_work  # noqa: PLC0415
    from streamhub_orm.promotion.copying import fill_file, fill_server  # noqa: PLC0415
    from streamhub_orm.promotion.sides import (  # noqa: PLC0415
        lock_tables,
        look_at_server_side,
        server_transaction,
    )

    with closing(engine_of(place)) as engine, closing(open_read_only(staged)) as file:
        side = look_at_server_side(engine)
        side.refuse_unless_fit(engine.server)
        if side.state is State.MISSING:
            upgrade_server(engine)
        _require_head(engine)
        with server_transaction(engine) as server:
            lock_tables(server, "ACCESS EXCLUSIVE")
            found = _compare(server, file, engine.server)
            found.require_named(named)
            if found.rows:
                users = nodes_at_work(server)
                if users and not found.is_fresh:
                    raise DatabaseInUseError([f"{engine.server} by {user}" for user in users])
                _fill_new(kept, server, engine.server, progress, fill_file)
                fill_server(server, file, engine.server, progress)
            yield found

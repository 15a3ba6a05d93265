"""`streamhub-db global promote`: the global database moves from its file to a server.

At every instant at most one side takes writes. The rows are copied in one transaction of the
server; before that is committed, the file takes no writes any more, and after it none again. See
docs/adr/0019-promotion-of-the-global-database.md.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import remove_leftovers
from streamhub_orm.engine.backups import back_up, list_backups
from streamhub_orm.engine.changes import command
from streamhub_orm.engine.connections import open_read_only, reading, snapshot, translated
from streamhub_orm.engine.integrity import is_intact
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import (
    CommitInDoubtError,
    ControlPlaneDemotedError,
    HalfDoneError,
    PromotionError,
    StreamHubError,
)
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.migrations.states import State, look_for_upgrade
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.postgresql.fence import Mark, Move, read_mark, write_mark
from streamhub_orm.promotion.copying import fill_server, hash_of_file
from streamhub_orm.promotion.rows import UnheldError, rows_of_tables
from streamhub_orm.promotion.sides import (
    lock_tables,
    look_at_server_side,
    mark_in,
    place_of,
    present,
    read_file_mark,
    read_server_side,
    server_transaction,
    write_file_mark,
)
from streamhub_orm.promotion.survey import list_left, refuse_unheld, refuse_unready
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    import sqlite3

    from streamhub_orm.promotion.copying import Copied, Progress, Server
    from streamhub_orm.promotion.sides import ServerSide
    from streamhub_orm.promotion.survey import Left


@dataclass
class Promotion:
    """Outcome of a promotion, or in a dry run what it would do and refuse."""

    data_dir: Path
    global_db: Path
    server: str
    dry_run: bool = False
    changed: bool = False
    backup: Path | None = None
    tables: list[Copied] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    """What stays in the file alone."""
    refusals: list[StreamHubError] = field(default_factory=list)
    """In a dry run: what the real one would be refused for."""

    @property
    def ok(self) -> bool:
        """True where it was done, or would be."""
        return not self.refusals

    def to_json(self) -> dict[str, Any]:
        """Return the document that `global promote --json` prints."""
        details: dict[str, Any] = {"rows": [], "more": 0}
        for error in self.refusals:
            details |= error.details
        return {
            "ok": self.ok,
            "error": str(self.refusals[0]) if self.refusals else None,
            "data_dir": str(self.data_dir),
            "dry_run": self.dry_run,
            "global_db": str(self.global_db),
            "server": self.server,
            "changed": self.changed,
            "backup": None if self.backup is None else str(self.backup),
            "tables": [table._asdict() for table in self.tables],
            "left": [left._asdict() for left in self.left],
            "refusals": [str(error) for error in self.refusals],
            **details,
        }


def promote(
    data_dir: Path,
    url: ServerUrl,
    *,
    dry_run: bool = False,
    lock_timeout_seconds: float = 0.0,
    progress: Progress = lambda *_: None,
) -> Promotion:
    """Move the global database of an installation to a server; idempotent.

    One that was killed is finished. In a dry run nothing is touched, and what speaks against it is
    in the outcome. Raises a `StreamHubError` where it is refused or fails; then the file takes
    writes as before. `HalfDoneError` where nobody can say whether the server has the rows: until it
    is finished or undone, neither side takes writes.
    """
    place = DataDir.find(data_dir, url)
    with closing(ServerEngine(url)) as engine:
        if dry_run:
            return _rehearse(place, engine, progress)
        _require_file(place)
        with run_lock(place.lock_path, timeout_seconds=lock_timeout_seconds):
            remove_leftovers(place.global_db.parent)
            return _Promotion(place, engine, progress).run()


def undo_promotion(data_dir: Path, url: ServerUrl) -> Promotion:
    """Let the file take writes again, where a promotion was killed before the server had the rows.

    Raises `PromotionError` where the server has them, or may.
    """
    place = DataDir.find(data_dir, url)
    _require_file(place)
    path = place.global_db
    with closing(ServerEngine(url)) as engine, run_lock(place.lock_path):
        with reading(path) as file:
            mark = mark_in(file)
        if mark is None or mark.state is not Move.PROMOTING:
            return Promotion(place.root, path, engine.server)
        _require_same_server(path, mark, engine.server)
        if look_at_server_side(engine).state is not State.MISSING:
            with server_transaction(engine) as server:
                # Waits for a transaction that a killed run may still have under way there.
                lock_tables(server, "ACCESS EXCLUSIVE")
                if is_of(mark, read_mark(server)):
                    todo = "Finish it with `global promote`; `global demote` is the way back."
                    found = f"that {engine.server} has its rows"
                    raise PromotionError(path, found, "a server without them", todo)
        write_file_mark(path, None)
        return Promotion(place.root, path, engine.server, changed=True)


def _require_file(place: DataDir) -> None:
    """Raise where there is no file to promote, or SQLite must not touch it."""
    found = look_for_upgrade(place.global_db, GLOBAL)
    if found.error is not None:
        raise found.error


def _require_same_server(path: Path, mark: Mark, server: str) -> None:
    if mark.other != server:
        todo = f"Finish or undo that one first: give {mark.other}, as it was given then."
        raise PromotionError(path, f"a promotion to {mark.other} under way", "none", todo)


def is_of(mark: Mark | None, other: Mark | None) -> bool:
    """Tell whether two marks are of one promotion."""
    return mark is not None and other is not None and mark.id == other.id


def _rehearse(place: DataDir, engine: ServerEngine, progress: Progress) -> Promotion:
    done = Promotion(place.root, place.global_db, engine.server, dry_run=True)
    path = place.global_db
    found = look_for_upgrade(path, GLOBAL, recover=False)
    if found.error is not None:
        raise found.error

    def look_at_file() -> None:
        with reading(path) as file, snapshot(file):
            done.left += list_left(file)
            refuse_unready(place, file)

    def look_at_rows() -> None:
        if found.state is State.CURRENT:
            with reading(path) as file, snapshot(file):
                refuse_unheld(place, file, progress)
                done.tables += [hash_of_file(file, it, progress) for it in rows_of_tables()]

    def look_at_other_side() -> None:
        other, mark = look_at_server_side(engine), read_file_mark(path)
        if mark is not None and mark.state is Move.PROMOTED:
            require_promoted_here(path, mark, other, engine.server)
        elif not is_of(mark, other.mark):
            other.refuse_unless_fit(engine.server)
            other.refuse_unless_empty(engine.server)

    for look in (look_at_file, look_at_rows, look_at_other_side):
        try:
            look()
        except StreamHubError as error:
            done.refusals.append(error)
    return done


def require_promoted_here(path: Path, mark: Mark, other: ServerSide, server: str) -> None:
    """Raise unless the server has the rows that this file's mark speaks of, and takes writes."""
    if other.mark is None or not is_of(mark, other.mark):
        todo = "`global demote` brings it back from there first."
        expected = f"it promoted to {server}, or not at all"
        raise PromotionError(path, f"it promoted to {mark.other}", expected, todo)
    if other.mark.state is not Move.PROMOTED:
        raise ControlPlaneDemotedError(server, other.mark.words)


class _Promotion:
    """One run, under the installation's lock."""

    def __init__(self, place: DataDir, engine: ServerEngine, progress: Progress) -> None:
        self._place, self._path = place, place.global_db
        self._engine, self._progress = engine, progress
        self._done = Promotion(place.root, place.global_db, engine.server)
        self._fenced = False
        """True once this run has taken the writes from the file."""
        self._made: Path | None = None
        """The backup that this run has made."""

    def run(self) -> Promotion:
        """Do what is left to do."""
        other = look_at_server_side(self._engine)
        with translated(self._path, "reading"), closing(open_read_only(self._path)) as file:
            mark = mark_in(file)
            if mark is not None and mark.state not in {Move.PROMOTING, Move.PROMOTED}:
                mark = None  # of an earlier way there and back
            if mark is not None and (mark.state is Move.PROMOTED or is_of(mark, other.mark)):
                require_promoted_here(self._path, mark, other, self._engine.server)
            else:
                self._require_ready(file, mark, other)
                upgrade_server(self._engine)
                mark = self._move(file, mark)
        if mark.state is not Move.PROMOTED:
            self._end(mark)
        return self._done

    def _require_ready(
        self, file: sqlite3.Connection, mark: Mark | None, other: ServerSide
    ) -> None:
        if mark is not None:
            _require_same_server(self._path, mark, self._engine.server)
        other.refuse_unless_fit(self._engine.server)
        other.refuse_unless_empty(self._engine.server)
        refuse_unready(self._place, file)
        self._done.left = list_left(file)

    def _move(self, file: sqlite3.Connection, mark: Mark | None) -> Mark:
        """Copy the rows, take the writes from the file, and commit the rows on the server."""
        mark = mark or Mark(uuid4().hex, Move.PROMOTING, self._engine.server, present())
        try:
            with server_transaction(self._engine) as server:
                self._take(server, mark)
                if read_mark(server) is None:
                    mark = self._copy_and_fence(server, file, mark)
                    source = place_of(self._path)
                    promoted = replace(mark, state=Move.PROMOTED, other=source, backup=None)
                    write_mark(server, replace(promoted, since=present()))
        except CommitInDoubtError as error:
            raise self._half(error) from error
        except BaseException:
            if self._fenced:
                self._lift()
            elif self._made is not None:
                self._made.unlink(missing_ok=True)  # nothing was changed, so nothing needs it
            raise
        return mark

    def _take(self, server: Server, mark: Mark) -> None:
        """Take the server's tables for this transaction, and look again at what they hold.

        A killed run may have had its commit under way at the first look.
        """
        lock_tables(server, "ACCESS EXCLUSIVE")
        found = read_server_side(server, State.CURRENT, GLOBAL.head)
        if not is_of(mark, found.mark):
            found.refuse_unless_empty(self._engine.server)

    def _copy_and_fence(self, server: Server, file: sqlite3.Connection, mark: Mark) -> Mark:
        """Copy before the file is fenced, and once more if somebody has written until then."""
        version = self._copy(server, file)
        if self._done.backup is None:
            self._done.backup = self._back_up(mark)
        mark = replace(mark, backup=str(self._done.backup))
        moved = []

        def look() -> None:
            moved.append(_version(file) != version)

        write_file_mark(self._path, mark, holding=look)
        self._fenced = True
        if moved[0]:
            self._copy(server, file)
        return mark

    def _copy(self, server: Server, file: sqlite3.Connection) -> int:
        """Copy all tables as one look at the file finds them, and compare; return its version."""
        with snapshot(file):
            version = _version(file)
            refuse_unheld(self._place, file, self._progress, only_keys=True)
            try:
                copied = fill_server(server, file, self._engine.server, self._progress)
            except UnheldError:
                refuse_unheld(self._place, file, self._progress)
                raise
        self._done.tables = copied
        return version

    def _back_up(self, mark: Mark) -> Path:
        """Return the backup of a killed run, where it is whole, or a new one."""
        if mark.backup is not None:
            recorded = self._path.with_name(Path(mark.backup).name)
            if recorded.name.startswith(f"{self._path.name}.bak-") and is_intact(recorded):
                return recorded
        before = list_backups(self._path)
        backup = back_up(self._path)
        self._made = None if backup in before else backup
        return backup

    def _lift(self) -> None:
        """Let the file take writes again: the server has not got its rows."""
        try:
            write_file_mark(self._path, None)
        except StreamHubError as error:
            raise self._half(error) from error

    def _end(self, mark: Mark) -> None:
        """Say in the file that the server has its rows."""
        try:
            promoted = replace(mark, state=Move.PROMOTED, since=present())
            write_file_mark(self._path, promoted)
        except StreamHubError as error:
            raise self._half(error) from error
        self._done.changed = True

    def _half(self, error: StreamHubError) -> HalfDoneError:
        url = shown_url(self._engine.url)
        finish = command(self._place.root, "global", "promote", *url)
        undo = command(self._place.root, "global", "promote", *url, "--undo")
        old = [f"{self._path}, which takes no writes now"]
        return HalfDoneError(error, [], old, self._done.backup, finish, undo)


def shown_url(url: ServerUrl) -> list[str]:
    """Return the argument that names a server in a command; none where the environment does."""
    if url == ServerUrl.load():
        return []
    shown = url.url.set(password=None).difference_update_query(("password", "sslpassword"))
    return [shown.render_as_string()]


def _version(file: sqlite3.Connection) -> int:
    """Return a number that changes with every commit of somebody else."""
    return int(file.execute("PRAGMA data_version").fetchone()[0])

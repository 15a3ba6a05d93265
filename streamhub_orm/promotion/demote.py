"""`streamhub-db global demote`: the global database moves from a server back into a file.

The server takes no writes any more before the file is there, and none again after it. See
docs/adr/0019-promotion-of-the-global-database.md.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import (
    file_mode,
    finish,
    make_folder,
    publish,
    remove_leftovers,
    temporary_beside,
)
from streamhub_orm.engine.backups import copy_verified, time_stamp
from streamhub_orm.engine.changes import command
from streamhub_orm.engine.connections import (
    is_busy,
    open_scratch,
    roll_back_dead_write,
    translated,
)
from streamhub_orm.engine.database_files import mark_as_wal, require_no_stray_wal
from streamhub_orm.engine.exchange import exchange, hold_the_same, require_room
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.engine.integrity import refuse_damage
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import (
    CommitInDoubtError,
    ControlPlaneDemotedError,
    ControlPlaneFaultError,
    ControlPlaneMissingError,
    ControlPlaneOutdatedError,
    HalfDoneError,
    LockedDatabaseError,
    PromotionError,
    StreamHubError,
)
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.postgresql.fence import (
    Mark,
    Move,
    lift_fence,
    raise_fence,
    read_mark,
    write_mark,
)
from streamhub_orm.promotion.copying import fill_file
from streamhub_orm.promotion.promote import is_of, shown_url
from streamhub_orm.promotion.sides import (
    READING,
    lock_tables,
    look_at_server_side,
    place_of,
    present,
    read_file_mark,
    server_transaction,
    set_mark,
)

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.promotion.copying import Copied, Progress, Server
    from streamhub_orm.promotion.sides import ServerSide
    from streamhub_orm.server_url import ServerUrl

_ASIDE: Final = ".promoted-"
_PRIVATE: Final = 0o600


@dataclass
class Demotion:
    """Outcome of a demotion."""

    data_dir: Path
    global_db: Path
    server: str
    changed: bool = False
    set_aside: Path | None = None
    """Where the file is kept that was in the place of the global database until now."""
    tables: list[Copied] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `global demote --json` prints."""
        return {
            "ok": True,
            "error": None,
            "data_dir": str(self.data_dir),
            "global_db": str(self.global_db),
            "server": self.server,
            "changed": self.changed,
            "set_aside": None if self.set_aside is None else str(self.set_aside),
            "tables": [table._asdict() for table in self.tables],
        }


def demote(
    data_dir: Path,
    url: ServerUrl,
    *,
    lock_timeout_seconds: float = 0.0,
    progress: Progress = lambda *_: None,
) -> Demotion:
    """Move the global database from a server into the file of an installation; idempotent.

    One that was killed is finished. The file takes what its own tables and columns held at the
    promotion, if it is the one that was promoted. Nobody may have it open. Raises a
    `StreamHubError` where it is refused or fails; then the server takes writes as before.
    `HalfDoneError` where that could not be brought about.
    """
    place = DataDir.find(data_dir, url)
    make_folder(place.global_db.parent)
    with (
        closing(ServerEngine(url)) as engine,
        run_lock(place.lock_path, timeout_seconds=lock_timeout_seconds),
    ):
        remove_leftovers(place.global_db.parent)
        return _Demotion(place, engine, progress).run()


def undo_demotion(data_dir: Path, url: ServerUrl) -> Demotion:
    """Let the server take writes again, where a demotion was killed before the file was there.

    Raises `PromotionError` where the file is there, and `ControlPlaneDemotedError` where it was
    begun elsewhere.
    """
    place = DataDir.find(data_dir, url)
    make_folder(place.global_db.parent)
    with closing(ServerEngine(url)) as engine, run_lock(place.lock_path):
        found = _Demotion(place, engine, lambda *_: None)
        found.look()
        if found.is_in_place:
            todo = "Finish it with `global demote`; `global promote` moves it to a server anew."
            expected = "a file that does not hold it yet"
            raise PromotionError(place.global_db, "the global database in it", expected, todo)
        changed = found.under_way is not None
        if changed:
            found.give_back()
        return Demotion(place.root, place.global_db, engine.server, changed)


class _Demotion:
    """One run, under the installation's lock."""

    def __init__(self, place: DataDir, engine: ServerEngine, progress: Progress) -> None:
        self._place, self._path = place, place.global_db
        self._engine, self._progress = engine, progress
        self._done = Demotion(place.root, place.global_db, engine.server)
        self._was: Mark | None = None
        """What the server said before."""
        self._is_there = False
        """True where a file is in its place."""
        self.under_way: Mark | None = None
        """What it says of a demotion to this file."""
        self.is_in_place = False
        """True where the file has the rows already, and takes writes."""

    def run(self) -> Demotion:
        """Do what is left to do."""
        if self.look():
            return self._done
        if not self.is_in_place:
            try:
                if self.under_way is None:
                    self._begin()
            except CommitInDoubtError as error:
                raise self._half(error) from error
            try:
                self._move()
            except BaseException as error:
                if self.is_in_place:
                    raise self._half(error, new=[str(self._path)]) from error
                self._give_back_after(error)
                raise
        self._end()
        return self._done

    def look(self) -> bool:
        """Find how far a demotion is; tell whether one to this file is done. Raises a refusal."""
        other = look_at_server_side(self._engine)
        self._was = other.mark
        _require_head(other, self._engine.server)
        if self._path.with_name(f"{self._path.name}-journal").exists():
            roll_back_dead_write(self._path)
        require_no_stray_wal(self._path)
        self._is_there = is_there = look_at(self._path, GLOBAL).state is not State.MISSING
        mark = read_file_mark(self._path) if is_there else None
        if other.mark is not None and other.mark.state in {Move.DEMOTING, Move.DEMOTED}:
            is_ours = mark is not None and is_of(mark, other.mark)
            self.is_in_place = is_ours and mark is not None and mark.state is Move.DEMOTED
            if other.mark.state is Move.DEMOTED and self.is_in_place:
                return True
            # A machine may have got another name since; the file that was promoted is known by its
            # mark, and a new one by its place alone.
            is_here = other.mark.other == place_of(self._path)
            is_here = is_here or (is_ours and not other.mark.is_new_file)
            if other.mark.state is Move.DEMOTED or not is_here:
                raise ControlPlaneDemotedError(self._engine.server, other.mark.words)
            self.under_way = other.mark
        if is_there and not self.is_in_place:
            self._require_promoted(mark, other)
        return False

    def _require_promoted(self, mark: Mark | None, other: ServerSide) -> None:
        promoted = {Move.PROMOTING, Move.PROMOTED}
        if mark is None or not is_of(mark, other.mark) or mark.state not in promoted:
            found = f"it promoted to {mark.other}" if mark else "a global database of its own"
            expected = f"the file that was promoted to {self._engine.server}, or none"
            todo = "Nothing was changed. Move it away, with its -wal and -shm, then run again."
            raise PromotionError(self._path, found, expected, todo)

    def _begin(self) -> None:
        """Take the writes from the server; who is at work there ends first."""
        known = self._was.id if self._was else uuid4().hex
        place = place_of(self._path)
        mark = Mark(known, Move.DEMOTING, place, present(), is_new_file=not self._is_there)
        with server_transaction(self._engine) as server:
            lock_tables(server, "SHARE ROW EXCLUSIVE")
            if read_mark(server) != self._was:
                self._refuse_moved()
            _fence(server, mark)
        self.under_way = mark

    def _refuse_moved(self) -> None:
        todo = "Nothing was changed. Look with `global status`, then run again."
        found = "another promotion or demotion at the same time"
        raise ControlPlaneFaultError(self._engine.server, found, "one at a time", todo)

    def _move(self) -> None:
        with translated(self._path, "building it"), temporary_beside(self._path) as temporary:
            if self._is_there:
                copy_verified(self._path, temporary)
            else:
                temporary.write_bytes(template(GLOBAL))
            self._fill(temporary)
            mark_as_wal(temporary)
            mode = file_mode(self._path) if self._path.exists() else _PRIVATE
            finish(temporary, mode)
            if self._is_there:
                self._exchange(temporary)
            else:
                self._path.unlink(missing_ok=True)  # a zero-byte file that an open left
                publish(temporary, self._path, mode=mode)
            self.is_in_place = True

    def _fill(self, path: Path) -> None:
        """Give a copy of the promoted file, or an empty one, the rows of the server."""
        assert self.under_way is not None  # noqa: S101 - begun by now
        mark = Mark(self.under_way.id, Move.DEMOTED, self._engine.server, present())
        with closing(open_scratch(path)) as file:
            file.execute("BEGIN")
            set_mark(file, self._path, mark)
            file.execute("COMMIT")
        upgrade_global_file(path, scratch=True)
        with (
            server_transaction(self._engine, READING) as server,
            closing(open_scratch(path)) as file,
        ):
            file.execute("BEGIN")
            with foreign_code_set_aside(file, self._path):
                self._done.tables += fill_file(server, file, self._engine.server, self._progress)
            file.execute("COMMIT")
            refuse_damage(self._path, file)

    def _exchange(self, temporary: Path) -> None:
        self._remove_copies()
        require_room([(self._path, temporary)])
        kept = self._path.with_name(f"{self._path.name}{_ASIDE}{time_stamp()}")
        try:
            exchange(self._path, temporary, kept, lambda: None)
        except BaseException as error:
            if kept.exists() and hold_the_same(self._path, temporary):
                self.is_in_place = True
            elif kept.exists() and hold_the_same(self._path, kept):
                kept.unlink()
            if isinstance(error, sqlite3.Error) and is_busy(error):
                raise LockedDatabaseError(
                    self._path,
                    "another process that has it open",
                    "to have it alone while it is swapped",
                    "Stop whatever reads it, then run again.",
                ) from error
            raise
        self._done.set_aside = kept

    def _remove_copies(self) -> None:
        """Remove what a run set aside that was killed before it changed the file itself."""
        for copy in list(self._path.parent.glob(f"{self._path.name}{_ASIDE}*Z")):
            if not copy.is_symlink() and copy.is_file() and hold_the_same(self._path, copy):
                copy.unlink()

    def give_back(self) -> None:
        """Let the server take writes again: the file has not got its rows."""
        with server_transaction(self._engine) as server:
            lock_tables(server, "SHARE ROW EXCLUSIVE")
            assert self.under_way is not None  # noqa: S101 - the caller looked
            if not is_of(self.under_way, read_mark(server)):
                self._refuse_moved()
            lift_fence(server)
            write_mark(server, replace(self.under_way, state=Move.PROMOTED, since=present()))

    def _give_back_after(self, error: BaseException) -> None:
        try:
            self.give_back()
        except StreamHubError as second:
            raise self._half(second) from error

    def _end(self) -> None:
        """Say on the server that the file has its rows."""
        assert self.under_way is not None  # noqa: S101 - begun by now
        mark = replace(self.under_way, state=Move.DEMOTED, since=present())
        try:
            with server_transaction(self._engine) as server:
                lock_tables(server, "SHARE ROW EXCLUSIVE")
                lift_fence(server)
                _fence(server, mark)
        except StreamHubError as error:
            raise self._half(error, new=[str(self._path)]) from error
        self._done.changed = True

    def _half(self, error: BaseException, new: list[str] | None = None) -> BaseException:
        if not isinstance(error, StreamHubError):
            return error
        arguments = ("global", "demote", *shown_url(self._engine.url))
        again = command(self._place.root, *arguments)
        undo = None if new else command(self._place.root, *arguments, "--undo")
        old = [f"{self._engine.server}, which takes no writes now"]
        return HalfDoneError(error, new or [], old, self._done.set_aside, again, undo)


def _fence(server: Server, mark: Mark) -> None:
    write_mark(server, mark)
    raise_fence(server, mark.words)


def _require_head(other: ServerSide, server: str) -> None:
    if other.state is State.MISSING:
        todo = "Name the database that the installation was promoted to."
        raise ControlPlaneMissingError(server, "an empty database", "a control plane", todo)
    if other.state is not State.CURRENT:
        todo = "Run `streamhub-db upgrade` first."
        raise ControlPlaneOutdatedError(server, f"revision {other.revision}", GLOBAL.head, todo)

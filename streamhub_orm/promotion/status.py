"""`streamhub-db global status`: where the global database is, and how far a move of it is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import GLOBAL
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.postgresql.fence import Move
from streamhub_orm.promotion.promote import is_of
from streamhub_orm.promotion.sides import look_at_server_side, read_file_mark

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.postgresql.fence import Mark
    from streamhub_orm.server_url import ServerUrl

FILE: Final = "file"
SERVER: Final = "server"
_FINISH: Final = "`global {0}` finishes it, `global {0} --undo` undoes it"
_GO_ON: Final = "`global {}` finishes it"


@dataclass
class Side:
    """One side, as it was found."""

    name: str
    """The path of the file, or the server without its password."""
    state: State
    revision: str | None
    mark: Mark | None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return its part of the document."""
        return {
            "name": self.name,
            "state": str(self.state),
            "revision": self.revision,
            "move": None if self.mark is None else str(self.mark.state),
            "other": None if self.mark is None else self.mark.other,
            "since": None if self.mark is None else self.mark.since,
            "error": self.error,
        }


@dataclass
class GlobalStatus:
    """Where the global database of an installation is."""

    data_dir: Path
    where: str | None
    """`file` or `server`, which takes the writes; None where neither does, or nobody can say."""
    under_way: str | None
    """`promotion` or `demotion`, where one was begun and not finished."""
    todo: str | None
    file: Side
    server: Side | None
    """None without a URL."""

    @property
    def ok(self) -> bool:
        """True where one side takes the writes, and nothing is under way."""
        return self.where is not None and self.under_way is None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `global status --json` prints."""
        return {
            "ok": self.ok,
            "error": None,
            "data_dir": str(self.data_dir),
            "where": self.where,
            "under_way": self.under_way,
            "todo": self.todo,
            "file": self.file.to_json(),
            "server": None if self.server is None else self.server.to_json(),
        }


def read_global_status(data_dir: Path, url: ServerUrl | None) -> GlobalStatus:
    """Look at the file, and at the server where there is a URL; nothing is touched."""
    place = DataDir.find(data_dir, url)
    file = _look_at_file(place.global_db)
    server = None if place.global_url is None else _look_at_server(place.global_url)
    where, under_way, todo = _verdict(file, server)
    return GlobalStatus(place.root, where, under_way, todo, file, server)


def _look_at_file(path: Path) -> Side:
    found = look_at(path, GLOBAL)
    mark = read_file_mark(path) if found.error is None else None
    error = None if found.state is State.MISSING or found.error is None else str(found.error)
    return Side(str(path), found.state, found.revision, mark, error)


def _look_at_server(url: ServerUrl) -> Side:
    with closing(ServerEngine(url)) as engine:
        try:
            found = look_at_server_side(engine)
        except StreamHubError as error:
            return Side(engine.server, State.UNREADABLE, None, None, str(error))
        return Side(engine.server, found.state, found.revision, found.mark)


def _verdict(file: Side, server: Side | None) -> tuple[str | None, str | None, str | None]:
    """Return where it is, what is under way, and what to do."""
    there = None if server is None else server.mark
    if there is not None and there.state in {Move.DEMOTING, Move.DEMOTED}:
        return _verdict_of_demotion(file, there)
    if file.mark is not None and file.mark.state in {Move.PROMOTING, Move.PROMOTED}:
        return _verdict_of_promotion(file, server)
    if server is None:
        return (None if file.error else FILE), None, file.error
    if server.error is not None:
        return None, None, server.error
    if file.state is State.MISSING:
        return SERVER, None, None
    todo = f"{file.name} holds a global database of its own: `global promote` moves it there"
    return (FILE if server.state is State.MISSING else SERVER), None, todo


def _verdict_of_promotion(
    file: Side, server: Side | None
) -> tuple[str | None, str | None, str | None]:
    assert file.mark is not None  # noqa: S101 - the caller looked
    is_promoted = file.mark.state is Move.PROMOTED
    under_way = None if is_promoted else "promotion"
    if server is None:
        todo = f"set STREAMHUB_GLOBAL_URL to {file.mark.other}"
        return (SERVER if is_promoted else None), under_way, todo
    if server.error is not None:
        return None, under_way, server.error
    if is_of(file.mark, server.mark):
        return SERVER, under_way, None if is_promoted else _GO_ON.format("promote")
    if is_promoted:
        return None, None, f"set STREAMHUB_GLOBAL_URL to {file.mark.other}"
    return None, under_way, _FINISH.format("promote")


def _verdict_of_demotion(file: Side, there: Mark) -> tuple[str | None, str | None, str | None]:
    is_here = is_of(file.mark, there) and file.mark is not None and file.mark.state is Move.DEMOTED
    if there.state is Move.DEMOTED:
        if is_here:
            return FILE, None, "unset STREAMHUB_GLOBAL_URL"
        return None, None, f"it was demoted to {there.other}: work there"
    if is_here:
        return FILE, "demotion", _GO_ON.format("demote")
    return None, "demotion", f"{_FINISH.format('demote')}, at {there.other}"

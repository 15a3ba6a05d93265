"""A command that meets one fault, and whether what it says of it is what is there.

Exit status 3 must mean that every byte is as before; with 1 the JSON names what is new and what is
old, both are true, and the commands that finish and undo do what they say.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support import figures
from tests.support.faults import fork_server
from tests.support.faults.fork_server import Job
from tests.support.faults.shim import Mode
from tests.support.faults.state import Contents, Reader
from tests.support.installations.snapshot import fingerprint_files, list_changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import Ended, ForkServer

READER: Final = Reader()
_SIDES: Final = ("new", "old")
Found = dict[str, Contents | bytes]


@dataclass
class Attacked:
    """A command on an installation, and what undisturbed it makes of that."""

    server: ForkServer
    original: Path
    place: Path
    arguments: tuple[str, ...]
    before: Found
    after: Found
    points: int

    @classmethod
    def prepare(cls, server: ForkServer, place: Path, *arguments: str) -> Attacked:
        original = place.with_name("original")
        place.rename(original)
        shutil.copytree(original, place)
        log = place.with_name("calls")
        job = fork_server.cli(place, *arguments)
        ended = server.run(
            Job(job.action, job.arguments, job.folder, mode=Mode.FAIL_ON, log=str(log))
        )
        assert ended.status == 0, ended
        points = len(log.read_text().splitlines())
        found = cls(server, original, place, arguments, state(original), state(place), points)
        shutil.rmtree(place)
        return found

    def complaints(self, number: int, error: int) -> Iterator[str]:
        """Fail one call, and compare what is said of it with what is there."""
        shutil.copytree(self.original, self.place)
        job = fork_server.cli(self.place, *self.arguments).at(number, Mode.FAIL_ONCE, error)
        ended = self.server.run(job)
        for complaint in self._check(ended):
            yield f"at {number} ({ended.last}), status {ended.status}: {complaint}"
        shutil.rmtree(self.place)
        figures.count(f"faults of work that may end half way, status {ended.status}")

    def _check(self, ended: Ended) -> Iterator[str]:
        if ended.status == 0:
            yield from differences("all is done", state(self.place), self.after)
            return
        report = ended.report
        yield from wrong_words(ended)
        if ended.status == 3:
            changes = list_changes(fingerprint_files(self.original), fingerprint_files(self.place))
            if changes:
                yield f"refused, but changed {changes}: {report['error']}"
            return
        if ended.status != 1 or "half" not in report:
            yield f"neither refused nor told by halves: {ended}"
            return
        yield from self._check_half(report["half"], report["error"])

    def _check_half(self, half: dict[str, Any], error: str) -> Iterator[str]:
        now = state(self.place)
        new, old = ([it for said in half[key] for it in self._names(said)] for key in _SIDES)
        yield from differences("it is new", now, self.after, new)
        yield from differences("it is old", now, self.before, old)
        rest = (self.before.keys() | self.after.keys()) - set(new) - set(old)
        yield from differences("nobody speaks of it", now, self.before, sorted(rest))
        for text in (*half["new"], *half["old"], half["finish"], half["undo"] or ""):
            if text not in error:
                yield f"the message lacks {text}: {error}"
        saved = self.place.with_name("half")
        shutil.copytree(self.place, saved)
        yield from self._follow(half["finish"], self.after)
        shutil.rmtree(self.place)
        saved.rename(self.place)
        if half["undo"] is not None:
            yield from self._follow(half["undo"], self.before)
        elif half["new"]:
            yield "no way back"

    def _names(self, said: str) -> list[str]:
        """Return the files that a name stands for: itself, all of a folder, a row's database."""
        path = said.rpartition(" in ")[2].removeprefix(f"{self.place}/")
        known = self.before.keys() | self.after.keys()
        return [it for it in known if it == path or it.startswith(f"data/{path}/")]

    def _follow(self, command: str, wanted: Found) -> Iterator[str]:
        program, *arguments = shlex.split(command)
        assert program == "streamhub-db"
        ended = self.server.run(Job("cli", (*arguments, "--json"), str(self.place)))
        if ended.status:
            yield f"`{command}` ended with {ended}"
        yield from differences(f"after `{command}`", state(self.place), wanted)


def rows_of(found: Found) -> dict[tuple[str, str], object]:
    """Return the rows by file and table; statistics are none."""
    return {
        (name, table): rows
        for name, contents in found.items()
        if isinstance(contents, Contents)
        for table, rows in contents.tables.items()
        if not table.startswith("sqlite_stat")
    }


def wrong_words(ended: Ended) -> Iterator[str]:
    for words in ("report it", "nothing was", "Nothing was")[: 1 if ended.status == 3 else None]:
        if words in ended.stdout + ended.stderr:
            yield f"wrong words: {ended}"


def state(place: Path) -> Found:
    """Read every file of an installation by its name in an archive; what was set aside left out."""
    found: Found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        ours = name.startswith(("data/", "apps/")) and not name.endswith(
            ("-wal", "-shm", "-journal", ".lock")
        )
        if path.is_file() and ours and ".db." not in name:  # no backup, nothing set aside
            content = READER.read(path)
            is_database = content is not None and not content.damage and content.structure
            archived = name if name.startswith("data/") else f"data/{name}"
            assert content is None or is_database or path.name != "streamhub.db"
            found[archived] = content if is_database and content else path.read_bytes()
    return found


def differences(
    what: str, now: Found, wanted: Found, names: list[str] | None = None
) -> Iterator[str]:
    for name in sorted(now.keys() | wanted.keys()) if names is None else names:
        found, expected = now.get(name), wanted.get(name)
        if isinstance(found, Contents) and isinstance(expected, Contents):
            same = found.is_like(expected)
        else:
            same = found == expected
        if not same:
            yield f"{what}, but {name} is not so"

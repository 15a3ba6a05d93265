"""Work that ends half way says so: what is new, what is old, and the commands that lead on and back.

One call fails, at every point in turn. Exit status 3 must mean that every byte is as before; with
1 the JSON names what is new and what is old, both are true, and both commands do what they say.
"""

from __future__ import annotations

import errno
import shlex
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.archives.create import create_archive
from tests.support import figures
from tests.support.faults import fork_server, scenarios
from tests.support.faults.fork_server import Job
from tests.support.faults.shim import Mode
from tests.support.faults.state import Contents, Reader
from tests.support.installations import build_installation
from tests.support.installations.snapshot import fingerprint_files, list_changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import Ended, ForkServer

READER: Final = Reader()
DISK_FAULTS: Final = {"bad": errno.EIO, "full": errno.ENOSPC}
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
        if "report it" in report["error"] or "othing was" in report["error"]:
            yield f"wrong words: {report['error']}"
        if ended.status == 3:
            changes = list_changes(fingerprint_files(self.original), fingerprint_files(self.place))
            if changes:
                yield f"refused, but changed {changes}: {report['error']}"
            return
        if ended.status != 1 or "half" not in report:
            yield f"neither refused nor told by halves: {ended}"
            return
        yield from self._check_half(report["half"], report["error"])

    def _check_half(self, half: dict[str, list[str]], error: str) -> Iterator[str]:
        now = state(self.place)
        new, old = (sum(map(self._names, half[key]), []) for key in ("new", "old"))
        yield from differences("it is new", now, self.after, new)
        yield from differences("it is old", now, self.before, old)
        rest = (self.before.keys() | self.after.keys()) - set(new) - set(old)
        yield from differences("nobody speaks of it", now, self.before, sorted(rest))
        for text in (*half["new"], *half["old"], half["finish"], half["undo"] or ""):
            if text not in error:
                yield f"the message lacks {text}: {error}"
        saved = self.place.with_name("half")
        shutil.copytree(self.place, saved)
        yield from self._follow(half["finish"], self.after)  # type: ignore[arg-type]
        shutil.rmtree(self.place)
        saved.rename(self.place)
        if half["undo"] is not None:
            yield from self._follow(half["undo"], self.before)  # type: ignore[arg-type]
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
            assert content is None or is_database or not path.name == "streamhub.db"
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


def spoil(place: Path) -> None:
    """Lose rows, files, a setting and a secret."""
    for path in (place / "data/streamhub.db", place / "apps/live/app.db"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE scribbles (text)")
            connection.execute("INSERT INTO scribbles VALUES ('later')")
    ruined, missing = sorted(it for it in place.glob("apps/*/app.db") if "live" not in str(it))[:2]
    for suffix in ("-wal", "-shm"):
        ruined.with_name(ruined.name + suffix).unlink(missing_ok=True)
        missing.with_name(missing.name + suffix).unlink(missing_ok=True)
    ruined.write_bytes(b"ruined")
    missing.unlink()
    (place / "data/secrets.json").write_text('{"K": "another"}', "utf-8")
    (place / "apps/live/config.yaml").unlink()


@pytest.fixture
def spoiled(memory: Path) -> tuple[Path, Path]:
    """An installation that has changed since its archive was made, and the archive."""
    place = memory / "data"
    build_installation(place, era="pre_tenancy", apps=scenarios.APPS, rows=scenarios.ROWS)
    (place / "data/secrets.json").write_text('{"K": "v"}', "utf-8")
    (place / "apps/live/config.yaml").write_text("display_name: Live\n", "utf-8")
    archive = create_archive(place, memory / "archives").archive
    spoil(place)
    return place, archive


def assert_told(attacked: Attacked, every: int, error: int) -> None:
    if not attacked.server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    numbers = range(1 + error % every, attacked.points + 1, every)
    found = [it for number in numbers for it in attacked.complaints(number, error)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_restore_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, spoiled: tuple[Path, Path], fault: str
) -> None:
    place, archive = spoiled
    attacked = Attacked.prepare(server, place, "backup", "restore", str(archive))
    assert_told(attacked, 7, DISK_FAULTS[fault])


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_undo_of_a_restore_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, spoiled: tuple[Path, Path], fault: str
) -> None:
    place, archive = spoiled
    done = server.run(fork_server.cli(place, "backup", "restore", str(archive)))
    assert done.status == 0, done
    attacked = Attacked.prepare(server, place, "backup", "undo", str(done.report["set_aside"]))
    assert_told(attacked, 7, DISK_FAULTS[fault])


@pytest.mark.parametrize("fault", DISK_FAULTS)
@pytest.mark.parametrize("to", [False, True], ids=["recorded", "to"])
def test_rollback_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, memory: Path, fault: str, *, to: bool
) -> None:
    place = memory / "data"
    build_installation(place, era="monolith", apps=scenarios.APPS, rows=scenarios.ROWS)
    assert server.run(fork_server.upgrade(place)).status == 0
    words: tuple[str, ...] = ("rollback",)
    if to:
        done = server.run(fork_server.cli(place, *words))
        words = (*words, "--to", str(done.report["set_aside"]))
    assert_told(Attacked.prepare(server, place, *words), 3, DISK_FAULTS[fault])


def upgraded(server: ForkServer, memory: Path) -> Path:
    place = memory / "data"
    build_installation(place, era="pre_tenancy", apps=scenarios.APPS, rows=scenarios.ROWS)
    assert server.run(fork_server.upgrade(place)).status == 0
    return place


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_creation_of_an_app_that_meets_a_fault_says_what_is_there_of_it(
    server: ForkServer, memory: Path, fault: str
) -> None:
    place = upgraded(server, memory)
    attacked = Attacked.prepare(server, place, "apps", "create", "brand-new")
    assert_told(attacked, 1, DISK_FAULTS[fault])

"""Ends a command, or fails it, at a chosen call, and complains about what it finds afterwards."""

from __future__ import annotations

import shutil
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import figures
from tests.support.faults.fork_server import upgrade
from tests.support.faults.sampling import sample
from tests.support.faults.scenarios import is_split_early
from tests.support.faults.shim import Mode
from tests.support.faults.state import names_of, shared_inodes
from tests.support.installations.facts import SPLIT_DONE
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.faults.fork_server import Ended, ForkServer
    from tests.support.faults.scenarios import Prepared
    from tests.support.faults.state import Contents


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, and where the kill was that brought it about."""

    number: int
    call: str
    complaint: str

    def __str__(self) -> str:
        return f"at {self.number} ({self.call}): {self.complaint}"


@dataclass(frozen=True, slots=True)
class Attack:
    """What befalls the command."""

    mode: Mode = Mode.KILL
    error: int = 0
    """The errno of calls that fail."""
    by_python: bool = False
    sabotage: str | None = None
    """The product is broken in this way, in the killed run and in the cures."""

    @property
    def word(self) -> str:
        """What an attempt counts as in the figures."""
        if self.mode in (Mode.FAIL_ONCE, Mode.FAIL_ON):
            return "faults of the disk"
        return "kills in the middle of a write" if self.mode is Mode.TORN else "kills"


def attack_at(
    server: ForkServer, prepared: Prepared, numbers: Iterable[int], attack: Attack
) -> list[Violation]:
    """Attack the command at each of these points, on a fresh copy each time."""
    rows = prepared.reader.rows_read
    violations: list[Violation] = []
    for number in numbers:
        violations += _attack_at(server, prepared, number, attack)
        figures.count(attack.word)
    figures.count("rows read back after an attack", prepared.reader.rows_read - rows)
    return violations


def calls_of(server: ForkServer, prepared: Prepared) -> list[str]:
    """List, in order, every call of an undisturbed command that can be made to fail."""
    with tempfile.NamedTemporaryFile() as log:
        shutil.copytree(prepared.folder, prepared.place, symlinks=True)
        job = prepared.scenario.attacked(prepared.place)
        server.run(replace(job, mode=Mode.FAIL_ON, log=log.name))
        shutil.rmtree(prepared.place)
        return Path(log.name).read_text().splitlines()


def fault_numbers(
    server: ForkServer, prepared: Prepared, *, first: int = 1, every: int = 1
) -> range:
    """List points at which a call may fail: those of a -shm too, which kills do not count."""
    return sample(len(calls_of(server, prepared)), every, first=first)


def _attack_at(
    server: ForkServer, prepared: Prepared, number: int, attack: Attack
) -> Iterator[Violation]:
    folder = prepared.place
    shutil.copytree(prepared.folder, folder, symlinks=True)
    job = replace(
        prepared.scenario.attacked(folder), by_python=attack.by_python, sabotage=attack.sabotage
    )
    ended = server.run(job.at(number, attack.mode, attack.error))
    if attack.mode in (Mode.KILL, Mode.TORN):
        complaints = [] if ended.status == -signal.SIGKILL else [f"was not killed: {ended}"]
    else:
        complaints = list(check_failed(prepared, folder, ended))
    complaints += check_interrupted(prepared, folder)
    complaints += check_cured(server, prepared, attack.sabotage)
    shutil.rmtree(folder)
    for complaint in complaints:
        yield Violation(number, ended.last, complaint)


def check_failed(prepared: Prepared, folder: Path, ended: Ended) -> Iterator[str]:
    """Check the words and the exit status of a command that met a fault, and what 3 promises."""
    if "Traceback" in ended.stderr or ended.status not in (0, 1, 3):
        yield f"ended with status {ended.status}: {ended.stderr[-400:]}"
        return
    report = ended.report
    if report["ok"] is not (ended.status == 0):
        yield f"status {ended.status} and ok {report['ok']}"
    if ended.status:
        yield from _check_words(str(report["error"]), folder)
    if ended.status == 3:
        for change in _changes(prepared, folder):
            yield f"refused with status 3, but {change}: {report['error']}"


def _check_words(error: str, folder: Path) -> Iterator[str]:
    advice = error.partition("; expected")[2]
    if str(folder) not in error:
        yield f"names no file: {error}"
    if "disk" not in advice and "space" not in advice:
        yield f"does not speak of the disk: {error}"
    if "report it" in advice:
        yield f"takes a fault of the disk for one of its own: {error}"


def _changes(prepared: Prepared, folder: Path) -> Iterator[str]:
    now = prepared.reader.read_all(folder)
    for name, contents in prepared.before.items():
        found = now.get(name)
        if contents is not None and (found is None or not found.is_like(contents)):
            yield f"{name} was changed"
    for name in now.keys() - prepared.before.keys():
        if not name.endswith(".bak-*"):
            yield f"{name} was made"


def check_interrupted(prepared: Prepared, folder: Path) -> Iterator[str]:
    """Check that every file is whole, as it was or as it will be, and never without a backup."""
    now = prepared.reader.read_all(folder)
    for name, contents in prepared.before.items():
        if contents is not None and now.get(name) is None:
            yield f"{name} is gone"
    for name, contents in now.items():
        if contents is not None:
            yield from _check_file(prepared, folder, name, contents)
    if is_split_early_by_us(prepared, now):
        yield "the split is marked as done before every app has its rows"


def _check_file(prepared: Prepared, folder: Path, name: str, contents: Contents) -> Iterator[str]:
    before, after = prepared.before.get(name), prepared.after.get(name)
    if contents.damage:
        yield f"{name} is damaged: {contents.damage[:2]}"
    if contents.broken_keys > (before.broken_keys if before else 0):
        yield f"{name} has {contents.broken_keys} broken foreign keys"
    if name.endswith("-*"):
        yield from _check_copy(prepared, name, contents)
        return
    with_meta = name != prepared.global_name
    was_before = before is not None and contents.is_like(before, with_meta=with_meta)
    was_before |= before is None and not contents.tables and not contents.damage
    if not was_before and not contents.is_like(after, with_meta=with_meta):
        yield f"{name} is neither what it was nor what it will be"
    known = [it.meta.items() for it in (before, after) if it is not None]
    if not contents.meta.items() <= {pair for items in known for pair in items}:
        yield f"{name} has bookkeeping that no whole run writes: {contents.meta}"
    if before is not None and not contents.is_like(before) and not _is_kept(prepared, folder, name):
        yield f"{name} was changed and there is no backup of it"


def _check_copy(prepared: Prepared, name: str, contents: Contents) -> Iterator[str]:
    """Check that what bears the name of a backup is one, whatever moment it was made at."""
    source = name.partition(".bak-")[0].partition(".rolled-back-")[0]
    origins = (prepared.before.get(source), prepared.after.get(source), prepared.before.get(name))
    if not any(contents.is_like(it) for it in origins):
        yield f"{name} is no copy of {source}"


def _is_kept(prepared: Prepared, folder: Path, name: str) -> bool:
    """Tell whether a backup, or the file that a rollback sets aside, holds what a file held."""
    path = folder / name
    return any(
        contents is not None and contents.is_like(prepared.before[name])
        for kind in ("bak", "rolled-back")
        for kept in path.parent.glob(f"{path.name}.{kind}-*")
        if not kept.name.endswith(("-wal", "-shm", "-journal"))
        for contents in [prepared.reader.read(kept)]
    )


def is_split_early_by_us(prepared: Prepared, now: dict[str, Contents | None]) -> bool:
    """Tell whether the command itself marked the split as done too early."""
    before = prepared.before.get(prepared.global_name)
    if before is not None and before.meta.get(SPLIT_DONE) == "1":
        return False
    if prepared.global_name not in now or prepared.before == {}:
        return False
    return is_split_early(now, prepared.global_name)


def check_cured(
    server: ForkServer, prepared: Prepared, sabotage: str | None = None
) -> Iterator[str]:
    """Run what must cure it, and check that the end is that of an undisturbed run."""
    scenario, folder = prepared.scenario, prepared.place
    for position, cure in enumerate(scenario.cures):
        ended = server.run(replace(cure(folder), sabotage=sabotage))
        may_refuse = position == 0 and scenario.refusal is not None
        refused = may_refuse and ended.status == 3 and str(scenario.refusal) in ended.stderr
        if ended.status != 0 and not refused:
            yield f"the next run ended with status {ended.status}: {ended.stderr[-400:]}"
            return
        if not refused and ended.stdout and ended.report["ok"] is not True:
            yield f"the next run is not ok: {ended.stdout}"
    now = prepared.reader.read_all(folder)
    for name, contents in prepared.cured.items():
        found = now.get(name)
        if contents is not None and (found is None or not found.is_like(contents)):
            yield f"{name} is not what an undisturbed run makes of it"
    yield from _check_names(prepared, folder)
    yield from _check_idle_run(server, folder, sabotage)


def _check_names(prepared: Prepared, folder: Path) -> Iterator[str]:
    """Check for leftovers: an undisturbed run knows every file, and each has one name."""
    found = names_of(folder)
    for name, count in (found - prepared.names).items():
        yield f"{count} more of {name} than an undisturbed run leaves"
    for name, count in (prepared.names - found).items():
        yield f"{count} fewer of {name} than an undisturbed run leaves"
    for name in shared_inodes(folder):
        yield f"{name} has a second name"


def _check_idle_run(server: ForkServer, folder: Path, sabotage: str | None) -> Iterator[str]:
    before = fingerprint_files(folder)
    ended = server.run(replace(upgrade(folder), sabotage=sabotage))
    if ended.status != 0:
        yield f"the third run ended with status {ended.status}: {ended.stderr[-400:]}"
    after = fingerprint_files(folder)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"the third run changed {name}"
